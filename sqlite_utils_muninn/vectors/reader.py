"""Nearest neighbours in what one statement sees, whichever index helps to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import metric
from .engine import DEFAULT_EF
from .flat import Ids
from .index import Index, Position, Proposal
from .metric import Distances
from .shared import shared_index, transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blob import Matrix
    from .options import GraphOptions
    from .storage import Storage

Ranked = tuple[Ids, Distances]

FIRST_BATCHES = (20, 200)  # rows ranked by the index if a statement does not say how many it wants
BATCH = 1024
REREAD = 1_000  # ids that are rather read one by one than an index brought up to date
PICKED = 2_000  # ids of an `IN` list that are rather read one by one than in passing over all
MOST_FROM_GRAPH = 1_000  # neighbours; a graph is no help with more


class Reader:
    """The vectors of a table as the running statement sees them."""

    def __init__(self, storage: Storage, options: GraphOptions) -> None:
        self.storage = storage
        self.options = options
        self._ranked: tuple[Ids, Matrix] | None = None

    def index(self) -> Index:
        """The process-wide index of the table."""
        return shared_index(self.storage, self.options)

    # ---- Searching ----

    def nearest(self, query: Matrix, count: int, ef: int | None = None) -> Ranked:
        """The `count` nearest rows with exact distances, in order; ties go by rowid."""
        self.forget()
        if count <= 0:
            return _cut(np.empty(0, np.int64), np.empty(0), 0)
        position = self.storage.position()
        if position is not None:
            found = self._ask_indexes(position, query, count, ef or DEFAULT_EF)
            if found is not None:
                return found
        return self.scan(query, count)

    def _ask_indexes(self, position: Position, query: Matrix, count: int, ef: int) -> Ranked | None:
        transaction = transactions(self.storage.db).get((self.storage.schema, self.storage.id))
        if transaction is None:
            return self._ask(self.index(), position, query, count, ef, advance=True)
        # What this connection has not committed must not reach an index that others use. A few
        # changes are looked up; after many, the transaction gets an index of its own.
        if transaction.index is None:
            found = self._ask(self.index(), position, query, count, ef, advance=False)
            if found is not None:
                return found
            transaction.index = Index(self.storage.dimensions, self.options)
        return self._ask(transaction.index, position, query, count, ef, advance=True)

    def _ask(
        self, index: Index, position: Position, query: Matrix, count: int, ef: int, *, advance: bool
    ) -> Ranked | None:
        with index.hold(self.storage.check):
            changed = index.reach(self.storage, position, advance=advance)
            if changed is None or len(changed) > REREAD:
                return None
            if index.graph and count > min(MOST_FROM_GRAPH, len(index) // 4):
                return None
            proposal = index.propose(query, count, ef, changed)
        return self._rank(proposal, changed, query, count)

    def _rank(
        self, proposal: Proposal, changed: set[int], query: Matrix, count: int
    ) -> Ranked | None:
        """Compute what the index could not, and put all in order."""
        mine = np.fromiter(changed, dtype=np.int64, count=len(changed))
        ids, matrix = self.storage.read(np.concatenate([proposal.unread, mine]))
        distances = metric.distances(self.options.metric, matrix, query)
        self._ranked = (
            np.concatenate([proposal.ids, ids]),
            np.concatenate([proposal.vectors, matrix]),
        )
        ranked = _cut(
            self._ranked[0],
            np.concatenate([proposal.distances, distances]),
            count,
        )
        # A graph may fail to reach rows that are there; then they are all looked at.
        present = proposal.rows + (int(np.isin(ids, mine).sum()) if changed else 0)
        return ranked if len(ranked[0]) >= min(count, present) else None

    def take(self, ids: Ids) -> tuple[Ids, Matrix]:
        """The vectors of rows that the running statement has just ranked, and maybe of others.

        They were read for that already, and are handed over once: no later statement may get what
        this one saw.
        """
        ranked, self._ranked = self._ranked, None
        if ranked is not None and set(ranked[0].tolist()).issuperset(ids.tolist()):
            return ranked
        return self.storage.read(ids)

    def forget(self) -> None:
        """Nothing has been ranked."""
        self._ranked = None

    def scan(self, query: Matrix, count: int | None = None, beyond: float | None = None) -> Ranked:
        """Like `nearest`, by looking at every vector in the file; `beyond`: farther than that."""
        self.forget()
        parts = []
        for ids, matrix in self.storage.blocks():
            distances = metric.distances(self.options.metric, matrix, query)
            far = slice(None) if beyond is None else distances >= beyond
            parts.append(_cut(ids[far], distances[far], count))
        return _merge(parts, count)

    def among(self, query: Matrix, allowed: Ids, count: int | None = None) -> Ranked:
        """The nearest of some rows: exact, by looking at each of them."""
        self.forget()
        if len(allowed) <= PICKED:
            ids, matrix = self.storage.read(allowed)
            return _cut(ids, metric.distances(self.options.metric, matrix, query), count)
        parts = []
        for ids, matrix in self.storage.blocks():
            keep = np.isin(ids, allowed)
            distances = metric.distances(self.options.metric, matrix[keep], query)
            parts.append(_cut(ids[keep], distances, count))
        return _merge(parts, count)

    def stream(self, query: Matrix, ef: int | None = None) -> Iterator[Ranked]:
        """All rows, nearest first, for a statement that stops when it has enough.

        SQLite before 3.41 does not tell us the LIMIT of a MATCH query. The first batches come from
        the index; only a statement that wants more makes us look at everything. A row that the
        graph missed then follows, however near it is.
        """
        seen = np.empty(0, np.int64)
        for count in FIRST_BATCHES:
            ids, distances = self.nearest(query, count, ef)
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


def _merge(parts: list[Ranked], count: int | None) -> Ranked:
    if not parts:
        return np.empty(0, np.int64), np.empty(0)
    return _cut(
        np.concatenate([ids for ids, _ in parts]), np.concatenate([far for _, far in parts]), count
    )


def _cut(ids: Ids, distances: Distances, count: int | None) -> Ranked:
    """The first `count` by distance, then rowid. NaN, of a damaged vector, drops out."""
    if np.isnan(distances).any():
        ids, distances = ids[~np.isnan(distances)], distances[~np.isnan(distances)]
    order = np.lexsort((ids, distances))[:count]
    return ids[order], distances[order]
