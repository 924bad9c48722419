"""What a connection costs before anything is asked of it."""

from __future__ import annotations

import subprocess
import sys

import sqlite_utils_muninn

HEAVY = ("sqlite_utils", "numpy", "llama_cpp", "networkx", "datasette")


def test_a_connection_imports_nothing_heavy() -> None:
    """sqlite-utils and numpy cost a third of a second, which a first embedding does not have."""
    program = (
        "import sys, sqlite_utils_muninn\n"
        "conn = sqlite_utils_muninn.connect(':memory:')\n"
        "conn.execute('SELECT count(*) FROM temp.muninn_models').fetchone()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_connections_are_of_the_module_that_sqlite_utils_takes() -> None:
    """Errors are caught, and databases wrapped, by the classes of that module."""
    from sqlite_utils.utils import sqlite3

    conn = sqlite_utils_muninn.connect(":memory:")
    assert isinstance(conn, sqlite3.Connection)
    conn.close()
