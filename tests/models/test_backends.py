"""Models that are not files here: on a server, of a plugin, or nothing but trigrams.

The server is real and computes with a tiny model. Guards against keys that come to light, errors
that are lost, batches that come back in another order, and a public connection that reaches out.
"""

from __future__ import annotations

import json
import time
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")

from sqlite_utils_muninn.hookspecs import hookimpl
from sqlite_utils_muninn.models import backends
from sqlite_utils_muninn.models.backends import remote
from sqlite_utils_muninn.models.backends.remote import RemoteModel, ServerError
from sqlite_utils_muninn.models.backends.servers import Endpoint, Key, embeddings_url, endpoint_of
from sqlite_utils_muninn.models.backends.trigrams import TrigramModel
from sqlite_utils_muninn.models.registry import Registry
from tests.interruption import interrupted
from tests.models.embedding_server import EmbeddingServer
from tests.tiny_gguf import Bert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlite_utils_muninn.models.model import Model

SECRET = "sk-do-not-tell-1234"
REGISTER = """INSERT INTO temp.rembed_clients(name, options) VALUES
    (?, rembed_client_options('format', 'ollama', 'url', ?, 'model', 'tiny'))"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    directory = tmp_path_factory.mktemp("tiny")
    path = Bert().write(directory / "tiny.gguf")
    return Registry(threads=1).open_file(path, directory=directory)


@pytest.fixture
def server(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    monkeypatch.setattr(remote, "PAUSE", 0.02)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with EmbeddingServer(tiny) as server:
        yield server


@pytest.fixture
def model(server: EmbeddingServer) -> RemoteModel:
    return RemoteModel("far", endpoint_of("openai", "tiny", url=server.url))


def one(conn: Any, sql: str, *parameters: Any) -> Any:
    return conn.execute(sql, parameters).fetchone()[0]


# ---- The protocol


def test_vectors_are_those_of_the_model(
    model: RemoteModel, tiny: Model, server: EmbeddingServer
) -> None:
    texts = [f"the raven {n}" for n in range(2 * remote.BATCH + 5)]
    found = model.embed_report(texts)
    np.testing.assert_allclose(found.vectors, tiny.embed(texts), atol=1e-3)
    assert [len(request["input"]) for request in server.requests] == [64, 64, 5]
    assert {request["path"] for request in server.requests} == {"/v1/embeddings"}
    assert model.dimensions == 32
    assert model.embed([]).shape == (0, 32)
    assert np.abs(np.linalg.norm(model.embed(["raven"], dimensions=8), axis=1) - 1).max() < 1e-5


def test_long_texts_share_a_request_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(batch) for batch in remote.batches(["x" * 60_000] * 3 + ["y"])] == [1, 1, 2]


@pytest.mark.parametrize(
    "failures", [[(503, {})], [(429, {"Retry-After": "0"}), (500, {}), (502, {})]]
)
def test_what_passes_is_tried_again(
    model: RemoteModel, server: EmbeddingServer, failures: list[Any]
) -> None:
    server.failures = failures
    assert model.embed(["raven"]).shape == (1, 32)
    assert not server.failures


def test_what_does_not_pass_is_said(model: RemoteModel, server: EmbeddingServer) -> None:
    server.failures = [(503, {})] * 10
    with pytest.raises(ServerError, match=r"/v1/embeddings answered 503, 4 times$"):
        model.embed(["raven"])
    assert len(server.requests) == 4


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    nowhere = RemoteModel("far", endpoint_of("ollama", "x", url="http://127.0.0.1:9"))
    with pytest.raises(ServerError, match=r"127.0.0.1:9/v1/embeddings cannot be reached"):
        nowhere.embed(["x"])


def test_a_slow_server_is_given_up(
    model: RemoteModel, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ANSWER_SECONDS", 0.1)
    server.hold.clear()
    with pytest.raises(ServerError, match="did not answer in time"):
        model.embed(["x"])


def test_a_deadline_does_not_wait_for_the_server(
    model: RemoteModel, server: EmbeddingServer
) -> None:
    server.hold.clear()
    stop = time.monotonic() + 0.2

    def check() -> None:
        if time.monotonic() > stop:
            raise TimeoutError("enough")

    started = time.monotonic()
    with pytest.raises(TimeoutError, match="enough"):
        model.embed(["x"], check=check)
    assert time.monotonic() - started < remote.ANSWER_SECONDS / 4


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [1e999]}]}',
        b'{"data": [{"index": 0, "embedding": ["a"]}]}',
        b'{"data": [{"index": 7, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]}',
        b'{"data": 5}',
    ],
)
def test_an_answer_that_is_none(model: RemoteModel, server: EmbeddingServer, body: bytes) -> None:
    server.body = body
    with pytest.raises(ServerError, match=r"does not answer as|no numbers"):
        model.embed(["x"])


# ---- Keys


def test_a_key_comes_from_the_environment_when_it_is_sent(
    model: RemoteModel, server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = SECRET
    with pytest.raises(ServerError, match=r"wants another key \(401\): is OPENAI_API_KEY set"):
        model.embed(["x"])
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert model.embed(["x"]).shape == (1, 32)


def test_a_key_is_seen_nowhere(
    connect: Callable[..., Any], server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the table, not in an error of a server that repeats it, not in a traceback."""
    conn = connect()
    conn.execute(
        """INSERT INTO temp.rembed_clients(name, options) VALUES
           ('a', rembed_client_options('format', 'openai', 'url', ?, 'model', 'no', 'key', ?))""",
        (server.url, SECRET),
    )
    with pytest.raises(Exception, match="refused model 'no'") as caught:
        one(conn, "SELECT rembed('a', 'x')")
    assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    seen = "".join(traceback.format_exception(caught.value))
    for table in ("rembed_clients", "muninn_models"):
        seen += repr(conn.execute(f"SELECT * FROM temp.{table}").fetchall())
    endpoint = Endpoint("u", "m", Key(SECRET))
    assert SECRET not in seen + repr(endpoint) + str(RemoteModel("a", endpoint))


# ---- Addresses


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://localhost:11434/api/embeddings", "http://localhost:11434/v1/embeddings"),
        ("http://localhost:8080/embedding", "http://localhost:8080/v1/embeddings"),
        ("https://api.openai.com/v1/embeddings", "https://api.openai.com/v1/embeddings"),
        ("https://host/proxy/v1/", "https://host/proxy/v1/embeddings"),
        ("localhost:11434", "http://localhost:11434/v1/embeddings"),
    ],
)
def test_addresses(given: str, url: str) -> None:
    assert embeddings_url(given) == url


@pytest.mark.parametrize("given", ["file:///etc/passwd", "http://", "http://me:pw@host", "h://x"])
def test_addresses_that_are_none(given: str) -> None:
    with pytest.raises(ValueError, match="url must"):
        embeddings_url(given)


# ---- SQL


def test_rembed(connect: Callable[..., Any], server: EmbeddingServer, tiny: Model) -> None:
    conn = connect()
    conn.execute(REGISTER, ("c", f"{server.url}/api/embeddings"))
    for sql in ("rembed('c', ?)", "rembed('c', ?, 'search_query')", "muninn_embed('c', ?)"):
        vector = np.frombuffer(one(conn, f"SELECT {sql}", "the raven"), "<f4")
        np.testing.assert_allclose(vector, tiny.embed(["the raven"])[0], atol=1e-3)
    batch = "SELECT count(*) FROM muninn_embed_batch('c', ?)"
    assert one(conn, batch, json.dumps(["a", "b"])) == 2
    rows = conn.execute("SELECT name, options FROM temp.rembed_clients").fetchall()
    assert rows == [("c", f"{server.url}/v1/embeddings")]
    assert one(conn, "SELECT dim FROM muninn_models WHERE name = 'c'") is None  # asks nobody
    assert one(conn, "SELECT muninn_model_dim('c')") == 32
    assert one(conn, "SELECT dim FROM muninn_models WHERE name = 'c'") == 32
    conn.execute("DELETE FROM temp.rembed_clients")
    with pytest.raises(Exception, match="rembed: model 'c' is not loaded"):
        one(conn, "SELECT rembed('c', 'x')")


def test_a_provider_alone_takes_the_name_for_the_model(
    connect: Callable[..., Any], server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
    conn = connect()
    conn.execute("INSERT INTO temp.rembed_clients(name, options) VALUES ('tiny', 'openai')")
    assert len(one(conn, "SELECT rembed('tiny', 'x')")) == 4 * 32
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    assert len(one(conn, "SELECT muninn_embed('ollama:tiny', 'x')")) == 4 * 32


def test_a_file_from_anywhere_cannot_spend_a_key(
    connect: Callable[..., Any], sqlite: Any, server: EmbeddingServer, monkeypatch: Any
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    conn = connect()
    conn.executescript(
        """CREATE TABLE t(x);
           CREATE VIEW embeds AS SELECT muninn_embed('openai:tiny', 'x');
           CREATE VIEW asks AS SELECT rembed('tiny', 'x');
           CREATE TRIGGER registers AFTER INSERT ON t BEGIN
               INSERT INTO rembed_clients(name, options) VALUES ('tiny', 'openai');
           END;"""
    )
    with pytest.raises(sqlite.OperationalError, match="takes a key, so it must be registered"):
        conn.execute("SELECT * FROM embeds").fetchall()
    with pytest.raises(sqlite.OperationalError, match="unsafe use"):
        conn.execute("SELECT * FROM asks").fetchall()
    with pytest.raises(sqlite.OperationalError, match="unsafe use"):
        conn.execute("INSERT INTO t VALUES (1)")
    assert not server.requests
    named = connect(models={"openai:tiny": "openai:tiny"})  # by whoever owns the connection
    assert len(one(named, "SELECT muninn_embed('openai:tiny', 'x')")) == 4 * 32


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("INSERT INTO temp.rembed_clients VALUES ('a', 'opnai')", "format must be one of openai"),
        ("INSERT INTO temp.rembed_clients VALUES ('a', 5)", "options must be a format"),
        ("SELECT rembed_client_options('format')", "pairs of key and value"),
        ("SELECT rembed_client_options('model', 'x')", "'format' is required"),
        ("SELECT rembed_client_options('form', 'x')", "unknown option 'form'"),
        ("SELECT rembed('nobody', 'x')", "rembed: model 'nobody' is not loaded"),
    ],
)
def test_wrong_arguments(conn: Any, sqlite: Any, sql: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        conn.execute(sql).fetchall()


def test_what_a_server_cannot_do_is_said(
    connect: Callable[..., Any], sqlite: Any, server: EmbeddingServer
) -> None:
    conn = connect()
    conn.execute(REGISTER, ("c", server.url))
    with pytest.raises(sqlite.OperationalError, match="its tokens are not known"):
        one(conn, "SELECT muninn_token_count('c', 'x')")
    with pytest.raises(sqlite.OperationalError, match=r"is not computed by llama.cpp here"):
        one(conn, "SELECT muninn_rerank('c', 'x', 'y')")


def test_a_public_connection_asks_no_server(
    connect: Callable[..., Any], sqlite: Any, server: EmbeddingServer
) -> None:
    conn = connect(public=True, models={"far": "openai:tiny"})
    for sql in (
        "SELECT rembed('far', 'x')",
        "SELECT muninn_embed('far', 'x')",
        "SELECT muninn_embed('ollama:tiny', 'x')",
        "INSERT INTO temp.rembed_clients(name, options) VALUES ('a', 'openai')",
    ):
        with pytest.raises(sqlite.OperationalError, match="on this connection"):
            conn.execute(sql).fetchall()
    assert not server.requests


def test_an_interrupt_stops_a_request(
    connect: Callable[..., Any], sqlite: Any, server: EmbeddingServer
) -> None:
    conn = connect()
    conn.execute(REGISTER, ("c", server.url))
    server.hold.clear()
    started = time.monotonic()
    with interrupted(conn), pytest.raises(sqlite.OperationalError, match=r"^interrupted$"):
        one(conn, "SELECT rembed('c', begun('x'))")
    assert time.monotonic() - started < remote.ANSWER_SECONDS / 4


# ---- Trigrams


def test_trigrams_need_nothing(connect: Callable[..., Any]) -> None:
    conn = connect(public=True)
    sql = "SELECT muninn_embed('trigrams', ?)"
    corvid, corvids, ship = (
        np.frombuffer(one(conn, sql, text), "<f4") for text in ("corvid", "Corvids", "a ship")
    )
    assert corvid @ corvids > 0.5 > 0.2 > corvid @ ship
    assert one(conn, "SELECT muninn_model_dim('trigrams')") == 1024


def test_cosine_of_trigrams_is_near_their_share() -> None:
    model = TrigramModel()
    names = ["Hugin and Munin", "Huginn and Muninn", "Odin's ravens", "ravens of Odin", ""]
    vectors = model.embed(names)
    for i, one_name in enumerate(names):
        for j, other in enumerate(names[:i]):
            first, second = set(model.pieces(one_name)), set(model.pieces(other))
            share = len(first & second) / max(1, (len(first) * len(second)) ** 0.5)
            assert vectors[i] @ vectors[j] == pytest.approx(share, abs=0.15)
    assert not vectors[4].any()


# ---- Plugins


class Constant(TrigramModel):
    """A plugin's model."""


class OwnBackend:
    """Its only model."""

    name = "own"

    def open(self, name: str, host: Any) -> Any:
        return Constant(name=name, dimensions=64) if name.startswith("own:") else None

    @hookimpl
    def register_muninn_backends(self) -> list[Any]:
        return [self]


def test_a_plugin_adds_models(connect: Callable[..., Any]) -> None:
    plugin = OwnBackend()
    backends.plugins().register(plugin)
    try:
        found = list(backends.backends())
        assert found[-1] is plugin
        assert [each.name for each in found][:3] == ["llama.cpp", "trigrams", "servers"]
        assert len(one(connect(), "SELECT muninn_embed('own:x', 'y')")) == 4 * 64
    finally:
        backends.plugins().unregister(plugin)
