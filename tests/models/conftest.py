"""Connections with the SQL of the models room, for the SQLite module that this run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import loading
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def connect(
    sqlite: Any, models_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Opens connections, in autocommit mode, for a host of the given settings."""
    monkeypatch.setattr(loading, "ROOMS", ("models",))
    opened = []

    def open_one(path: object = ":memory:", uri: bool = False, **settings: Any) -> Any:
        host = Host(**{"models_directory": models_directory, "threads": 2, **settings})
        opened.append(
            sqlite.connect(str(path), uri=uri, isolation_level=None, check_same_thread=False)
        )
        loading.load(opened[-1], host)
        return opened[-1]

    yield open_one
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect: Callable[..., Any]) -> Any:
    return connect()
