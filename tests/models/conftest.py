"""Connections with the SQL of the models room, for the SQLite module that this run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import loading
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def connect(
    sqlite: Any,
    models_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    closed_at_end: Callable[[Any], Any],
) -> Callable[..., Any]:
    """Opens connections, in autocommit mode, for a host of the given settings."""
    monkeypatch.setattr(loading, "ROOMS", ("models",))

    def open_one(path: object = ":memory:", uri: bool = False, **settings: Any) -> Any:
        host = Host(**{"models_directory": models_directory, "threads": 2, **settings})
        conn = sqlite.connect(str(path), uri=uri, isolation_level=None, check_same_thread=False)
        loading.load(closed_at_end(conn), host)
        return conn

    return open_one
