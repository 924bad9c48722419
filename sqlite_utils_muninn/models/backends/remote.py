"""Embedding over HTTP: OpenAI's embeddings protocol, in batches, with retries and deadlines."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelFileError
from ..model import Embedded, check_role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import httpx2
    from typing_extensions import Unpack

    from .backend import How
    from .servers import Endpoint

BATCH = 64  # texts of one request
BATCH_CHARACTERS = 100_000
ATTEMPTS = 4
PAUSE = 0.5  # seconds before the second attempt; doubles each time
LONGEST_PAUSE = 20.0  # seconds that a server may ask us to wait
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 60.0

_POLL = 0.02  # seconds between two looks whether to stop
_SHOWN = 200  # characters of a server's own words


class ServerError(ModelFileError):
    """A server did not answer, or not as it should."""


class _PassingError(Exception):
    """Something that another attempt may mend."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


@dataclass(frozen=True)
class RemoteModel:
    """A model on a server. Nothing is asked of the server before it is used."""

    name: str
    endpoint: Endpoint
    query_prefix: str = ""
    document_prefix: str = ""
    context: int = 8192
    """Not known: the server cuts, or refuses, what is too long."""
    quantization: None = None
    pooling: None = None
    size: None = None
    is_reranker: bool = False

    @property
    def is_loaded(self) -> bool:
        """Whether the server was asked before."""
        return self.known_dimensions is not None

    @property
    def known_dimensions(self) -> int | None:
        known: int | None = vars(self).get("dimensions")
        return known

    @property
    def path(self) -> str:
        return self.endpoint.url

    @property
    def architecture(self) -> str:
        return "server"

    @property
    def sha256(self) -> str:
        """Of the server's address and the model's name there: the weights are out of sight."""
        named = f"{self.endpoint.url}\n{self.endpoint.model}"
        return hashlib.sha256(named.encode()).hexdigest()

    @cached_property
    def dimensions(self) -> int:
        """Length of a vector: the server is asked once."""
        return int(request(self.endpoint, ["dimensions"], _nothing).shape[1])

    def embed(self, texts: Sequence[str], **how: Unpack[How]) -> np.ndarray:
        """Return the vectors of texts; arguments as of `embed_report`."""
        return self.embed_report(texts, **how).vectors

    def embed_report(
        self,
        texts: Sequence[str],
        *,
        role: str | None = None,
        dimensions: int | None = None,
        check: Callable[[], None] | None = None,
        threads: int | None = None,
    ) -> Embedded:
        """Return the vectors of texts, each of length 1.

        `dimensions` cuts them. `check` is called every 20 ms; what it raises ends the work.
        Raises ServerError.
        """
        check_role(role)
        prefix = {"query": self.query_prefix, "document": self.document_prefix}.get(role or "", "")
        check = check or _nothing
        if not texts:
            return Embedded(np.empty((0, dimensions or self.dimensions), np.float32), 0, 0)
        found = [
            request(self.endpoint, batch, check)
            for batch in batches([prefix + text for text in texts])
        ]
        if len({part.shape[1] for part in found}) != 1:
            raise ServerError(f"{self.endpoint.url} gave vectors of different lengths")
        vectors = np.concatenate(found)
        if dimensions is not None and not 0 < dimensions <= vectors.shape[1]:
            raise ValueError(
                f"dimensions must be 1 to {vectors.shape[1]} for model {self.name!r}, "
                f"got {dimensions}"
            )
        vectors = vectors[:, :dimensions]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1)), 0, 0)

    def tokenize(self, text: str) -> list[int]:
        """Refuse: the protocol has no tokens."""
        raise ValueError(f"model {self.name!r} is on a server, its tokens are not known here")

    def pieces(self, text: str) -> list[str]:
        """Refuse: the protocol has no tokens."""
        raise ValueError(f"model {self.name!r} is on a server, its tokens are not known here")

    def token_count(self, text: str) -> int:
        """Refuse: the protocol has no tokens."""
        raise ValueError(f"model {self.name!r} is on a server, its tokens are not known here")

    def named(self, name: str) -> RemoteModel:
        """Return the model under another name."""
        return replace(self, name=name)


def batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts in the portions of one request."""
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == BATCH or characters + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


def request(endpoint: Endpoint, texts: Sequence[str], check: Callable[[], None]) -> np.ndarray:
    """Return a server's vectors of one batch, float32 (texts, dimensions).

    What may pass (no connection, 429, 5xx) is tried again. Raises ServerError, and what `check`
    raises, at once: the request then ends unheard on its own thread.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _watched(lambda: _attempt(endpoint, texts), check)
        except _PassingError as error:
            if attempt + 1 == ATTEMPTS:
                raise ServerError(f"{endpoint.url} {error}, {ATTEMPTS} times") from error
            pause = max(error.pause, PAUSE * 2**attempt)
            until = time.monotonic() + min(pause, LONGEST_PAUSE)
            while time.monotonic() < until:
                check()
                time.sleep(_POLL)
    raise AssertionError("not reached")


def _watched(work: Callable[[], np.ndarray], check: Callable[[], None]) -> np.ndarray:
    """Do some work on another thread and return its result, while `check` does not raise."""
    result: Future[np.ndarray] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=run, name="muninn-request", daemon=True).start()
    while True:
        check()
        try:
            return result.result(timeout=_POLL)
        except TimeoutError:
            if result.done():  # the work's own
                raise
        except Exception as error:
            if type(error).__name__ == "TimeoutError" and not result.done():
                continue  # Python 3.10's concurrent.futures has one of its own
            raise


def _attempt(endpoint: Endpoint, texts: Sequence[str]) -> np.ndarray:
    import httpx2

    headers = {"User-Agent": "datasette-muninn"}
    if key := endpoint.key.read():
        headers["Authorization"] = f"Bearer {key}"
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    body = {"model": endpoint.model, "input": list(texts), "encoding_format": "float"}
    try:
        with httpx2.Client(timeout=timeout, follow_redirects=False) as client:
            response = client.post(endpoint.url, json=body, headers=headers)
    except httpx2.TimeoutException:
        raise _PassingError("did not answer in time") from None
    except httpx2.TransportError as error:
        raise _PassingError(f"cannot be reached ({error})") from None
    except httpx2.HTTPError as error:
        raise ServerError(f"{endpoint.url} cannot be asked: {error}") from None
    _check_status(endpoint, response)
    return _vectors(endpoint, response, len(texts))


def _check_status(endpoint: Endpoint, response: httpx2.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    if status == 429 or status >= 500:
        asked = response.headers.get("Retry-After", "")
        raise _PassingError(f"answered {status}", float(asked) if asked.isdecimal() else 0.0)
    if status in {401, 403}:
        variable = endpoint.key.source
        hint = f": is {variable} set, and right?" if variable else ""
        raise ServerError(f"{endpoint.url} wants another key ({status}){hint}")
    said = " ".join(response.text.split())[:_SHOWN]
    key = endpoint.key.read()
    if key and key in said:  # a server that repeats what it was sent
        said = "..."
    raise ServerError(f"{endpoint.url} refused model {endpoint.model!r} ({status}): {said}")


def _vectors(endpoint: Endpoint, response: httpx2.Response, count: int) -> np.ndarray:
    """Return the vectors of an answer, which may come in any order."""
    try:
        rows = response.json()["data"]
        order = [int(row.get("index", place)) for place, row in enumerate(rows)]
        if sorted(order) != list(range(count)):
            raise ValueError(f"{len(rows)} vectors for {count} texts")
        vectors = np.empty((count, len(rows[0]["embedding"])), np.float32)
        for place, row in zip(order, rows, strict=True):
            vectors[place] = row["embedding"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ServerError(
            f"{endpoint.url} does not answer as an embeddings server does ({error})"
        ) from None
    if not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ServerError(f"{endpoint.url} gave vectors that are no numbers")
    return vectors


def _nothing() -> None:
    pass
