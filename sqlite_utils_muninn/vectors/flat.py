"""Vectors in memory, searched by looking at each: small tables, and the tail of large ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import metric

if TYPE_CHECKING:
    from collections.abc import Collection

    from .blob import Matrix
    from .metric import Distances

Ids = np.ndarray[Any, np.dtype[np.int64]]

_LEAST_ROOM = 64


class Flat:
    """A growing float32 matrix with one row for each id; searches are exact.

    Not safe for threads: its owner holds a lock.
    """

    def __init__(self, kind: str, dimensions: int) -> None:
        self.kind = kind
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._matrix: Matrix = np.empty((0, dimensions), dtype=np.float32)
        self._norms: Distances = np.empty(0, dtype=np.float64)
        self._row: dict[int, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, id_: int) -> bool:
        return id_ in self._row

    @property
    def bytes(self) -> int:
        """Bytes of its arrays."""
        return self._ids.nbytes + self._matrix.nbytes + self._norms.nbytes

    def load(self, ids: Ids, matrix: Matrix) -> None:
        """Take these rows in place of all that it holds; the arrays are adopted, not copied."""
        self._ids, self._matrix = ids, matrix
        self._norms = metric.lengths(matrix)
        self._row = {id_: row for row, id_ in enumerate(ids.tolist())}
        self._count = len(ids)

    def put(self, ids: Ids, matrix: Matrix) -> None:
        """Add rows, or replace the rows of ids that are there."""
        norms = metric.lengths(matrix)
        self._make_room(self._count + len(ids))
        for i, id_ in enumerate(ids.tolist()):
            row = self._row.setdefault(id_, self._count)
            self._count += row == self._count
            self._ids[row], self._matrix[row], self._norms[row] = id_, matrix[i], norms[i]

    def drop(self, id_: int) -> bool:
        """Remove a row; the last one takes its place. Returns whether it was there."""
        row = self._row.pop(id_, None)
        if row is None:
            return False
        self._count -= 1
        last = self._count
        if row != last:
            for array in (self._ids, self._matrix, self._norms):
                array[row] = array[last]
            self._row[int(self._ids[row])] = row
        return True

    def tail(self, count: int) -> tuple[Ids, Matrix]:
        """Return copies of the last `count` rows."""
        start = max(0, self._count - count)
        return self._ids[start : self._count].copy(), self._matrix[start : self._count].copy()

    def nearest(
        self, query: Matrix, count: int, passing: Collection[int] = ()
    ) -> tuple[Ids, Distances]:
        """Ids and exact distances of the `count` nearest, ties included, passing over some ids."""
        keep = None
        rows = [row for row in map(self._row.get, passing) if row is not None]
        if rows:
            keep = np.ones(self._count, dtype=np.bool_)
            keep[rows] = False
        held = slice(self._count)
        vectors = metric.Vectors(self.kind, self._matrix[held], self._norms[held])
        found, far = metric.nearest(vectors, query, count, keep)
        return self._ids[found], far

    def vectors(self, ids: Ids) -> Matrix:
        """Copies of the vectors of ids that it holds."""
        return self._matrix[[self._row[id_] for id_ in ids.tolist()]]

    def _make_room(self, count: int) -> None:
        if count <= len(self._ids):
            return
        room = max(_LEAST_ROOM, count, len(self._ids) * 3 // 2)
        for name in ("_ids", "_matrix", "_norms"):
            old = getattr(self, name)
            new = np.empty((room, *old.shape[1:]), dtype=old.dtype)
            new[: self._count] = old[: self._count]
            setattr(self, name, new)

    def shrink(self) -> None:
        """Give back memory once most rows are gone."""
        if len(self._ids) > 4 * max(self._count, _LEAST_ROOM):
            for name in ("_ids", "_matrix", "_norms"):
                setattr(self, name, getattr(self, name)[: self._count].copy())
