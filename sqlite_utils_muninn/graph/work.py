"""How a call does its work: within its memory, and ready to stop.

Kernels run without the GIL and ask nobody: they look at a flag. The thread that called them waits,
asks SQLite every few milliseconds whether to stop, and sets the flag.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _kernels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

ASK_EVERY = 0.02
"""Seconds between two questions whether to stop."""

SMALL = 200_000
"""Steps of work that are over before anybody could ask: a thread costs more than they do."""


class OverLimit(ValueError):
    """A call would take more memory than it may."""


class Stopped(Exception):
    """A kernel ended early because its flag was set."""


def _nothing() -> None:
    pass


def _no_bytes() -> int:
    return 0


@dataclass
class Work:
    """What one call may use: `check` raises when it must stop, `memory` is in bytes."""

    caller: str
    check: Callable[[], None] = _nothing
    memory: int | None = None
    threads: int = 1
    is_aside: bool = False
    """Whether this thread is not the one that called SQLite's function, and may run kernels."""
    held: Callable[[], int] = _no_bytes
    """What the call holds already: its graph, and what was built from that."""
    _stop: Any = field(default_factory=lambda: np.zeros(1, np.int32))

    def need(self, size: int, what: str) -> None:
        """Raise OverLimit when `size` bytes more are more than the call may use."""
        if self.memory is None or (held := self.held()) + size <= self.memory:
            return
        beside = f" beside {megabytes(held)} for the graph" if held else ""
        raise OverLimit(
            f"{self.caller}: {what} would take {megabytes(size)} of memory{beside}, "
            f"at most {megabytes(self.memory)} are allowed here"
        )

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Raise OverLimit, naming `what`, where the bridge refuses to read more than is allowed."""
        try:
            yield
        except MemoryError as error:
            if not str(error):  # there is no more, whatever may be used
                raise
            raise OverLimit(
                f"{self.caller}: {what} takes {error}, "
                f"at most {megabytes(self.memory or 0)} are allowed here"
            ) from None

    def run(self, kernel: str, *arguments: Any, steps: int) -> int:
        """Run one kernel of about so many steps and give its result."""
        return self.run_all(kernel, [arguments], steps=steps)[0]

    def run_all(self, kernel: str, calls: Sequence[Sequence[Any]], *, steps: int) -> list[int]:
        """Run a kernel several times at once, a thread for each call.

        What this thread's `check` raises is raised when all have stopped.
        """
        if steps <= SMALL or (self.is_aside and len(calls) == 1):
            self.check()
            return [_run(kernel, self._stop, arguments) for arguments in calls]
        results: list[Any] = [None] * len(calls)

        def one(number: int) -> None:
            try:
                results[number] = _run(kernel, self._stop, calls[number])
            except BaseException as error:  # handed to the caller's thread
                results[number] = error

        threads = [threading.Thread(target=one, args=(n,), daemon=True) for n in range(len(calls))]
        for thread in threads:
            thread.start()
        self._wait(threads)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def aside(self, compute: Callable[[Work], T], *, steps: int) -> T:
        """Compute in another thread, which gets a `Work` of its own, and wait for it.

        For long stretches of numpy, which ask nobody. When this call must stop, the thread is left
        to find that out at its next `check`.
        """
        if steps <= SMALL or self.is_aside:
            return compute(self)
        results: list[Any] = []

        def one() -> None:
            try:
                results.append(compute(replace(self, check=self._stopped, is_aside=True)))
            except BaseException as error:  # handed to the caller's thread
                results.append(error)

        thread = threading.Thread(target=one, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(ASK_EVERY)
                self.check()
        except BaseException:
            self._stop[0] = 1
            raise
        if isinstance(results[0], BaseException):
            raise results[0]
        found: T = results[0]
        return found

    def _stopped(self) -> None:
        if self._stop[0]:
            raise Stopped(self.caller)

    def _wait(self, threads: Sequence[threading.Thread]) -> None:
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(ASK_EVERY)
                    self.check()
        except BaseException:
            self._stop[0] = 1
            for thread in threads:
                thread.join()
            raise


def _run(kernel: str, stop: Any, arguments: Sequence[Any]) -> int:
    result = _kernels.call(kernel, stop, *arguments)
    if result < 0:
        raise Stopped(kernel)
    return result


def megabytes(size: int) -> str:
    """Say a size as people do."""
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"
