"""The environment is read once, and a wrong value is an error that names it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sqlite_utils_muninn import settings
from sqlite_utils_muninn.settings import Host


def test_models_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNINN_MODELS_DIR", "~/models")
    assert Host().models_directory == Path.home() / "models"
    monkeypatch.delenv("MUNINN_MODELS_DIR")
    assert Host().models_directory.name == "models"
    assert "muninn" in Host().models_directory.parts


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUNINN_THREADS", raising=False)
    assert Host().threads == settings.available_cores() >= 1
    monkeypatch.setenv("MUNINN_THREADS", "3")
    assert Host().threads == 3
    for wrong in ("0", "-1", "x", "1.5"):
        monkeypatch.setenv("MUNINN_THREADS", wrong)
        with pytest.raises(ValueError, match="MUNINN_THREADS must be a whole number above 0"):
            Host()


def test_memory_that_indexes_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUNINN_INDEX_CACHE", raising=False)
    assert Host().index_cache == settings.physical_memory() // 8
    monkeypatch.setenv("MUNINN_INDEX_CACHE", "0")
    assert Host().index_cache == 0
    monkeypatch.setenv("MUNINN_INDEX_CACHE", "much")
    with pytest.raises(ValueError, match="MUNINN_INDEX_CACHE must be a number of bytes"):
        Host()


def test_limits() -> None:
    host = Host(max_text=3, max_rows=2)
    host.check_text("f", "abc")
    host.check_rows("f", 2)
    with pytest.raises(ValueError, match="f: text has 4 characters, at most 3"):
        host.check_text("f", "abcd")
    with pytest.raises(ValueError, match="f: 3 rows asked for, at most 2"):
        host.check_rows("f", 3)
    Host().check_text("f", "x" * 1_000_000)


def test_time_of_a_call() -> None:
    calls = []
    Host(max_seconds=3600).watch("f", lambda: calls.append(1))()
    check = Host(max_seconds=0.05).watch("f", lambda: calls.append(1))
    time.sleep(0.06)
    with pytest.raises(TimeoutError, match=r"f: stopped after 0.05 seconds"):
        check()
    assert len(calls) == 2  # an interrupt is seen before the limit


def test_a_wrong_variable_is_a_sentence_in_any_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: `sqlite-utils query` ended in a traceback of ours."""
    import sqlite_utils
    from click.testing import CliRunner
    from sqlite_utils.cli import cli

    monkeypatch.setenv("MUNINN_GRAPH_CACHE", "much")
    path = str(tmp_path / "any.db")
    sentence = "MUNINN_GRAPH_CACHE must be a number of bytes, got 'much'"
    result = CliRunner().invoke(cli, ["query", path, "SELECT 1"])
    assert (result.exit_code, result.output) == (1, f"Error: {sentence}\n")
    with pytest.raises(ValueError, match=sentence):
        sqlite_utils.Database(path)
