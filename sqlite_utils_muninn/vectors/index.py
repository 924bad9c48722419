"""The index of a table in memory: a cache of what its log said up to one position.

The tables in the file are the truth. Every write adds a log row (seq, tag, id) in its own
transaction, so whatever SQLite undoes is undone in the log too. An index remembers the position
(seq, tag) that it was built from. Tags are random: a file that shows the same tag at the same seq
has the same history up to there, whichever connection, process or copy looks. From that follows
all that a query needs:

- the index stands at the statement's own position: it holds exactly what the statement sees;
- it stands elsewhere in the same history: the ids logged in between are looked up in the file,
  all others are as the index has them;
- the tags differ (a restored backup, a copy put in place): it is loaded again.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from . import building
from .engine import Graph
from .flat import Flat, Ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .blob import Matrix
    from .metric import Distances
    from .options import GraphOptions

# A full look at 2 million numbers takes half a millisecond to one: a graph gains nothing below.
SCANNED_FLOATS = 2_000_000
REMEMBERED = 20_000  # log rows kept in memory, for readers of older snapshots
FOLLOWED = 4_096  # changes applied one by one; beyond that a bulk load is faster
PATIENCE = 3  # queries that an index may fail to serve before it is loaded afresh


class Position(NamedTuple):
    """A place in a table's log."""

    seq: int
    tag: int


class Change(NamedTuple):
    """One log row. `id` None: anything may have changed here."""

    seq: int
    tag: int
    id: int | None


class Source(Protocol):
    """The table as one statement sees it."""

    def changes(self, first: int, last: int) -> list[Change]:
        """Log rows first..last, in order."""

    def read(self, ids: Ids) -> tuple[Ids, Matrix]:
        """Those of `ids` that have a vector, and their vectors."""

    def blocks(self) -> Iterator[tuple[Ids, Matrix]]:
        """All vectors."""

    def check(self) -> None:
        """Raise where the statement is to stop."""


class Proposal(NamedTuple):
    """What an index knows about a query: ranked rows, and ids whose vectors must be read."""

    ids: Ids
    distances: Distances
    vectors: Matrix
    unread: Ids
    rows: int


class Index:
    """Shared by all connections of a process to one table; use it inside `hold()`."""

    def __init__(self, dimensions: int, options: GraphOptions) -> None:
        self.dimensions = dimensions
        self.options = options
        self.position: Position | None = None
        self.flat = Flat(options.metric, dimensions)
        self.graph: Graph | None = None
        self.building = False
        self._history: deque[Change] = deque(maxlen=REMEMBERED)
        self._misses = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.flat) + (len(self.graph) if self.graph else 0)

    @property
    def bytes(self) -> int:
        """Bytes of memory, roughly."""
        return self.flat.bytes + (self.graph.bytes if self.graph else 0)

    @contextmanager
    def hold(self, check: Callable[[], None] = lambda: None) -> Iterator[Index]:
        """Keep others out. While it waits, `check` may raise."""
        while not self._lock.acquire(timeout=0.02):
            check()
        try:
            yield self
        finally:
            self._lock.release()

    def reach(self, source: Source, position: Position, *, advance: bool) -> set[int] | None:
        """Ids that differ between this index and `position`; None if that cannot be told.

        With `advance` the index is brought to `position` first, if it is behind or elsewhere.
        """
        changed = self._difference(source, position)
        if changed is None:
            self._misses += 1
            behind = self.position is None or self.position.seq <= position.seq
            if not advance or not (behind or self._misses >= PATIENCE):
                return None
            self.load(source, position)
            return set()
        self._misses = 0
        if advance and changed and self.position and self.position.seq < position.seq:
            self._follow(source, position)
            return set()
        return changed

    def _difference(self, source: Source, position: Position) -> set[int] | None:
        mine = self.position
        if mine is None:
            return None
        if mine.seq == position.seq:
            return set() if mine == position else None
        if mine.seq > position.seq:
            return self._since(position)
        if position.seq - mine.seq > max(FOLLOWED, len(self) // 20):
            return None
        changes = source.changes(mine.seq, position.seq)
        complete = len(changes) == position.seq - mine.seq + 1
        if not complete or changes[0].tag != mine.tag or changes[-1].tag != position.tag:
            return None
        ids = {change.id for change in changes[1:]}
        return None if None in ids else {id_ for id_ in ids if id_ is not None}

    def _since(self, position: Position) -> set[int] | None:
        """Ids changed after `position`, by this index's own memory of the log."""
        ids: set[int] = set()
        for change in reversed(self._history):
            if change.seq == position.seq:
                return ids if change.tag == position.tag else None
            if change.id is None:
                return None
            ids.add(change.id)
        return None

    def load(self, source: Source, position: Position) -> None:
        """Take all vectors that `source` sees, which is the table at `position`."""
        blocks = list(source.blocks())
        flat = Flat(self.options.metric, self.dimensions)
        if blocks:
            ids = np.concatenate([ids for ids, _ in blocks])
            flat.load(ids, np.concatenate([matrix for _, matrix in blocks]))
        # Only now: an interrupt while reading leaves the index as it was.
        self.flat, self.graph, self.position, self._misses = flat, None, position, 0
        self._history.clear()
        self._history.append(Change(position.seq, position.tag, None))
        self._build_if_large()

    def _follow(self, source: Source, position: Position) -> None:
        assert self.position is not None
        changes = source.changes(self.position.seq + 1, position.seq)
        ids = np.array(sorted({c.id for c in changes if c.id is not None}), dtype=np.int64)
        found, matrix = source.read(ids)
        for id_ in ids.tolist():
            self.flat.drop(id_)
            if self.graph:
                self.graph.drop(id_)
        self.flat.put(found, matrix)
        self._history.extend(changes)
        self.position = position
        self._build_if_large()

    def propose(self, query: Matrix, count: int, ef: int, changed: set[int]) -> Proposal:
        """Candidates for the `count` nearest among all ids but `changed`."""
        ids, distances = self.flat.nearest(query, count, changed)
        unread = np.empty(0, dtype=np.int64)
        if self.graph:
            # Twice as many as asked: the graph ranks in int8, its order is not the exact one.
            unread = self.graph.search(query, 2 * count, ef, changed)
        kept = len(self) - sum(id_ in self for id_ in changed)
        return Proposal(ids, distances, self.flat.vectors(ids), unread, kept)

    def __contains__(self, id_: int) -> bool:
        return id_ in self.flat or (self.graph is not None and id_ in self.graph)

    def _build_if_large(self) -> None:
        if self.graph and self.graph.wasted > max(1_000, len(self.graph) // 2):
            self.position = None  # more dead than alive: the next query loads, and builds anew
            return
        limit = SCANNED_FLOATS // (4 if self.graph else 1)
        if len(self.flat) * self.dimensions > limit and not self.building:
            self.building = True
            building.start(self)

    def move(self, count: int) -> bool:
        """Move the last `count` rows into the graph. Returns whether any are left."""
        if self.graph is None:
            self.graph = Graph(self.dimensions, self.options)
        ids, matrix = self.flat.tail(count)
        self.graph.add(ids, matrix)
        for id_ in ids.tolist():
            self.flat.drop(id_)
        self.flat.shrink()
        return len(self.flat) > 0
