"""Nearest neighbours in what one statement sees, whichever index helps to find them."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Union

import numpy as np

from .. import _hnsw
from ..blob import FLOAT32, INT64, Ids
from ..index.engine import Search
from ..index.index import Candidates, Index, Position
from ..index.metric import NUMBERS, Distances
from ..storage.shared import connection, shared_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..blob import Matrix, Packed
    from ..options import GraphOptions
    from ..storage.storage import Storage

Ranked = tuple[Ids, Distances]
Answer = Union[Ranked, "Iterator[Ranked]"]
"""Ranked rows: all at once, or in batches."""
FLOAT64 = np.dtype(np.float64)

FIRST_BATCHES = (20, 200, 2_000)  # rows ranked for a statement that does not say its LIMIT
BATCH = 1024
_ANY = -sys.float_info.max  # a bound that every distance is beyond: all copies are looked at
REREAD = 1_000  # ids that are rather read one by one than an index brought up to date
PICKED = 32  # rows that are rather read at once than first compared coarsely
SCATTERED = 2_000  # rows that are rather read one by one than all in passing, or a third of all


class Reader:
    """The vectors of a table as the running statement sees them."""

    def __init__(self, storage: Storage, options: GraphOptions) -> None:
        self.storage = storage
        self.options = options
        self._metric = NUMBERS[options.metric]
        self._ranked: tuple[Ids, Packed, Packed] | None = None

    # ---- Searching ----

    def nearest(self, query: Packed, count: int, ef: int | None = None) -> Ranked:
        """The `count` nearest rows with exact distances, in order; ties go by rowid."""
        return self.find(Search(query, count, ef))

    def among(self, query: Packed, ids: Ids) -> Ranked:
        """Some rows (sorted ids), nearest first: exact."""
        return self.find(Search(query, None, ids=ids))

    def find(self, search: Search) -> Ranked:
        """Rows with exact distances, in order; ties go by rowid.

        All that qualify are considered, unless a neighbour graph chooses: that is where the search
        is for a limited number and names no condition.
        """
        if search.most == 0 or (search.ids is not None and len(search.ids) <= PICKED):
            ids = b"" if search.ids is None else search.ids.tobytes()
            return self._rank(search, *self.storage.find(ids))
        position = self.storage.position()
        found = None if position is None else self._ask_indexes(position, search)
        return self._scan(search) if found is None else found

    def _ask_indexes(self, position: Position, search: Search) -> Ranked | None:
        open_ = connection(self.storage.db).transactions
        transaction = open_.get((self.storage.schema, self.storage.id)) if open_ else None
        if transaction is None or not transaction.wrote:
            index = shared_index(self.storage, self.options)
            return self._ask(index, position, search, advance=True)
        # What this connection has not committed must not reach an index that others use. A few
        # changes are looked up; after many, the transaction gets an index of its own.
        if transaction.index is None:
            index = shared_index(self.storage, self.options)
            found = self._ask(index, position, search, advance=False)
            if found is not None:
                return found
            transaction.index = Index(self.storage.dimensions, self.options)
        return self._ask(transaction.index, position, search, advance=True)

    def _ask(
        self, index: Index, position: Position, search: Search, *, advance: bool
    ) -> Ranked | None:
        with index.hold(self.storage.check):
            changed = index.reach(self.storage, position, advance=advance)
            if changed is None or len(changed) > REREAD:
                return None
            candidates = index.candidates(search, changed)
        return self._judge(search, candidates, changed) if candidates else None

    def _judge(self, search: Search, candidates: Candidates, changed: set[int]) -> Ranked | None:
        """Rank candidates, and the rows that the index knows nothing of."""
        ids, present = candidates
        if len(ids) // 8 > max(SCATTERED, present // 3):
            return None
        found, vectors = self.storage.find(ids)
        if changed:
            mine, of_mine = self.storage.find(_only(search, changed).tobytes())
            found, vectors = found + mine, vectors + of_mine
            present += len(mine) // 8
        ranked = self._rank(search, found, vectors)
        if len(ranked[0]) == search.most:
            return ranked
        # A graph may fail to reach rows that are there; then they are all looked at.
        return ranked if len(ranked[0]) >= _least(search, present) else None

    def _rank(self, search: Search, ids: Packed, vectors: Packed) -> Ranked:
        """Put in order the rows that qualify, by distance and then rowid.

        NaN, of a damaged vector, drops out.
        """
        query, most, _, _, within, beyond = search
        most = len(ids) // 8 if most is None else most
        found, far, places = _hnsw.rank(self._metric, query, ids, vectors, most, within, beyond)
        ranked = np.frombuffer(found, INT64), np.frombuffer(far, FLOAT64)
        self._ranked = ranked[0], vectors, places
        return ranked

    def take(self, ids: Ids) -> Callable[[], Matrix] | None:
        """What gives the vectors of rows that the running statement has just ranked, in order.

        They were read for that already, and are handed over once: no later statement may get what
        this one saw. None: those are other rows.
        """
        ranked, self._ranked = self._ranked, None
        if ranked is None or ranked[0] is not ids:
            return None
        return partial(_placed, ranked[1], ranked[2], self.storage.dimensions)

    def forget(self) -> None:
        """Nothing has been ranked."""
        self._ranked = None

    def scan(self, query: Packed, count: int | None = None) -> Ranked:
        """Like `nearest`, by looking at every vector in the file."""
        return self._scan(Search(query, count))

    def _scan(self, search: Search) -> Ranked:
        ids, far = self.distances(search.query)
        keep = (far >= search.beyond) & (far <= search.within)  # NaN, of a damaged vector, is out
        if search.ids is not None:
            keep &= np.isin(ids, search.ids)
        ids, far = ids[keep], far[keep]
        order = np.argsort(far, kind="stable")[: search.most]  # ties stay in order of rowid
        return ids[order], far[order]

    def distances(self, query: Packed) -> Ranked:
        """All rows by rowid, with their distances, by looking at every vector in the file."""
        ids, far = [np.empty(0, np.int64)], [b""]
        for block, matrix in self.storage.blocks():
            ids.append(block)
            far.append(_hnsw.distances(self._metric, query, matrix.tobytes()))
        self.forget()
        return np.concatenate(ids), np.frombuffer(b"".join(far), FLOAT64)

    def stream(self, query: Packed) -> Iterator[Ranked]:
        """All rows, nearest first, for a statement that stops when it has enough.

        SQLite before 3.41 does not tell us the LIMIT of a MATCH query, none that of a join. The
        first batches come from the copies in memory; only a statement that wants more makes us
        read everything. No graph chooses: a row that it missed would have to follow later, which
        is not what ORDER BY says, or never, and then a join would not be exact.
        """
        seen = np.empty(0, np.int64)
        for count in FIRST_BATCHES:
            ids, distances = self.find(Search(query, count, beyond=_ANY))
            new = ~np.isin(ids, seen)
            yield ids[new], distances[new]
            if len(ids) < count:
                return
            seen = np.union1d(seen, ids)
        ids, distances = self.scan(query)
        rest = ~np.isin(ids, seen)
        ids, distances = ids[rest], distances[rest]
        for start in range(0, len(ids), BATCH):
            yield ids[start : start + BATCH], distances[start : start + BATCH]


def batches(answer: Answer) -> Iterator[Ranked]:
    """The batches of an answer."""
    return iter((answer,)) if isinstance(answer, tuple) else answer


def _placed(vectors: Packed, places: Packed, dimensions: int) -> Matrix:
    """Some of the vectors, in another order."""
    matrix: Matrix = np.frombuffer(vectors, FLOAT32).reshape(-1, dimensions)
    return matrix[np.frombuffer(places, INT64)]


def _only(search: Search, changed: set[int]) -> Ids:
    """Those of some ids that may be found."""
    ids = np.fromiter(changed, dtype=np.int64, count=len(changed))
    return ids if search.ids is None else ids[np.isin(ids, search.ids)]


def _least(search: Search, present: int) -> int:
    """How many rows must have been found, where a graph has searched."""
    narrowed = search.ids is not None or search.is_bounded
    return 0 if search.most is None or narrowed else min(search.most, present)
