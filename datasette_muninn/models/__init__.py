"""The models of an instance: which there are, trying one, and installing one."""
