"""Running batches on several threads, watched by the one that asked.

The asking thread does not compute: it looks every few milliseconds whether to stop (an interrupted
query, a time limit, Ctrl-C), which a thread inside native code could not.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from .batches import plan
from .engine import SMALLEST
from .errors import Aborted, ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .engine import AnyContext, Engine

_POLL = 0.02  # seconds


def compute(
    engine: Engine, texts: Sequence[np.ndarray], threads: int, check: Callable[[], None]
) -> np.ndarray:
    """Return what the model makes of tokenized texts, float32 (n, width), in their order.

    `check` is called from the calling thread about every 20 ms; what it raises stops the work,
    is raised from here, and leaves no thread behind.
    """
    threads = max(1, min(threads, engine.capacity))
    lengths = np.fromiter((len(ids) for ids in texts), np.int64, len(texts))
    batches = plan(lengths, threads, engine.most_texts, engine.most_tokens)
    if len(batches) == 1 and lengths.sum() <= SMALLEST:
        return _compute_here(engine, texts, batches[0], check)
    job = _Job(engine, texts, batches)
    job.run(min(threads, len(batches)), check)
    return job.vectors()


def _compute_here(
    engine: Engine, texts: Sequence[np.ndarray], rows: np.ndarray, check: Callable[[], None]
) -> np.ndarray:
    """Compute one small batch on this thread: milliseconds, not worth another thread."""
    check()
    tokens = sum(len(ids) for ids in texts)
    with engine.context(tokens, check) as context:
        try:
            found = context.embed([texts[row] for row in rows])
        except Aborted:  # nothing else aborts what runs here
            raise ModelFileError("models cannot be used while the process ends") from None
    out = np.empty_like(found)
    out[rows] = found
    return out


class _Stopped(Exception):
    """A worker gave up because its job was stopped."""


class _Job:
    """Batches that threads take one after the other."""

    def __init__(
        self, engine: Engine, texts: Sequence[np.ndarray], batches: Sequence[np.ndarray]
    ) -> None:
        self.engine = engine
        self.texts = texts
        self.batches = batches
        self.found: list[np.ndarray | None] = [None] * len(batches)
        self.lock = threading.Condition()
        self.running = 0
        self.next = 0
        self.computing: set[AnyContext] = set()
        self.stopped = False
        self.error: BaseException | None = None

    def run(self, threads: int, check: Callable[[], None]) -> None:
        """Compute all batches; raise what `check` or the first failing worker raises."""
        workers = [
            threading.Thread(target=self._work, name=f"muninn-embed-{number}")
            for number in range(threads)
        ]
        try:
            for worker in workers:
                self._start(worker)
            while not self._is_done(wait=_POLL):
                check()
        finally:
            self._stop()
            # Not by join() alone: Python 3.11 takes a thread for dead when Ctrl-C interrupts one.
            while not self._is_done(wait=_POLL):
                pass
            for worker in workers:
                if worker.ident is not None:  # it was started
                    worker.join()
        if self.error:
            raise self.error

    def _start(self, worker: threading.Thread) -> None:
        with self.lock:
            self.running += 1
        try:
            worker.start()
        except RuntimeError:  # no more threads; one that Ctrl-C meets while it starts does run
            with self.lock:
                self.running -= 1
            raise

    def _is_done(self, wait: float) -> bool:
        with self.lock:
            if self.running:
                self.lock.wait(wait)
            return not self.running

    def vectors(self) -> np.ndarray:
        first = self.found[0]
        assert first is not None
        out = np.empty((len(self.texts), first.shape[1]), np.float32)
        for rows, found in zip(self.batches, self.found, strict=True):
            out[rows] = found
        return out

    def _stop(self) -> None:
        with self.lock:
            self.stopped = True
            for context in self.computing:
                context.abort()

    def _work(self) -> None:
        try:
            while (number := self._take()) is not None:
                self.found[number] = self._compute(self.batches[number])
        except _Stopped:
            pass
        except BaseException as error:
            with self.lock:
                self.error = self.error or error
            self._stop()
        finally:
            with self.lock:
                self.running -= 1
                self.lock.notify_all()

    def _take(self) -> int | None:
        with self.lock:
            if self.stopped or self.next == len(self.batches):
                return None
            self.next += 1
            return self.next - 1

    def _check(self) -> None:
        if self.stopped:
            raise _Stopped

    def _compute(self, rows: np.ndarray) -> np.ndarray:
        texts = [self.texts[row] for row in rows]
        tokens = sum(len(ids) for ids in texts)
        with self.engine.context(tokens, self._check) as context:
            with self.lock:
                self._check()
                self.computing.add(context)
            try:
                return context.embed(texts)
            except Aborted:
                raise _Stopped from None
            finally:
                with self.lock:
                    self.computing.discard(context)
                    context.abort(False)
