"""Putting sqlite-vec on a connection: only when a vector table is first written there."""

from __future__ import annotations

import sys
from pathlib import Path

from ..bridge import Database, SQLError

_LOADED = "vectors.sqlite_vec"
_SUFFIXES = {"darwin": ".dylib", "win32": ".dll"}


def load_sqlite_vec(db: Database) -> None:
    """Make `vec0` known to the connection, unless it is."""
    if db.state.get(_LOADED):
        return
    try:
        db.execute("SELECT vec_version()")  # the host may have loaded it
    except SQLError:
        db.load_library(_path(), "sqlite3_vec_init")
    db.state[_LOADED] = True


def _path() -> Path:
    import sqlite_vec

    path = Path(sqlite_vec.loadable_path())
    return path.with_name(path.name + _SUFFIXES.get(sys.platform, ".so"))
