"""Fixtures for all rooms: the reference models, and a models directory of the test run's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MINILM = "all-MiniLM-L6-v2.f16.gguf"
RERANKER = "reranker-debian-small.f16.gguf"


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
