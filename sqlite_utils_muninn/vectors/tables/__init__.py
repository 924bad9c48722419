"""The virtual tables hnsw_index and hnsw_text: what SQLite asks them, and their commands."""
