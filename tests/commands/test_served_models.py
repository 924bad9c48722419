"""sqlite-utils embed and similar with a model on a server that takes a key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.models.embedding_server import EmbeddingServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a-key-that-is-nobodys"


@pytest.fixture
def server(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    from sqlite_utils_muninn.models.backends import remote
    from sqlite_utils_muninn.models.registry import registry

    monkeypatch.setattr(remote, "PAUSE", 0.01)
    with EmbeddingServer(registry().open("tiny", installed)) as server:
        server.key = KEY
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield server


def test_embed_and_similar(run: Any, news: Path, sql: Any, server: EmbeddingServer) -> None:
    sql("UPDATE articles SET body = 'remember the raven' WHERE id = 7")
    result = run("embed", news, "articles", "body", "-m", "openai:tiny")
    assert "embedded 1,200 rows" in result.output, result.output
    assert sum(len(request["input"]) for request in server.requests) >= 1200
    again = run("embed", news, "articles", "body", "-m", "openai:tiny")
    assert "nothing to do, 1,200 rows embedded already" in again.output
    search = ("similar", news, "articles", "remember the raven", "-n", "1", "-c", "id")
    found = run(*search, "-m", "openai:tiny")
    assert json.loads(found.output) == [{"score": 1.0, "id": 7}]
    assert KEY.encode() not in news.read_bytes()


def test_a_file_that_names_the_model_does_not_spend_the_key(
    run: Any, news: Path, server: EmbeddingServer
) -> None:
    """The user must name it: the file, and the text that is searched for, may be anybody's."""
    run("embed", news, "articles", "body", "-m", "openai:tiny", "-s")
    server.requests.clear()
    result = run("similar", news, "articles", "body number 9", "-n", "1")
    assert server.requests == []
    assert result.exit_code == 1
    assert "to ask it, name it: --model openai:tiny" in result.output


def test_a_server_that_fails_leaves_what_was_done(
    run: Any, news: Path, sql: Any, server: EmbeddingServer
) -> None:
    asked, vectors = [0], server.vectors

    def failing(texts: list[str]) -> bytes:
        asked[0] += 1
        if asked[0] > 10:
            server.failures = [(503, {})] * 10
        return vectors(texts)

    server.vectors = failing  # type: ignore[method-assign]
    batches = ("--batch-size", "128")
    result = run("embed", news, "articles", "body", "-m", "openai:tiny", *batches)
    assert result.exit_code == 1
    assert "answered 503, 4 times" in result.output
    assert KEY not in result.output
    done = sql("SELECT count(*) FROM articles_vectors")[0][0]
    assert 0 < done < 1200
    assert done % 128 == 0
    server.failures, server.vectors = [], vectors  # type: ignore[method-assign]
    result = run("embed", news, "articles", "body", "-m", "openai:tiny")
    assert f"embedded {1200 - done:,} rows" in result.output


def test_a_key_that_is_wrong(run: Any, news: Path, sql: Any, server: EmbeddingServer) -> None:
    server.key = "another"
    result = run("embed", news, "articles", "body", "-m", "openai:tiny")
    assert result.exit_code == 1
    assert "wants another key (401): is OPENAI_API_KEY set, and right?" in result.output
    assert sql("SELECT name FROM sqlite_master WHERE name LIKE 'articles~_%' ESCAPE '~'") == []
