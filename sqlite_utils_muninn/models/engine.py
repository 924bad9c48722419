"""One model file in this process: its weights, and the contexts that compute with them.

Weights are loaded on first use and shared by all connections and threads. A context belongs to one
thread for one batch, then goes back: so a single query waits for one batch of a bulk job, never for
the whole job, and no more contexts than cores compute at once.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from . import batches, encoder
from .errors import ModelFileError
from .limits import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .files.header import Header
    from .llama import Context, Weights
    from .wordpiece import WordPiece

    AnyContext = Context | encoder.EncoderContext
    AnyWeights = Weights | WordPiece

SMALLEST = 256  # tokens; contexts have this size or a power of two above it
KEPT = 2048
"""Larger contexts are freed after use: making one takes milliseconds, filling it takes seconds."""

_POLL = 0.02  # seconds between two looks whether to go on waiting
_PATIENCE = 2.0  # seconds that exit waits for computations to stop

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_rooms = threading.Lock()
"""Held while one model makes room: two at once would each find it."""


class Engine:
    """A model file's weights and contexts. Its methods may be called by any thread."""

    def __init__(
        self, header: Header, pooling: str, capacity: int, agreement: float | None = None
    ) -> None:
        self.header = header
        self.pooling = pooling
        self.agreement = agreement
        """How near `encoder.py` comes to llama.cpp, as the trial run of the file found."""
        self.capacity = capacity
        """Contexts that may compute at once."""
        self.last_used = 0.0
        self._start_over()
        _engines.add(self)

    def _start_over(self) -> None:
        """Begin without weights. What there was is left alone: after a fork it is not ours."""
        self._loading = threading.Lock()
        self._state = threading.Condition()
        self._weights: AnyWeights | None = None
        self._encoder: encoder.Encoder | None = None
        self._is_reserved = False
        self._idle: list[AnyContext] = []
        self._busy: set[AnyContext] = set()
        self._making = 0
        self._line: list[object] = []
        self._users = 0
        self._closed = False

    @property
    def is_loaded(self) -> bool:
        return self._weights is not None

    @property
    def is_int8(self) -> bool:
        """Whether this file is computed by `encoder.py`: decided when it is loaded."""
        return self._encoder is not None

    @property
    def needs_llama(self) -> bool:
        """Whether this file can be used only where llama-cpp-python is installed."""
        return not encoder.serves(self.header, self.pooling, self.agreement)

    @property
    def computed_by(self) -> str:
        """What computes this file when it is loaded next, for people."""
        return encoder.computed_by(self.header, self.pooling, self.agreement)

    @property
    def most_texts(self) -> int:
        """Texts of one batch."""
        return encoder.SEQUENCES if self._encoder else llama_sequences()

    @property
    def most_tokens(self) -> int:
        """Tokens of one batch, unless one text alone has more."""
        return encoder.TOKENS if self._encoder else batches.TOKENS

    @property
    def takes_memory(self) -> bool:
        """Whether the file is in memory, or about to be."""
        return self._weights is not None or self._is_reserved

    @contextlib.contextmanager
    def weights(self) -> Iterator[AnyWeights]:
        """Lend the weights, loading them if need be; they stay as long as somebody has them.

        Raises ModelFileError where the file cannot be loaded, LlamaMissingError.
        """
        with self._state:
            self._users += 1
        try:
            yield self._load()
        finally:
            with self._state:
                self._users -= 1
                self.last_used = time.monotonic()
                self._state.notify_all()

    def _load(self) -> AnyWeights:
        with self._loading:
            if self._closed:
                raise ModelFileError("models cannot be used while the process ends")
            if self._weights is None:
                _reserve(self)
                try:
                    self._weights = self._read()
                finally:
                    self._is_reserved = False
            return self._weights

    def _read(self) -> AnyWeights:
        from .llama import Weights

        if not encoder.serves(self.header, self.pooling, self.agreement):
            return Weights(self.header.path, limits.gpu_layers)
        made = encoder.Encoder(self.header, self.pooling)
        try:
            weights = _vocabulary(self.header)
        except BaseException:
            made.close()
            raise
        self._encoder = made
        return weights

    @contextlib.contextmanager
    def context(self, tokens: int, check: Callable[[], None]) -> Iterator[AnyContext]:
        """Lend a context for so many tokens, waiting for one while `check` does not raise."""
        with self.weights() as weights:
            context = self._take(weights, tokens, check)
            try:
                yield context
            finally:
                self._give_back(context)

    def _take(self, weights: AnyWeights, tokens: int, check: Callable[[], None]) -> AnyContext:
        with self._state:
            self._wait_in_line(check)
            fitting = [context for context in self._idle if context.size >= tokens]
            if fitting:
                context = min(fitting, key=lambda context: context.size)
                self._idle.remove(context)
                self._busy.add(context)
                return context
            self._making += 1
        made: AnyContext | None = None
        try:
            made = self._make(weights, tokens)
        finally:
            with self._state:
                self._making -= 1
                if made:
                    self._busy.add(made)
        return made

    def _make(self, weights: AnyWeights, tokens: int) -> AnyContext:
        if self._encoder:
            return encoder.EncoderContext(self._encoder)
        from .llama import Context, Weights

        assert isinstance(weights, Weights)
        return Context(weights, size_for(tokens), self.pooling)

    def _wait_in_line(self, check: Callable[[], None]) -> None:
        """Return when a context may be taken, first come, first served.

        Without a line a bulk job, which takes a context as soon as it has given one back, kept a
        single query waiting for a minute.
        """
        ticket = object()
        self._line.append(ticket)
        try:
            while self._line[0] is not ticket or (
                len(self._busy) + self._making >= self.capacity and not self._closed
            ):
                self._state.wait(_POLL)
                check()
        finally:
            self._line.remove(ticket)
            self._state.notify_all()
        if self._closed:
            raise ModelFileError("models cannot be used while the process ends")

    def _give_back(self, context: AnyContext) -> None:
        surplus: list[AnyContext] = []
        with self._state:
            self._busy.discard(context)
            if context.size > KEPT:
                surplus.append(context)
            else:
                self._idle.append(context)
            while len(self._idle) > self.capacity:
                surplus.append(self._idle.pop(0))
            self._state.notify_all()
            for unneeded in surplus:
                unneeded.close()

    def unload(self) -> bool:
        """Free weights and contexts unless somebody uses them; return whether that was done."""
        if not self._loading.acquire(blocking=False):
            return False
        try:
            with self._state:
                if self._users:
                    return False
                self._free()
        finally:
            self._loading.release()
        return True

    def _free(self) -> None:
        for context in self._idle:
            context.close()
        self._idle.clear()
        if self._encoder:
            self._encoder.close()
            self._encoder = None
        if self._weights:
            self._weights.close()
            self._weights = None

    def close(self) -> None:
        """Stop what computes, wait for it, and free all; for the end of the process.

        Where a thread does not stop in time its memory is left to the system: freeing it under a
        running computation would crash.
        """
        deadline = time.monotonic() + _PATIENCE
        with self._state:
            self._closed = True
            while self._users and time.monotonic() < deadline:
                for context in self._busy:
                    context.abort()
                self._state.wait(_POLL)
            if not self._users:
                self._free()


def _vocabulary(header: Header) -> AnyWeights:
    """Return what tokenizes for the encoder: our own code where it can, else llama.cpp."""
    from .llama import Weights, is_installed
    from .wordpiece import WordPiece

    try:
        if header.tokenizer == encoder.WORDPIECE:
            return WordPiece(header)
    except ModelFileError:
        if not is_installed():
            raise
    return Weights(header.path, vocabulary_only=True)


def llama_sequences() -> int:
    """Return how many texts a batch of llama.cpp's may have."""
    from .llama import SEQUENCES

    return SEQUENCES


def size_for(tokens: int) -> int:
    """Return the size of the context that serves so many tokens."""
    return max(SMALLEST, 1 << (tokens - 1).bit_length())


def _reserve(engine: Engine) -> None:
    """Unload what was not used for longest until a model has room, and take that for it.

    Raises ModelFileError where it alone is above the limit.
    """
    size = engine.header.size
    if size > limits.bytes:
        raise ModelFileError(
            f"{engine.header.path} takes {size / 1e6:,.0f} MB of memory, "
            f"models may take {limits.bytes / 1e6:,.0f} MB"
        )
    with _rooms:
        others = [each for each in list(_engines) if each.takes_memory and each is not engine]
        taken = sum(each.header.size for each in others)
        count = len(others)
        for other in sorted(others, key=lambda each: each.last_used):
            if count < limits.models and taken + size <= limits.bytes:
                break
            if other.unload():
                count -= 1
                taken -= other.header.size
        engine._is_reserved = True


def _close_all() -> None:
    loaded = [engine for engine in list(_engines) if engine.is_loaded]
    for engine in loaded:
        engine.close()
    if loaded:
        from .llama import silence_for_exit

        silence_for_exit()


def _start_over_in_child() -> None:
    """In a forked child no inherited lock can be trusted, nor memory that a thread worked on."""
    global _rooms  # noqa: PLW0603 - another thread may have held it at the fork
    _rooms = threading.Lock()
    for engine in list(_engines):
        engine._start_over()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
