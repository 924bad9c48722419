"""Vector tables beside other vector indexes for SQLite and for Python."""
