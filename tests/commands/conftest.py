"""sqlite-utils' own command line, with the plugin in it and a tiny model installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sqlite_utils_muninn import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory in which two models, `tiny` and `other`, are installed."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed: tiny models cannot be written")
    from sqlite_utils.cli import cli

    from tests.tiny_gguf import Bert

    files, directory = (tmp_path_factory.mktemp(name) for name in ("files", "installed"))
    for name, seed in (("tiny", 1), ("other", 2)):
        path = Bert(seed).write(files / f"{name}.gguf")
        arguments = ["muninn", "models", "add", name, str(path), "--models-dir", str(directory)]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    return directory


@pytest.fixture
def run(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs sqlite-utils with some arguments and gives click's result."""
    from sqlite_utils.cli import cli

    monkeypatch.setenv("MUNINN_MODELS_DIR", str(installed))
    return lambda *arguments: CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """articles (1,200 rows) in a database file."""
    path = tmp_path / "news.db"
    conn = connect(path)
    conn.execute("CREATE TABLE articles (id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
    conn.executemany(
        "INSERT INTO articles VALUES (?, ?, ?)",
        ((i, f"title {i % 90}", f"body number {i}") for i in range(1, 1201)),
    )
    conn.commit()
    conn.close()
    return path


@pytest.fixture
def sql(news: Path) -> Callable[..., Any]:
    """Runs SQL on the file, on a connection of its own."""

    def execute(statement: str, *parameters: Any) -> list[Any]:
        conn = connect(news)
        try:
            with conn:
                return conn.execute(statement, parameters).fetchall()
        finally:
            conn.close()

    return execute
