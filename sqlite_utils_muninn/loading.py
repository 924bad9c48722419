"""Putting the SQL surface on a connection: a loop over the rooms."""

from __future__ import annotations

import contextlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .settings import Host

if TYPE_CHECKING:
    from pathlib import Path

    from .bridge import Database, Declaration

ROOMS = ("models", "vectors", "graph", "search")
"""The packages whose ``sql.py`` says what they put on a connection."""


def surface(host: Host) -> list[Declaration]:
    """Everything that :func:`load` puts on a connection, room by room."""
    return [
        declaration
        for room in ROOMS
        for declaration in import_module(f"{__package__}.{room}.sql").surface(host)
    ]


def load(conn: Any, host: Host | None = None) -> Database:
    """Put the SQL surface on an open connection of ``sqlite3`` or ``pysqlite3``.

    ``host`` says what the connection's owner allows; by default everything. No model is loaded and
    no file is touched. Returns the connection's handle. Raises TypeError for an object that is no
    connection, and SQLError where SQLite is older than 3.38.
    """
    from .bridge import attach

    # Before anything can fail: what an owner began nobody else finishes on other terms.
    host = host or Host()
    attach(conn).state.update(loaded=True, host=host)
    declarations = surface(host)
    db = attach(conn, declarations)
    _load_vectors(db)
    for declaration in declarations:
        if getattr(declaration, "eponymous", False):
            _make_temporary(db, declaration.name)
    return db


def is_loaded(conn: Any) -> bool:
    """Whether :func:`load` has been here: by whoever owns the connection, on their terms."""
    from .bridge import find

    db = find(conn)
    return db is not None and "host" in db.state


def load_in_command(conn: Any) -> None:
    """Load on a connection that sqlite-utils opened, perhaps for a command that is none of ours.

    There an environment variable that is wrong is said in a sentence, as other errors of commands.
    """
    try:
        load(conn)
    except ValueError as error:
        import click

        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(str(error)) from error


def connect(path: str | Path, host: Host | None = None, **options: Any) -> Any:
    """Open a database file with the SQL surface on it.

    Uses ``pysqlite3`` where it is installed, else the standard library, as sqlite-utils does;
    ``options`` go to its ``connect``. Returns the module's connection.
    """
    conn = _sqlite().connect(str(path), **options)
    try:
        load(conn, host)
    except BaseException:
        conn.close()
        raise
    return conn


def _sqlite() -> Any:
    """The module that sqlite-utils and Datasette take.

    It is not asked of sqlite-utils, whose import costs a fifth of a second: half of the time that
    a first embedding may take.
    """
    try:
        return import_module("pysqlite3")
    except ImportError:
        return import_module("sqlite3")


def _load_vectors(db: Database) -> None:
    """Have sqlite-vec on the connection, for files that have its vec0 tables, too.

    It serves one SQLite library in a process: a connection of another one does without.
    """
    from .bridge import SQLError
    from .vectors.sqlite_vec import load_sqlite_vec

    with contextlib.suppress(SQLError):
        load_sqlite_vec(db)


def _make_temporary(db: Database, name: str) -> None:
    """Make the connection's own table, which can be written however the file was opened.

    The table that every connection has by the module's name lives in ``main``: writing it would
    open a write transaction there, and fail on a read-only file. Where even a temporary table
    cannot be made (a file that is no database, or that is locked just now), that one is left.
    """
    from .bridge import SQLError, quote

    try:
        read_only = db.execute("PRAGMA query_only")[0][0]
        if read_only:
            db.execute("PRAGMA query_only = 0")
        try:
            db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{quote(name)} USING {quote(name)}")
        finally:
            if read_only:
                db.execute("PRAGMA query_only = 1")
    except SQLError:
        return
