"""llama.cpp's own server, real and on loopback, as the one that `rembed` asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")
pytest.importorskip("fastapi", reason="llama-cpp-python[server] is not installed")
pytest.importorskip("sse_starlette", reason="llama-cpp-python[server] is not installed")
pytest.importorskip("starlette_context", reason="llama-cpp-python[server] is not installed")

from sqlite_utils_muninn.models.registry import Registry
from tests.served import running
from tests.tiny_gguf import Bert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Bert().write(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(path: Path) -> Iterator[str]:
    """The address of a server that wants a key."""
    options = ["--model", path, "--model_alias", "tiny", "--embedding", "true",
               "--api_key", "open-sesame", "--n_ctx", "64"]  # fmt: skip
    # It takes these two from the environment, if they are there.
    with running("llama_cpp.server", *options, HOST="127.0.0.1", PORT="0") as address:
        yield address


def test_rembed_gives_what_the_model_gives(
    connect: Callable[..., Any],
    sqlite: Any,
    server: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conn = connect()
    conn.execute(
        """INSERT INTO temp.rembed_clients(name, options)
           VALUES ('tiny', rembed_client_options('format', 'openai', 'url', ?))""",
        (server,),
    )
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(sqlite.OperationalError, match="is OPENAI_API_KEY set"):
        conn.execute("SELECT rembed('tiny', 'x')").fetchone()
    monkeypatch.setenv("OPENAI_API_KEY", "open-sesame")
    texts = ["the raven remembers", "search", "unremembered graph"]
    sql = "SELECT rembed('tiny', ?)"
    found = [np.frombuffer(conn.execute(sql, (text,)).fetchone()[0], "<f4") for text in texts]
    model = Registry(threads=1).open_file(path, directory=path.parent)
    np.testing.assert_allclose(found, model.embed(texts), atol=1e-3)
