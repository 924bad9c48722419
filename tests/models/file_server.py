"""A real HTTP server on the loopback that serves one file, well or badly."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass, field


@dataclass
class Behaviour:
    """What the server does, and what it saw."""

    content: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    cut_after: int | None = None  # bytes of each answer, then the connection is closed
    cuts: int = 1_000_000  # how many answers are cut
    status: int | None = None  # answer with this instead of the file
    statuses: int = 1_000_000  # how many times
    length: bool = True  # whether Content-Length is sent
    extra: dict[str, str] = field(default_factory=dict)
    held: frozenset[int] = frozenset()  # which requests, from 1, wait until `go_on` is set
    go_on: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, str]] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        does = self.behaviour
        does.requests.append(dict(self.headers))
        if len(does.requests) in does.held:
            does.go_on.wait()
        if does.status and does.statuses:
            does.statuses -= 1
            self.send_error(does.status)
            return
        start = self._start()
        if start is not None and start >= len(does.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(does.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send_file(start)

    def _start(self) -> int | None:
        """The first byte asked for; None where the whole file is to be sent."""
        asked = self.headers.get("Range")
        unchanged = self.headers.get("If-Range") in {None, self.behaviour.etag}
        if not asked or not self.behaviour.ranges or not unchanged:
            return None
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send_file(self, start: int | None) -> None:
        does = self.behaviour
        body = does.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        if start is not None:
            total = len(does.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if does.length:
            self.send_header("Content-Length", str(len(body)))
        if does.etag:
            self.send_header("ETag", does.etag)
        for name, value in does.extra.items():
            self.send_header(name, value)
        self.end_headers()
        if does.cut_after is not None and does.cuts:
            does.cuts -= 1
            body = body[: does.cut_after]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


class FileServer:
    """`url` is where the file is; `does` is how it is served."""

    def __init__(self, content: bytes, **behaviour: object) -> None:
        self.does = Behaviour(content, **behaviour)  # type: ignore[arg-type]
        handler = type("Handler", (_Handler,), {"behaviour": self.does})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/model.gguf"

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.does.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
