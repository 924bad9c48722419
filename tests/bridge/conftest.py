"""Connections of the SQLite module that this run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def connect(sqlite: Any, closed_at_end: Callable[[Any], Any]) -> Callable[..., Any]:
    """Opens connections that are closed at the end."""

    def open_one(path: object = ":memory:", **options: Any) -> Any:
        return closed_at_end(sqlite.connect(str(path), **options))

    return open_one
