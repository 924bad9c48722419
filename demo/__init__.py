"""A real knowledge base, from MITRE ATT&CK to a search page: ``python -m demo``."""
