"""Graphs: an edge table becomes arrays, and the algorithms run on those.

    edge table (edge_table.py) -> arrays (graph.py, kept by cache.py) -> algorithm -> columns

`sql/` says what is put on a connection, `adjacency/` keeps arrays in the file; `results.py` and
`export.py` write what comes out. `src/` are the loops that must be fast, in C.
"""
