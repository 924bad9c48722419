"""Indexes that were searched a short while ago, whether a connection holds them now or not.

A program that opens a connection for each request would else load the index for each. Nothing is
kept for longer than a minute, beyond the memory that the host allows, or without its file. One
thread looks after that and ends when nothing is kept; no exit waits for it.
"""

from __future__ import annotations

import math
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .index import Index

SECONDS = 60.0  # after the last search
TICK = 5.0  # between two looks at the clock, the files and the memory
NOTED = 1.0  # a search sooner than that after another one is not noted


class Place(NamedTuple):
    """A database file: the same path may name another one later."""

    path: str
    device: int
    inode: int

    @classmethod
    def at(cls, path: str) -> Place | None:
        """The file at a path; None: there is none (a database in memory)."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return cls(path, status.st_dev, status.st_ino)

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to the file."""
        return Place.at(self.path) == self


_abandoned: list[object] = []


def abandon(indexes: dict[Any, Any]) -> None:
    """Empty what a forked process has of its parent's indexes, and never free them.

    A thread of the parent may have been at work on one. The memory is the parent's, unchanged.
    """
    _abandoned.append(dict(indexes))
    indexes.clear()


class _Use(NamedTuple):
    place: Place
    when: float


class Recent:
    """The indexes that are kept, and the thread that lets them go."""

    def __init__(self) -> None:
        self.limit: float = math.inf
        """Bytes. An index grows as it is loaded: beyond them it is let go within a tick."""
        self.forget()

    def forget(self) -> None:
        """Keep nothing."""
        self._lock = threading.Lock()
        self._uses: dict[Index, _Use] = {}
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Begin anew: neither the thread nor who held the lock are here."""
        abandon(self._uses)
        self.forget()

    def use(self, index: Index, place: Place) -> None:
        """An index is searched, which is that of a table in a file."""
        now = time.monotonic()
        last = self._uses.get(index)
        if (last is not None and now - last.when < NOTED) or not self.limit:
            return
        with self._lock:
            self._uses[index] = _Use(place, now)
            if self._thread is None:
                self._start()

    def drop(self, index: Index) -> None:
        """Its table is gone."""
        with self._lock:
            self._uses.pop(index, None)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="muninn-recent", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads here, or the interpreter ends
            self._thread = None
            self._uses.clear()

    def _watch(self) -> None:
        while self._thread is threading.current_thread():
            time.sleep(TICK)
            self.trim()
            with self._lock:
                if not self._uses:
                    self._thread = None

    def trim(self) -> None:
        """Let go what is kept for too long, has lost its file, or takes too much memory."""
        with self._lock:
            uses = sorted(self._uses.items(), key=lambda item: -item[1].when)
        oldest, size = time.monotonic() - SECONDS, 0
        for index, use in uses:
            size += index.bytes
            if use.when < oldest or size > self.limit or not use.place.is_there:
                with self._lock:
                    if self._uses.get(index) is use:  # not searched meanwhile
                        del self._uses[index]


RECENT = Recent()
