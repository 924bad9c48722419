"""Vector tables: `hnsw_index` and `hnsw_text`, incremental embedding, search by meaning."""
