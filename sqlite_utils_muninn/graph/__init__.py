"""Graphs: an edge table becomes arrays, and the algorithms run on those.

    edge table -> arrays (edges.py, graph.py, kept by cache.py) -> algorithm -> columns

``sql/`` says what is put on a connection; ``src/`` are the loops that must be fast, in C.
"""
