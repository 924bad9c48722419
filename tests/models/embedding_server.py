"""A server on loopback that speaks OpenAI's embeddings protocol and computes with a real model.

It can be told to misbehave as servers do: to fail for a while, to want a key, to hang.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlite_utils_muninn.models.model import Model


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that gives up is what some tests are about."""


class EmbeddingServer:
    """Use as a context; `url` is its address."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        """Answers to give before a good one: status and headers."""
        self.key: str | None = None
        self.body: bytes | None = None
        """What to answer instead of vectors."""
        self.hold = threading.Event()
        self.hold.set()

    def __enter__(self) -> EmbeddingServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *error: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.headers.append(dict(handler.headers))
        self.requests.append({"path": handler.path, **request})
        self.hold.wait()
        if self.failures:
            status, headers = self.failures.pop(0)
            return self.send(handler, status, b'{"error": "not now"}', headers)
        if self.key and handler.headers["Authorization"] != f"Bearer {self.key}":
            return self.send(handler, 401, b'{"error": "who are you?"}')
        if request["model"] != "tiny":
            given = handler.headers["Authorization"]
            said = {"error": f"no model {request['model']}, and you sent {given}"}
            return self.send(handler, 404, json.dumps(said).encode())
        return self.send(handler, 200, self.body or self.vectors(request["input"]))

    def vectors(self, texts: list[str]) -> bytes:
        """Return the answer, its vectors last first and not of length 1, as the protocol allows."""
        rows = [
            {"object": "embedding", "index": number, "embedding": [3 * float(x) for x in vector]}
            for number, vector in enumerate(self.model.embed(texts))
        ]
        return json.dumps({"object": "list", "data": rows[::-1]}).encode()

    def send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
    ) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
