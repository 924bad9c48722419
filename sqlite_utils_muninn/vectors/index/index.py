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

import math
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from . import building
from .engine import FLOATS, Graph, Search, Shape, shape_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from ..blob import Ids, Matrix, Packed
    from ..options import GraphOptions
    from .saved import Restored, Saved

# A look at 2 million bytes takes 60 to 80 us: a graph gains nothing below.
SCANNED_FLOATS = 2_000_000
REMEMBERED = 20_000  # log rows kept in memory, for readers of older snapshots
FOLLOWED = 4_096  # changes applied one by one; beyond that a bulk load is faster
PATIENCE = 3  # queries that an index may fail to serve before it is loaded afresh
MOST_FROM_GRAPH = 1_000  # neighbours; a graph is no help with more
MOST_REFUSED = 1_000  # vectors that cannot be in the index and are read each time
PROBES = 16  # rows whose neighbours tell whether bytes are fine enough
MANY = 100  # candidates for 10 neighbours: the copies cannot tell them apart


def followed(rows: int) -> int:
    """How many changes an index of so many rows is brought up to date by."""
    return max(FOLLOWED, rows // 4)


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

    def saved(self, dimensions: int, options: GraphOptions) -> Saved | None:
        """What the saved index says of itself, if there is one."""

    def restore(self, saved: Saved, options: GraphOptions, changed: Collection[int]) -> Restored:
        """The saved index without some rows. Raises ValueError where it cannot be believed."""

    def check(self) -> None:
        """Raise where the statement is to stop."""


Candidates: TypeAlias = "tuple[Packed, int]"
"""Ids whose vectors must be read, and how many rows the index knows besides those that changed."""


class Index:
    """Shared by all connections of a process to one table; use it inside `hold()`."""

    def __init__(self, dimensions: int, options: GraphOptions) -> None:
        self.dimensions = dimensions
        self.options = options
        self.position: Position | None = None
        self.saved: Position | None = None
        """Where the saved index stands, as far as this process knows."""
        self.graph = Graph(dimensions, options)
        self.building = False
        self.waiting = 0
        """Threads that want the index."""
        self.refused: set[int] = set()
        """Ids whose vectors cannot be compared coarsely: they are always candidates."""
        self._shaped = 0  # rows that the graph's shape was made for
        self._history: deque[Change] = deque(maxlen=REMEMBERED)
        self._misses = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.graph) + len(self.refused)

    @property
    def bytes(self) -> int:
        """Bytes of memory, roughly."""
        return self.graph.bytes

    def hold(self, check: Callable[[], None] = lambda: None) -> Index:
        """Keep others out until the end of a `with`. While it waits, `check` may raise."""
        if not self._lock.acquire(blocking=False):
            self.waiting += 1
            try:
                while not self._lock.acquire(timeout=0.02):
                    check()
            finally:
                self.waiting -= 1
        return self

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def reach(self, source: Source, position: Position, *, advance: bool) -> set[int] | None:
        """Ids that differ between this index and `position`; None if that cannot be told.

        With `advance` the index is brought to `position` first, if it is behind or elsewhere.
        """
        if self.position == position:  # the rule
            self._misses = 0
            return set()
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
            return None  # it would be the same position
        if mine.seq > position.seq:
            return self._since(position)
        changes = self._changes(source, mine, position, len(self))
        return None if changes is None else {c.id for c in changes if c.id is not None}

    def _changes(
        self, source: Source, first: Position, last: Position, rows: int
    ) -> list[Change] | None:
        """What the log says after `first`, up to `last`; None: too much, or another history."""
        if last.seq - first.seq > followed(rows):
            return None
        changes = source.changes(first.seq, last.seq)
        complete = len(changes) == last.seq - first.seq + 1
        if not complete or changes[0].tag != first.tag or changes[-1].tag != last.tag:
            return None
        return None if any(change.id is None for change in changes[1:]) else changes[1:]

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

    # ---- Loading and following ----

    def load(self, source: Source, position: Position) -> None:
        """Take what `source` sees, which is the table at `position`."""
        if not self._restore(source, position):
            self.saved = None
            graph, refused = _read(source, self.dimensions, self.options)
            # Only now: an interrupt while reading leaves the index as it was.
            self._take(graph, position)
            self.refused = refused
            self._build_if_large()

    def _take(self, graph: Graph, position: Position) -> None:
        self.graph, self.position, self._misses = graph, position, 0
        self.refused, self._shaped = set(), len(graph)
        self._history.clear()
        self._history.append(Change(position.seq, position.tag, None))

    def _restore(self, source: Source, position: Position) -> bool:
        """Take the saved index, and what has changed since."""
        found = source.saved(self.dimensions, self.options)
        if found is None or found.position.seq > position.seq:
            return False
        changes = self._changes(source, found.position, position, found.rows)
        if changes is None:
            return False
        try:
            restored = source.restore(found, self.options, _ids(changes).tolist())
        except ValueError:  # the vectors are the truth
            return False
        self._take(restored.graph, found.position)
        self.refused, self.saved = found.refused, found.position
        self._apply(changes, restored.changed, position)
        return True

    def _follow(self, source: Source, position: Position) -> None:
        assert self.position is not None
        changes = source.changes(self.position.seq + 1, position.seq)
        self._apply(changes, source.read(_ids(changes)), position)

    def _apply(
        self, changes: list[Change], vectors: tuple[Ids, Matrix], position: Position
    ) -> None:
        """Take what changed up to `position`."""
        ids = _ids(changes).tolist()
        self.position = None  # until all is done: what fails halfway must not be used
        for id_ in ids:
            self.graph.drop(id_)
        self.refused.difference_update(ids)
        self.refused.update(self.graph.add(*vectors).tolist())
        self._history.extend(changes)
        self.position = position
        self._build_if_large()

    def _build_if_large(self) -> None:
        graph = self.graph
        if graph.dead > max(1_000, len(graph) // 2):
            self.graph.core.compact()  # more dead than alive
        large = len(graph) * self.dimensions > SCANNED_FLOATS
        if large and not graph.linked and self._shaped < len(graph) // 4:
            self.position = None  # its shape was made for others: the next query loads again
            return
        limit = SCANNED_FLOATS // (4 if graph.linked else 1)
        if graph.unlinked * self.dimensions > limit and not self.building:
            self.building = True
            building.start(self)

    # ---- Searching ----

    def candidates(self, search: Search, changed: set[int]) -> Candidates | None:
        """Candidates among all ids but `changed`; None where each row must be looked at."""
        if len(self.refused) > MOST_REFUSED:
            return None
        query, most, ef, only, within, beyond = search
        graph, core = self.graph, self.graph.core
        rows = core.nodes - core.dead + len(self.refused)
        # Bounds are promises: what lies between them is there, all of it.
        by_graph = core.linked and only is None and within == math.inf and beyond == -math.inf
        found = None
        if by_graph and most is not None and most <= min(MOST_FROM_GRAPH, rows // 4):
            found = graph.search(query, most, ef, changed)
        if found is None:
            found = graph.scan(search, changed)
        if found is None:
            return None
        if self.refused:
            found += self._not_in_graph(only, changed).tobytes()
        if changed:
            rows -= sum(id_ in self for id_ in changed)
        return found, rows

    def _not_in_graph(self, only: Ids | None, changed: set[int]) -> Ids:
        ids = np.array(sorted(self.refused - changed), dtype=np.int64)
        return ids if only is None else ids[np.isin(ids, only)]

    def __contains__(self, id_: int) -> bool:
        return id_ in self.graph or id_ in self.refused


def _ids(changes: list[Change]) -> Ids:
    """The ids that changed, in order."""
    return np.array(sorted({c.id for c in changes if c.id is not None}), dtype=np.int64)


def _read(source: Source, dimensions: int, options: GraphOptions) -> tuple[Graph, set[int]]:
    """A graph of all vectors, with nothing linked, and the ids that it refused."""
    graph, refused = _read_as(source, dimensions, options, None)
    if len(graph) * dimensions > SCANNED_FLOATS and _is_too_coarse(source, graph):
        graph, refused = _read_as(source, dimensions, options, FLOATS)
    # A damaged file may hold an id twice.
    return graph, {id_ for id_ in refused if id_ not in graph}


def _read_as(
    source: Source, dimensions: int, options: GraphOptions, kind: int | None
) -> tuple[Graph, set[int]]:
    graph: Graph | None = None
    refused: set[int] = set()
    for ids, matrix in source.blocks():
        if graph is None:
            shape = shape_for(matrix, options.metric)
            shape = shape if kind is None else Shape(kind, shape.unit)
            graph = Graph(dimensions, options, shape)
        refused.update(graph.add(ids, matrix).tolist())
    return graph or Graph(dimensions, options), refused


def _is_too_coarse(source: Source, graph: Graph) -> bool:
    """Whether copies in bytes fail to tell neighbours apart, for half of some rows."""
    ids = graph.ids()
    chosen = ids[np.linspace(0, len(ids) - 1, PROBES).astype(np.int64)]
    counts = [_indistinct(graph, query) for query in source.read(chosen)[1]]
    return bool(counts) and float(np.median(counts)) > MANY


def _indistinct(graph: Graph, query: Matrix) -> int:
    found = graph.search(query.tobytes(), 10, ef=1)
    return 0 if found is None else len(found) // 8
