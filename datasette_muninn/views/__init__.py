"""The pages and API resources, one file each."""
