"""Vector tables: `hnsw_index` and `hnsw_text`, incremental embedding, search by meaning.

    index/     the index of a table in memory, a neighbour graph; src/ holds its C
    storage/   what stands in the file, and all SQL that reads and writes it
    texts/     from texts to vectors: what waits, with which model, in which passages
    tables/    the virtual tables: what SQLite asks them, their commands, what mends them
    imports/   vectors that other programs made

Each stands on those above it. For the commands and the web: `texts.planning.plan`,
`texts.embed.run`, `similar.similar`, `storage.schema.vector_tables`, `state` and `detach`. Nothing
is imported here, so that loading the extension stays quick.
"""
