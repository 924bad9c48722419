"""`graph_adjacency`: the arrays of an edge table in the file, and how they follow it.

    triggers note rows (following.py) -> arrays (rows.py) -> shadow tables (storage.py)

`table.py` is the virtual table.
"""
