"""Putting sqlite-vec on a connection: its functions and vec0 tables beside ours.

None of ours needs it. load() does it where this SQLite library may, so that Datasette can open the
tables of a file that has both, and SQL can use `vec_distance_cosine(vector, ...)` on our vectors.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
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


@cache
def _path() -> Path:
    """The library inside the package, which is not imported: that would import numpy."""
    spec = find_spec("sqlite_vec")
    if spec is None or spec.origin is None:
        raise SQLError("sqlite-vec is not installed: pip install sqlite-vec")
    return Path(spec.origin).with_name("vec0" + _SUFFIXES.get(sys.platform, ".so"))
