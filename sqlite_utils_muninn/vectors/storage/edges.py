"""The saved index of a table, in v_edges: see saved.py for what is in its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...bridge import quote
from ..index.index import Position, followed
from ..index.saved import claim, read_head, restore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..blob import Ids, Matrix
    from ..index.index import Index
    from ..index.saved import Restored, Saved
    from ..options import GraphOptions
    from .storage import Storage


class Edges:
    """The saved index of one table on one connection, and what it is restored from."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @property
    def _name(self) -> str:
        return self._storage.name("edges")

    def write(self, rows: Sequence[bytes]) -> None:
        """Write the saved index anew; no rows: there is none."""
        self._storage.db.execute(f"DELETE FROM {self._name}")
        for number, row in enumerate(rows):
            self._storage.db.execute(f"INSERT INTO {self._name} VALUES (?, ?)", (number, row))

    # ---- What it says of itself ----

    def _head(self) -> object:
        rows = self._storage.db.execute(f"SELECT data FROM {self._name} WHERE id = 0")
        return rows[0][0] if rows else None

    def has(self, index: Index) -> bool:
        """Whether the saved index is this one as it stands, and was seen to be whole."""
        head, core = claim(self._head()), index.graph.core
        if head is None or index.position is None or index.saved != index.position:
            return False
        there = (head.seq, head.tag, head.nodes, head.linked)
        return there == (*index.position, core.nodes, core.linked)

    def saved(self, dimensions: int, options: GraphOptions) -> Saved | None:
        """What the saved index says of itself, if there is one."""
        head = self._head()
        try:
            return None if head is None else read_head(head, dimensions, options)
        except ValueError:  # the vectors are the truth
            return None

    def checked(self, dimensions: int, options: GraphOptions) -> Saved | None:
        """The same; None: there is none. Raises ValueError where it is damaged."""
        (count,) = self._storage.db.execute(f"SELECT count(*) FROM {self._name}")[0]
        return read_head(self._head(), dimensions, options) if count else None

    def changes_since(self) -> int | None:
        """Changes since the index was saved; None: it is not, or not in this history."""
        head, position = claim(self._head()), self._storage.position()
        if head is None or position is None:
            return None
        if not self._storage.passed(Position(head.seq, head.tag)):
            return None
        return position.seq - head.seq

    def needed_log(self, position: Position) -> int:
        """How many of the last log rows it needs, to be brought up to date; 0: it is useless."""
        head = claim(self._head())
        needed = position.seq - head.seq + 1 if head else 0
        return needed if head and needed <= followed(head.nodes) else 0

    # ---- Restoring ----

    def restore(self, saved: Saved, options: GraphOptions, changed: Collection[int]) -> Restored:
        """The saved index without some rows. Raises ValueError where it cannot be believed."""
        return restore(saved, self, options, changed)

    def pages_size(self) -> tuple[int, int]:
        """Number of pages, and bytes of all together."""
        (count, size) = self._storage.db.execute(
            f"SELECT count(*), coalesce(sum(length(data)), 0) FROM {self._name} WHERE id <> 0"
        )[0]
        return count, size

    def pages(self, count: int) -> Iterator[object]:
        """The pages, whatever stands in them."""
        sql = f"SELECT data FROM {self._name} WHERE id = ?"
        for number in range(1, count + 1):
            rows = self._storage.db.execute(sql, (number,))
            yield rows[0][0] if rows else None
            self._storage.check()

    def vectors(self) -> Iterator[tuple[Ids, Matrix]]:
        """All vectors."""
        return self._storage.blocks()

    def file_size(self) -> int:
        """Bytes of the whole file."""
        execute, schema = self._storage.db.execute, quote(self._storage.schema)
        (count,) = execute(f"PRAGMA {schema}.page_count")[0]
        (page,) = execute(f"PRAGMA {schema}.page_size")[0]
        return int(count * page)
