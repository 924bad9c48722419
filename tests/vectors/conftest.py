"""Connections with the vector tables on them, for the SQLite module that the run is about."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import surface

if TYPE_CHECKING:
    from types import ModuleType

Connect = Callable[..., Any]


def sqlite_module() -> ModuleType:
    """The module named by MUNINN_TEST_SQLITE; by default the one that sqlite-utils would take."""
    name = os.environ.get("MUNINN_TEST_SQLITE")
    if name:
        return importlib.import_module(name if name == "sqlite3" else "pysqlite3")
    try:
        return importlib.import_module("pysqlite3")
    except ImportError:
        return importlib.import_module("sqlite3")


def open_connection(path: Any = ":memory:", **options: Any) -> Any:
    """A connection in autocommit mode, so that tests say BEGIN themselves."""
    options.setdefault("isolation_level", None)
    conn = sqlite_module().connect(str(path), **options)
    attach(conn, surface(Host()))
    return conn


@pytest.fixture
def sqlite() -> ModuleType:
    return sqlite_module()


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[Any] = []

    def opener(path: Any = ":memory:", **options: Any) -> Any:
        conn = open_connection(path, **options)
        opened.append(conn)
        return conn

    yield opener
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect: Connect) -> Any:
    return connect()


@pytest.fixture
def path(tmp_path: Any) -> Any:
    return tmp_path / "vectors.db"
