"""Interrupts that come while a statement runs: one that comes before it begins is lost."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interruption:
    """When a statement was interrupted, and what was computed after that."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self._said: float | None = None
        self._ended: float | None = None

    def interrupt(self, conn: Any, seconds: float) -> None:
        """Once, so long after the statement said that it runs."""
        self.running.wait()
        if self._ended is None:
            time.sleep(seconds)
            self._said = time.process_time()
            conn.interrupt()

    def end(self) -> None:
        self._ended = time.process_time()
        self.running.set()

    @property
    def cpu_seconds(self) -> float:
        """From the interrupt to the end, in all threads: other programs' work does not count."""
        assert self._ended is not None
        assert self._said is not None, "no statement has begun"
        assert self._said <= self._ended, "the statement ended before it was interrupted"
        return self._ended - self._said


@contextmanager
def interrupted(conn: Any, seconds: float = 0.2) -> Iterator[Interruption]:
    """Interrupt the statement of the body, so long after it began to run.

    It says so by calling `begun(x)`, which gives x back: an argument of what takes long.
    """
    made = Interruption()

    def begun(value: Any) -> Any:
        made.running.set()
        return value

    conn.create_function("begun", 1, begun)
    thread = threading.Thread(target=made.interrupt, args=(conn, seconds), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.end()
        thread.join()
