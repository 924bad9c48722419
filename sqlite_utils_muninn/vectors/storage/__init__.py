"""What stands in the file: the tables behind a vector table, the notes of its source.

All SQL that reads and writes them, and which index in memory belongs to which of them.
"""
