"""The index of one table in memory: coarse copies, the graph over them, and its saved form.

It knows arrays and positions in a log; no SQL.
"""
