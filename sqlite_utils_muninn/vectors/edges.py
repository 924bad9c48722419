"""What a saved index is restored from: the rows of v_edges, and the vectors, see saved.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bridge import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blob import Ids, Matrix
    from .storage import Storage


class Edges:
    """The pages of one table's saved index, and all that is needed besides."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._name = storage.name("edges")

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

    def blocks(self) -> Iterator[tuple[Ids, Matrix]]:
        """All vectors."""
        return self._storage.blocks()

    def size(self) -> int:
        """Bytes of the whole file."""
        execute, schema = self._storage.db.execute, quote(self._storage.schema)
        (count,) = execute(f"PRAGMA {schema}.page_count")[0]
        (page,) = execute(f"PRAGMA {schema}.page_size")[0]
        return int(count * page)
