"""Images and machines without a compiler: what needs no model works, the rest says what to do."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INSTALL = (
    "models run on llama-cpp-python, which is not installed: pip install 'datasette-muninn[llama]'"
)
WITHOUT = "import sys; sys.modules['llama_cpp'] = None; "


@pytest.fixture
def python(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a line of Python in a process that has no llama-cpp-python."""
    monkeypatch.setenv("MUNINN_MODELS_DIR", str(installed))
    return lambda line, *arguments: subprocess.run(
        [sys.executable, "-c", WITHOUT + line, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def embedded(run: Any, news: Path) -> Path:
    assert run("embed", news, "articles", "body", "-m", "tiny", "-s").exit_code == 0
    return news


def test_commands_say_what_to_install(python: Any, embedded: Path) -> None:
    arguments = ("embed", embedded, "articles", "title", "--name", "t", "-m", "tiny")
    done = python("from sqlite_utils.cli import cli; cli()", *arguments)
    assert (done.returncode, done.stderr) == (1, f"Error: {INSTALL}\n"), done.stdout


@pytest.mark.parametrize(
    "command", [("bench", "tiny"), ("verify", "tiny"), ("compare", "tiny", "other")]
)
def test_commands_of_models_say_what_to_install(python: Any, command: tuple[str, ...]) -> None:
    """The fault: a traceback, since the error is one of an import now."""
    done = python("from sqlite_utils.cli import cli; cli()", "muninn", "models", *command)
    assert done.returncode == 1
    assert INSTALL in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_cannot_be_is_one_sentence(
    python: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: a traceback, since the setting was read by an import."""
    monkeypatch.setenv("MUNINN_ENCODER", "fast")
    done = python("from sqlite_utils.cli import cli; cli()", "muninn", "models", "bench", "tiny")
    said = "Error: MUNINN_ENCODER must be one of auto, int8, llama.cpp, got 'fast'\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_the_page_of_a_model_says_what_to_install(python: Any, embedded: Path) -> None:
    get = ("serve", embedded, "--get", "/-/muninn/models/tiny.json?text=bread")
    done = python("from datasette.cli import cli; cli()", *get)
    assert INSTALL in done.stdout
    assert "Traceback" not in done.stderr


def test_a_search_goes_by_words_and_says_what_to_install(python: Any, embedded: Path) -> None:
    arguments = ("similar", embedded, "articles", "body number 77", "-n", "1")
    done = python("from sqlite_utils.cli import cli; cli()", *arguments)
    assert (done.returncode, '"id": 77' in done.stdout) == (0, True), done.stdout + done.stderr
    assert done.stderr.startswith(INSTALL)


def test_a_page_says_what_to_install(python: Any, embedded: Path) -> None:
    get = ("serve", embedded, "--get", "/news/-/muninn/search.json?q=x")
    done = python("from datasette.cli import cli; cli()", *get)
    assert INSTALL in done.stdout
    assert "Traceback" not in done.stderr


def test_vectors_and_texts_need_no_model(python: Any, embedded: Path) -> None:
    done = python(
        "import sqlite_utils_muninn as m; c = m.connect(sys.argv[1]); "
        "sql = 'SELECT rowid, content FROM articles_vectors WHERE vector MATCH ? AND k = 1'; "
        "(v,) = c.execute('SELECT vector FROM articles_vectors WHERE rowid = 7').fetchone(); "
        "print(c.execute(sql, (v,)).fetchall())",
        embedded,
    )
    assert "body number 7" in done.stdout, done.stderr
