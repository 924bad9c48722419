"""A declared graph in memory: all rows of its node tables, and the edges between them, as arrays.

A node is a row of a node table: ends of edges that are none, and edges into tables that the caller
may not see, are not there. Nodes are numbered table by table in the order of their rowids.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Dictionary
    from sqlite_utils_muninn.graph.graph import Graph, Neighbours
    from sqlite_utils_muninn.graph.work import Work

    from .names import Names
    from .pool import Place
    from .times import Times
    from .walk import Scratch

MOST_WEIGHTS = 4
"""Sets of weights that a network keeps for the next search."""


class Following(NamedTuple):
    """Which edges a search follows, and how readily."""

    weights: tuple[tuple[str, float], ...] = ()
    """Of types of edges; 1 where a type is not named."""
    only: tuple[str, ...] | None = None
    """Types of edges; None: all."""
    time_start: Any = None
    time_end: Any = None


class TableNodes:
    """The rows of one node table: node `base + i` is the i-th."""

    def __init__(self, base: int, rowids: np.ndarray | None, ids: Dictionary, codes: np.ndarray):
        self.base = base
        self.rowids = rowids
        """int64, rising; None: the table has none."""
        self.ids = ids
        self.codes = codes
        """int32, of the ids in their dictionary; -1 where the id is NULL."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Memory held, without the ids, which tables may share."""
        return self.codes.nbytes + (0 if self.rowids is None else self.rowids.nbytes)

    def equals(self, other: TableNodes) -> bool:
        """Whether both are the same rows."""
        return (
            self.base == other.base
            and np.array_equal(self.codes, other.codes)
            and _same(self.rowids, other.rowids)
            and self.ids.equals(other.ids)
        )

    def find(self, keys: Sequence[Any]) -> np.ndarray:
        """Return the nodes of some rowids (of ids, where there are no rowids); -1: none."""
        if self.rowids is None:
            codes = [self.ids.find(key) for key in keys]
            first = first_of(self.codes, len(self.ids), self.base)
            return np.array([first[c] if c >= 0 else -1 for c in codes], np.int64)
        if not len(self.rowids):
            return np.full(len(keys), -1, np.int64)
        wanted = np.asarray(keys, np.int64)
        at = np.minimum(np.searchsorted(self.rowids, wanted), len(self.rowids) - 1)
        return np.where(self.rowids[at] == wanted, at + self.base, -1)

    def keys(self, nodes: np.ndarray) -> list[Any]:
        """Return the rowids of some of its nodes (the ids, where there are none)."""
        places = nodes - self.base
        if self.rowids is None:
            return self.ids.take(self.codes[places].tolist())
        found: list[Any] = self.rowids[places].tolist()
        return found


class Network:
    """Nodes and typed edges. It never changes, so threads and connections share it."""

    def __init__(
        self,
        tables: list[TableNodes],
        names: Names,
        graph: Graph,
        edge_type: np.ndarray,
        edge_types: list[Any],
        first_edges: np.ndarray,
        times: Times | None = None,
        *,
        ambiguous: int = 0,
    ) -> None:
        self.tables = tables
        self.names = names
        self.graph = graph
        self.edge_type = edge_type
        """int32, of each edge in `edge_types`."""
        self.edge_types = edge_types
        self.first_edges = first_edges
        """Where the edges of each edge table begin; one more than there are tables."""
        self.times = times
        self.ambiguous = ambiguous
        """Ids that are in several tables, where an edge does not say in which it ends."""
        self.bases = np.array([table.base for table in tables], np.int64)
        self.scratch: list[Scratch] = []
        """Memory that walks lend each other."""
        self._weights: OrderedDict[Following, np.ndarray | None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory held."""
        ids = {id(table.ids): table.ids.nbytes for table in self.tables}
        own = sum(table.nbytes for table in self.tables) + sum(ids.values())
        with self._lock:
            kept = [weights for weights in self._weights.values() if weights is not None]
        own += sum(weights.nbytes for weights in kept)
        own += sum(part.nbytes for lent in list(self.scratch) for part in lent)
        own += self.times.nbytes if self.times else 0
        return own + self.names.nbytes + self.graph.nbytes + self.edge_type.nbytes

    def equals(self, other: Network) -> bool:
        """Whether both are the same nodes and edges."""
        pairs = zip(self.tables, other.tables, strict=False)
        return (
            len(self.tables) == len(other.tables)
            and all(one.equals(two) for one, two in pairs)
            and self.names.equals(other.names)
            and self.graph.equals(other.graph)
            and np.array_equal(self.edge_type, other.edge_type)
            and self.edge_types == other.edge_types
            and np.array_equal(self.first_edges, other.first_edges)
            and self._same_times(other)
        )

    def _same_times(self, other: Network) -> bool:
        if self.times is None or other.times is None:
            return self.times is other.times
        return self.times.equals(other.times)

    def table_of(self, nodes: np.ndarray) -> np.ndarray:
        """Return the number of the table that each node lies in."""
        found: np.ndarray = np.searchsorted(self.bases, nodes, side="right") - 1
        # An empty table begins where the next one does.
        return found

    def type_of_edge(self, edge: int) -> str:
        """Return the kind of an edge."""
        return str(self.edge_types[int(self.edge_type[edge])])

    def ways(self, work: Work) -> Neighbours:
        """The edges of each node, whichever way they point."""
        return self.graph.neighbours("both", work)

    def weights(self, following: Following, work: Work) -> np.ndarray | None:
        """The weight of each edge of `ways`: its own, times that of its type; None: all are 1.

        Edges that are not followed have 0.
        """
        if following == Following():
            return self.ways(work).weights
        with self._lock:
            if following in self._weights:
                self._weights.move_to_end(following)
                return self._weights[following]
        found = self._weigh(following, work)
        with self._lock:
            self._weights[following] = found
            while len(self._weights) > MOST_WEIGHTS:
                self._weights.popitem(last=False)
        return found

    def _weigh(self, following: Following, work: Work) -> np.ndarray | None:
        ways = self.ways(work)
        work.need(24 * len(ways.targets), "the weights")
        found = np.array(self._per_type(following), float)[self.edge_type]
        if self.times is not None:
            bounds = (following.time_start, following.time_end)
            found = found * self.times.within(self.first_edges.tolist(), *bounds)
        if (found == 1).all():
            return ways.weights
        # An edge against its arrow has its number and the count of edges.
        found = np.concatenate([found, found])[ways.edges]
        weighted: np.ndarray = found if ways.weights is None else found * ways.weights
        return weighted

    def degrees(self, weights: np.ndarray | None, nodes: np.ndarray, work: Work) -> np.ndarray:
        """Return how many different neighbours some nodes have, along edges of a weight above 0."""
        ways = self.ways(work)
        if weights is None:
            offsets = self.graph.simple("both", work).offsets
            known: np.ndarray = offsets[nodes + 1] - offsets[nodes]
            return known
        found = np.zeros(len(nodes), np.int64)
        for n, node in enumerate(nodes.tolist()):
            part = slice(int(ways.offsets[node]), int(ways.offsets[node + 1]))
            found[n] = len(np.unique(ways.targets[part][weights[part] > 0]))
        return found

    def _per_type(self, following: Following) -> list[float]:
        """The weight of each type."""
        weights = dict(following.weights)
        found = [float(weights.get(str(kind), 1.0)) for kind in self.edge_types]
        if following.only is None:
            return found
        kinds = zip(found, self.edge_types, strict=True)
        return [w if str(kind) in following.only else 0.0 for w, kind in kinds]


class Loaded(NamedTuple):
    """A network, and the weights of its edges for one search; None: all are 1."""

    network: Network
    weights: np.ndarray | None


def places_of(network: Network, nodes: np.ndarray) -> list[Place]:
    """Return the table and the key of nodes, in their order."""
    tables = network.table_of(nodes)
    found: list[Any] = [None] * len(nodes)
    for number, table in enumerate(network.tables):
        own = np.flatnonzero(tables == number)
        if len(own):
            for n, key in zip(own.tolist(), table.keys(nodes[own]), strict=True):
                found[n] = (number, key)
    return found


def first_of(codes: np.ndarray, size: int, base: int) -> np.ndarray:
    """Return for each of `size` codes `base` and the place where it comes first, -1: nowhere."""
    found = np.full(size, -1, np.int64)
    places = np.flatnonzero(codes >= 0)[::-1]
    found[codes[places]] = places + base
    return found


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
