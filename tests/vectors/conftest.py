"""Connections with the vector tables on them, for the SQLite module that the run is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import surface, text_module
from tests.conftest import sqlite_module

from .embedders import Shelf, Words
from .lost_tables import harm, make

Connect = Callable[..., Any]


def open_connection(path: Any = ":memory:", **options: Any) -> Any:
    """A connection in autocommit mode, so that tests say BEGIN themselves."""
    options.setdefault("isolation_level", None)
    conn = sqlite_module().connect(str(path), **options)
    attach(conn, surface(Host()))
    return conn


@pytest.fixture
def connect(closed_at_end: Callable[[Any], Any]) -> Connect:
    def opener(path: Any = ":memory:", **options: Any) -> Any:
        return closed_at_end(open_connection(path, **options))

    return opener


@pytest.fixture
def path(tmp_path: Any) -> Any:
    return tmp_path / "vectors.db"


@pytest.fixture
def model() -> Words:
    return Words()


@pytest.fixture
def shelf(model: Words) -> Shelf:
    return Shelf({"words": model})


@pytest.fixture
def open_text(connect: Connect, shelf: Shelf, path: Any) -> Connect:
    """Opens connections whose hnsw_text tables find their models on the shelf."""

    def opener(path: Any = path, find: Shelf = shelf, **options: Any) -> Any:
        conn = connect(path, **options)
        conn.execute("PRAGMA synchronous = OFF")
        attach(conn, [text_module(Host(), find)])
        return conn

    return opener


@pytest.fixture
def linked(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A table whose graph is poor and misses rows, and its 2,000 vectors, by rowid from 0."""
    monkeypatch.setattr("sqlite_utils_muninn.vectors.index.index.SCANNED_FLOATS", 1000)
    made = np.random.default_rng(19).normal(size=(2_000, 64)).astype("<f4")
    conn = connect()
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=64, metric=l2, m=4)")
    conn.execute("BEGIN")
    rows = [(i, row.tobytes()) for i, row in enumerate(made)]
    conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", rows)
    conn.execute("COMMIT")
    conn.execute("INSERT INTO v(v) VALUES ('optimize')")
    return conn, made


@pytest.fixture
def lose(open_text: Connect, path: Any) -> Callable[..., Any]:
    """Makes a table of a kind, has tables dropped, and opens the file anew."""

    def losing(kind: str, *suffixes: str, before: str = "") -> Any:
        conn = open_text()
        make(conn, kind)
        for statement in filter(None, before.split(";")):
            conn.execute(statement)
        conn.close()
        harm(path, ";".join(f"DROP TABLE v_{suffix}" for suffix in suffixes))
        return open_text()

    return losing
