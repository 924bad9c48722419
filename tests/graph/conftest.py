"""Connections with the graph functions on them, for the SQLite module that the run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.graph import edge_table
from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.graph.sql import surface
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

HOST = Host(threads=2)


@pytest.fixture
def connect(sqlite: Any, closed_at_end: Callable[[Any], Any]) -> Callable[..., Any]:
    """Opens connections in autocommit mode, so that tests say BEGIN themselves."""

    def open_one(path: object = ":memory:", host: Host = HOST, **options: Any) -> Any:
        options.setdefault("isolation_level", None)
        conn = closed_at_end(sqlite.connect(str(path), **options))
        attach(conn, surface(host))
        return conn

    return open_one


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


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], list[str]]:
    """Counts, from now on, the edge tables that a module reads: a list that statements come to."""

    def count(module: ModuleType) -> list[str]:
        seen: list[str] = []

        def counted(db: Any, statement: Any, work: Any) -> Any:
            seen.append(statement.sql)
            return edge_table.read(db, statement, work)

        monkeypatch.setattr(module, "read", counted)
        return seen

    return count


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "graphs.db"


@pytest.fixture
def full_reads(count_reads: Callable[[ModuleType], list[str]]) -> list[str]:
    """The times that a graph_adjacency table read its edge table instead of its arrays."""
    from sqlite_utils_muninn.graph.adjacency import table

    return count_reads(table)


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()
