"""Connections with the SQL of the models room, and its commands with a directory of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import loading
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


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


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands keep models; it is not there yet."""
    directory = tmp_path / "models"
    monkeypatch.setenv("MUNINN_MODELS_DIR", str(directory))
    return directory


@pytest.fixture
def run(directory: Path) -> Callable[..., Result]:
    """Runs `sqlite-utils muninn models` with some arguments, which must end with a code."""
    import click
    from click.testing import CliRunner

    from sqlite_utils_muninn.commands.models import register

    group = click.Group("muninn")
    register(group)

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(group, ["models", *arguments])
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run
