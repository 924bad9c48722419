"""Connections of the SQLite module that this run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def connect(sqlite: Any) -> Iterator[Callable[..., Any]]:
    """Opens connections that are closed at the end."""
    opened = []

    def open_one(path: object = ":memory:", **options: Any) -> Any:
        opened.append(sqlite.connect(str(path), **options))
        return opened[-1]

    yield open_one
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect: Callable[..., Any]) -> Any:
    return connect()
