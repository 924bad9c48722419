"""Connections with the graph functions on them, for the SQLite module that the run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.graph.sql import surface
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = Host(threads=2)


@pytest.fixture
def connect(sqlite: Any) -> Iterator[Callable[..., Any]]:
    """Opens connections in autocommit mode, so that tests say BEGIN themselves."""
    opened = []

    def open_one(path: object = ":memory:", host: Host = HOST, **options: Any) -> Any:
        options.setdefault("isolation_level", None)
        conn = sqlite.connect(str(path), **options)
        attach(conn, surface(host))
        opened.append(conn)
        return conn

    yield open_one
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def edges(conn: Any) -> Callable[..., Any]:
    """Makes the table e (s, t, w) of rows of two or three values; gives the connection."""

    def make(*rows: Any, table: str = "e") -> Any:
        conn.execute(f"DROP TABLE IF EXISTS {table}")
        conn.execute(f"CREATE TABLE {table} (s, t, w)")
        values = [(*row, 1)[:3] for row in rows]
        conn.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", values)
        return conn

    return make


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()
