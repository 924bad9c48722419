"""The hooks of a vector table, known to the bridge before numpy and the tables are imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..bridge import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Sequence


class Writable(VirtualTable):
    """A table that rows are written to, in transactions.

    All that it writes is in SQLite's own tables, so that savepoints need no hooks.
    """

    def insert(self, rowid: Any, values: Sequence[Any], conflict: str) -> int:
        """INSERT; returns the rowid."""
        raise NotImplementedError

    def update(self, old_rowid: int, new_rowid: Any, values: Sequence[Any], conflict: str) -> None:
        """UPDATE; values that stay are NOCHANGE."""
        raise NotImplementedError

    def delete(self, rowid: int) -> None:
        """DELETE."""
        raise NotImplementedError

    def begin(self) -> None:
        """The first write of a transaction comes."""

    def sync(self) -> None:
        """The transaction is about to be committed."""

    def commit(self) -> None:
        """The transaction is committed."""

    def rollback(self) -> None:
        """The transaction is rolled back."""

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO."""
        raise NotImplementedError

    def integrity(self) -> str | None:
        """What PRAGMA integrity_check is to say of the table."""
        raise NotImplementedError


class Deferring(Writable):
    """A table that also keeps something in memory for the end of a transaction."""

    def savepoint(self, n: int) -> None:
        """A savepoint begins."""

    def rollback_to(self, n: int) -> None:
        """What was written since a savepoint is undone."""
