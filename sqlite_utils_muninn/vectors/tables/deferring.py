"""A table whose rows get their vectors some at a time: when, and whatever SQLite undoes meanwhile.

A failure while vectors are made fails what asked for them and leaves nothing half done: a search or
a further INSERT fails alone, a commit rolls the transaction back. The one statement of a
transaction in autocommit mode is its own commit. Where no statement asks, at the end of one inside
a transaction, SQLite would roll back all of it and not even say why; so that asks for nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...bridge import Interrupted
from ..storage.schema import vector_tables
from ..texts.deferred import BATCH, Deferred, deferred, prepared
from .mendable import in_plain_words
from .stored import StoredTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...bridge import Query, Rows
    from ..texts.passages import Made


class DeferringTable(StoredTable):
    """Subclasses say how rows get their vectors, and which columns show it."""

    computed: tuple[str, ...]
    """Columns that only a row with a vector has."""

    def give_vectors(self, ids: Sequence[int]) -> None:
        """Make and store the vectors of those of some rows that wait for one.

        What cannot be made is raised before anything is stored.
        """
        raise NotImplementedError

    def defer(self, id_: int) -> None:
        """Note that a row, just written, waits for its vector."""
        found = self._open()
        if found:
            found.add(id_)

    def keep_made(self, hashed: bytes, made: Made) -> None:
        """Note the vectors of a row that is moved to another rowid."""
        found = self._open()
        if found:
            found.moved[hashed] = made

    def ready(self, hashed: bytes) -> Made | None:
        """What a text became that need not be embedded, by the hash of the text."""
        found = self.deferred_here()
        if found and hashed in found.moved:
            return found.moved[hashed]
        made_before, key = prepared(self.db), self._key()
        return made_before.get(key, {}).get(hashed) if key and made_before else None

    def _open(self) -> Deferred | None:
        """What waits in this transaction; None where the table is damaged."""
        key = self._key()
        return deferred(self.db).setdefault(key, Deferred(self)) if key else None

    def deferred_here(self) -> Deferred | None:
        """What waits; None: nothing has been written."""
        open_ = deferred(self.db)
        key = self._key() if open_ else None
        return open_.get(key) if key else None

    @in_plain_words
    def give_all(self) -> None:
        """Let no row of this transaction wait any longer."""
        found = self.deferred_here()
        if found and found.waiting and not found.is_busy:
            self._give(found)

    def _give(self, found: Deferred) -> None:
        kept = self.db.last_insert_rowid
        table: DeferringTable = found.table
        with found.busy():
            try:
                for ids in found.batches():
                    # Where the table was made in a savepoint that is undone, nothing waits.
                    if table._is_there():
                        table.give_vectors(ids)
                    found.settle(ids)
            finally:
                self.db.last_insert_rowid = kept

    def _is_there(self) -> bool:
        """Whether the table is in the file; a name that was given and undone is forgotten."""
        if self.storage.is_there:
            return True
        for table in vector_tables(self.db, self.storage.schema):
            if table.id == self.storage.id:
                self.storage.call(table.name)
                return True
        return False

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A row is written: rows that wait are seen to before, for then nothing is half done."""
        found = self._open()
        if found is None:
            yield
            return
        found.table = self
        if len(found.waiting) >= BATCH:
            self.give_all()
        with found.busy():
            yield

    # ---- What asks for vectors ----

    def filter(self, query: Query) -> Rows | Iterator[Rows]:
        """Answer a statement."""
        searches = query.plan.endswith(" match")
        if searches or any(self.reads(query, column) for column in self.computed):
            self.give_all()
        return super().filter(query)

    def insert(self, rowid: Any, values: Sequence[Any], conflict: str) -> int:
        """INSERT."""
        with self._writing():
            return super().insert(rowid, values, conflict)

    def update(self, old_rowid: int, new_rowid: Any, values: Sequence[Any], conflict: str) -> None:
        """UPDATE."""
        with self._writing():
            super().update(old_rowid, new_rowid, values, conflict)

    def delete(self, rowid: int) -> None:
        """DELETE."""
        with self._writing():
            super().delete(rowid)

    def run_command(self, command: object) -> None:
        """Run a command on rows that all have their vectors."""
        found = self.deferred_here()
        if found:
            self._give(found)
        super().run_command(command)

    # ---- Transactions ----

    def savepoint(self, n: int) -> None:
        """A savepoint begins, of the user's or of a statement that writes more than one row.

        Where a table is dropped and that is undone, SQLite does not tell it of the commit. So what
        waits is seen to before. SQLite has no words for an error here: the commit will say it.
        """
        found = self.deferred_here()
        if not found or found.has_failed:
            return
        try:
            self.give_all()
        except Interrupted:
            raise
        except Exception:
            found.has_failed = True

    def rollback_to(self, n: int) -> None:
        """What was written since a savepoint is undone, vectors among it."""
        found = self.deferred_here()
        if found and not found.is_busy:
            found.doubt()

    def sync(self) -> None:
        """The transaction is about to be committed."""
        self.give_all()
        super().sync()

    def _end(self) -> None:
        super()._end()
        if self.storage.known_id:
            deferred(self.db).pop((self.storage.schema, self.storage.known_id), None)

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO: from now on it is this object that knows the name."""
        super().rename(new_name)
        found = self.deferred_here()
        if found:
            found.table = self
