"""A search from Python: the connection's handle, one snapshot, the connection's own errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import SQLError, find
from sqlite_utils_muninn.settings import Host

from .engine import CALLER, Request, Search
from .options import options_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlite_utils_muninn.bridge import Database

    from .answer import Answer


def search_on(conn: Any, query: str, settings: Mapping[str, Any], **rest: Any) -> Answer:
    """Search on a connection; see `sqlite_utils_muninn.search`."""
    options = options_of(settings)
    if not isinstance(query, str):
        raise TypeError(f"search: argument 'query' must be text, got {type(query).__name__}")
    conn = getattr(conn, "conn", conn)
    db = find(conn)
    if db is None or "host" not in db.state:
        raise ValueError(
            "search: the connection has no SQL surface: sqlite_utils_muninn.load(conn)"
        )
    request = Request(query, options=options, **rest)
    try:
        return _in_one_snapshot(db, request)
    except SQLError as error:
        raise conn.OperationalError(str(error)) from error


def _in_one_snapshot(db: Database, request: Request) -> Answer:
    """All stages see the same data, whoever writes meanwhile."""
    host = db.state["host"]
    assert isinstance(host, Host)
    if db.in_transaction:
        return Search(db, host, request, CALLER).answer()
    db.execute("SAVEPOINT muninn_search")
    try:
        return Search(db, host, request, CALLER).answer()
    finally:
        db.execute("RELEASE muninn_search")
