"""Rows whose texts were written in a transaction and have no vector yet.

A model makes two to four times more vectors a second in batches than one by one. So a row is
written with its text and without a vector, and gets that before anybody can miss it: at a search
on the same connection, a savepoint, the commit.

That a row waits is written in the row itself (text, but no hash), so whatever SQLite undoes is
undone here too. What this file keeps in memory only says where to look: every row that waits is
among its ids, not every one of its ids waits.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...bridge import Database
    from .embedder import Fingerprint
    from .passages import Made

_STATE = "vectors.deferred"
_PREPARED = "vectors.prepared"

BATCH = 512
"""Rows that may wait: enough texts of each length, and an error comes soon."""


@dataclass
class Deferred:
    """What one transaction wrote to one table."""

    table: Any
    """The table object that wrote last: after a change of the schema SQLite makes new ones, and
    tells the old ones, too, of the commit."""
    waiting: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    """Those that have got their vectors, which ROLLBACK TO may take away again."""
    moved: dict[bytes, Made] = field(default_factory=dict)
    """Vectors of rows that were given another rowid, by the hash of the text."""
    mark: Fingerprint | None = None
    """What the table remembers of its model, once that has been read."""
    has_model: bool = False
    """Whether that model has been seen to be there."""
    is_busy: bool = False
    has_failed: bool = False
    """Whether vectors could not be made: then only those are made that somebody asks for."""

    def add(self, id_: int) -> None:
        """A row waits."""
        self.waiting.add(id_)

    def batches(self) -> Iterator[list[int]]:
        """The ids, those together that are to be looked at together."""
        ids = sorted(self.waiting)
        for start in range(0, len(ids), BATCH):
            yield ids[start : start + BATCH]

    def settle(self, ids: list[int]) -> None:
        """These wait no longer."""
        self.waiting.difference_update(ids)
        self.done.update(ids)
        self.moved.clear()

    def doubt(self) -> None:
        """Something was undone: any row may wait again."""
        self.has_failed = False
        self.waiting |= self.done
        self.done.clear()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """While a row is written, statements of our own have savepoints that mean nothing here."""
        before, self.is_busy = self.is_busy, True
        try:
            yield
        finally:
            self.is_busy = before


def deferred(db: Database) -> dict[tuple[str, str], Deferred]:
    """The open transactions of a connection, by schema and table id."""
    found: dict[tuple[str, str], Deferred] = db.state.setdefault(_STATE, {})
    return found


@contextmanager
def made_before(
    db: Database, table: tuple[str, str], vectors: Mapping[bytes | None, Made]
) -> Iterator[None]:
    """Let a table, by schema and id, find vectors ready by the hash of their text."""
    prepared(db)[table] = {hashed: made for hashed, made in vectors.items() if hashed}
    try:
        yield
    finally:
        del prepared(db)[table]


def prepared(db: Database) -> dict[tuple[str, str], dict[bytes, Made]]:
    """Vectors that were made before a transaction, by schema and table id, then hash of the text.

    So a model can work while nothing is locked.
    """
    found: dict[tuple[str, str], dict[bytes, Made]] = db.state.setdefault(_PREPARED, {})
    return found
