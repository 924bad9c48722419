"""The hooks of a vector table, known to the bridge before numpy and the tables are imported."""

from __future__ import annotations

from ...bridge import WritableTable


class Writable(WritableTable):
    """A table that follows transactions and can be checked.

    All that it writes is in SQLite's own tables, so that savepoints need no hooks.
    """

    def begin(self) -> None:
        """The first write of a transaction comes."""

    def sync(self) -> None:
        """The transaction is about to be committed."""

    def commit(self) -> None:
        """The transaction is committed."""

    def rollback(self) -> None:
        """The transaction is rolled back."""

    def integrity(self) -> str | None:
        """What PRAGMA integrity_check is to say of the table."""
        raise NotImplementedError


class Deferring(Writable):
    """A table that also keeps something in memory for the end of a transaction."""

    def savepoint(self, n: int) -> None:
        """A savepoint begins."""

    def rollback_to(self, n: int) -> None:
        """What was written since a savepoint is undone."""
