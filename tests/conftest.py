"""Fixtures for all rooms: which SQLite, the reference models, the run's own models directory."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINILM = "all-MiniLM-L6-v2.f16.gguf"
RERANKER = "reranker-debian-small.f16.gguf"


def pytest_configure(config: pytest.Config) -> None:
    _ask_servers_here_directly()
    _settle_hypothesis(config)


def _ask_servers_here_directly() -> None:
    """A proxy that the machine has for other networks knows nothing of servers on loopback."""
    for name in ("NO_PROXY", "no_proxy"):
        here = [*filter(None, [os.environ.get(name)]), "127.0.0.1", "localhost"]
        os.environ[name] = ",".join(here)


def _settle_hypothesis(config: pytest.Config) -> None:
    """What hypothesis does in every test, unless the test says otherwise.

    No deadline: without one named, an example that takes 0.2 s fails, as on a busy machine any may.
    The same examples in each run, so that a change is not refused for what it did not do; those
    who run `long` tests look for new ones.
    """
    from hypothesis import HealthCheck, settings

    settings.register_profile(
        "muninn",
        deadline=None,
        derandomize="not long" in config.option.markexpr,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("muninn")


def sqlite_module() -> Any:
    """The module that this run is about: MUNINN_TEST_SQLITE, else the one that sqlite-utils takes.

    One for the whole process: sqlite-vec serves one SQLite library only.
    """
    named = os.environ.get("MUNINN_TEST_SQLITE")
    if named:
        return importlib.import_module(f"{named}.dbapi2")
    from sqlite_utils.utils import sqlite3

    return importlib.import_module(f"{sqlite3.Connection.__module__.partition('.')[0]}.dbapi2")


@pytest.fixture(scope="session")
def sqlite() -> Any:
    return sqlite_module()


@pytest.fixture
def closed_at_end() -> Iterator[Callable[[Any], Any]]:
    """Takes a connection and gives it back; when the test ends it is closed."""
    with contextlib.ExitStack() as opened:
        yield lambda conn: opened.enter_context(contextlib.closing(conn))


@pytest.fixture
def conn(connect: Callable[..., Any]) -> Any:
    """A connection to a database in memory; `connect` is the room's own."""
    return connect()


@pytest.fixture(scope="session")
def reference_models() -> Path:
    """The directory of the reference GGUF files, made by llama.cpp's own converter."""
    named = os.environ.get("MUNINN_TEST_MODELS")
    if not named:
        pytest.skip("MUNINN_TEST_MODELS does not name a directory of reference models")
    if not (Path(named) / MINILM).is_file():
        pytest.skip(f"MUNINN_TEST_MODELS={named} has no {MINILM}")
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    return Path(named)


@pytest.fixture(scope="session")
def minilm_path(reference_models: Path) -> Path:
    return reference_models / MINILM


@pytest.fixture(scope="session")
def reranker_path(reference_models: Path) -> Path:
    path = reference_models / RERANKER
    if not path.is_file():
        pytest.skip(f"MUNINN_TEST_MODELS={reference_models} has no {RERANKER}")
    return path


@pytest.fixture(scope="session")
def models_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models directory for the whole run, so that a file is tried in another process once."""
    return tmp_path_factory.mktemp("models")
