"""The SQL surface on Datasette's connections, and reading in one snapshot there."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn import load

from .settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasette.app import Datasette

log = logging.getLogger(__name__)


def prepare(datasette: Datasette, conn: Any, database: str) -> None:
    """Load the functions. An error here would break every page of the database: it is logged.

    A wrong option is an error all the same: Datasette must not start with it.
    """
    host = settings_of(datasette).host
    try:
        load(conn, host)
    except Exception:
        log.exception("muninn's SQL functions are missing on a connection of %r", database)


@contextmanager
def one_snapshot(conn: Any) -> Iterator[None]:
    """All statements see the same data, whoever writes meanwhile.

    An end of time must lie inside of this, or it might stop the end of the snapshot.
    """
    conn.execute("BEGIN")
    try:
        yield
    finally:
        conn.rollback()
