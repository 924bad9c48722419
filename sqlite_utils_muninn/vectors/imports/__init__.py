"""Vectors that other programs made: sqlite-muninn's, sqlite-vec's, and those of llm.

The source is opened read-only and read from its plain tables: the other program is not needed, and
a file from anywhere meets no native code. Each batch is one transaction, and rows that are there
are passed over, so an import that was interrupted goes on where it stopped.
"""
