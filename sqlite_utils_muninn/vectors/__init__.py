"""Vector tables: `hnsw_index` and `hnsw_text`, incremental embedding, search by meaning.

For the commands and the web: `embed.plan` and `embed.run`, `similar.similar`,
`tables.vector_tables`. Nothing is imported here, so that loading the extension stays quick.
"""
