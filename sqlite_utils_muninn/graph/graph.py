"""A graph in memory: its edges as arrays, and what is built from them when it is first needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlite_utils_muninn.bridge import Dictionary

    from .work import Work

T = TypeVar("T")

DIRECTIONS = ("forward", "reverse", "both")


@dataclass(frozen=True)
class Neighbours:
    """Edges by the node that they leave, in the order of their rows (a CSR).

    Those of node u are ``offsets[u]`` to ``offsets[u + 1]``; ``edges`` are their numbers in the
    edge list (for the direction 'both': number, or number of edges + number against its arrow).
    """

    offsets: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    edges: np.ndarray

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Memory held."""
        arrays = (self.offsets, self.targets, self.weights, self.edges)
        return sum(array.nbytes for array in arrays if array is not None)


class Graph:
    """An edge list whose nodes are 0, 1, ... in order of first appearance, and their ids.

    Whoever knows the nodes otherwise says how many there are.
    It never changes, so threads and connections share it. ``nbytes`` grows as more is built.
    """

    def __init__(
        self,
        ids: Dictionary,
        source: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None = None,
        nodes: int | None = None,
    ) -> None:
        self.ids = ids
        self.source = source
        self.target = target
        self.weight = weight
        self.nodes = len(ids) if nodes is None else nodes
        self._lock = threading.RLock()
        self._built: dict[Any, Any] = {}
        self._results: dict[Any, Any] = {}

    @property
    def edges(self) -> int:
        """How many edges there are, parallel ones counted."""
        return len(self.source)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        arrays = (self.source, self.target, self.weight)
        held = sum(array.nbytes for array in arrays if array is not None) + self.ids.nbytes
        with self._lock:
            built = [*self._built.values(), *self._results.values()]
        return held + sum(_size(value) for value in built)

    def equals(self, other: Graph) -> bool:
        """Whether both are the same edges between the same ids."""
        same = np.array_equal(self.source, other.source)
        same = same and np.array_equal(self.target, other.target)
        if self.weight is None or other.weight is None:
            same = same and self.weight is other.weight
        else:
            same = same and np.array_equal(self.weight, other.weight)
        return same and self.ids.equals(other.ids)

    def find(self, value: Any) -> int:
        """The node of an id, -1 where there is none.

        A number also finds its text and a text its number, where the exact id is not there: what
        comes from a URL or from JSON is text.
        """
        found = self.ids.find(value)
        if found >= 0 or value is None or isinstance(value, bytes):
            return found
        if not isinstance(value, str):
            return self.ids.find(str(value))
        try:
            return self.ids.find(int(value) if str(int(value)) == value else value)
        except ValueError:
            return -1

    def neighbours(self, direction: str, work: Work) -> Neighbours:
        """The edges by node, in one direction or in both."""
        return self._once(self._built, direction, lambda: self._sort(direction, work))

    def simple(self, direction: str, work: Work) -> Neighbours:
        """As `neighbours`, parallel edges made one, of the least weight."""
        key = ("simple", direction)
        return self._once(
            self._built, key, lambda: _simplify(self.neighbours(direction, work), work)
        )

    def result(self, key: Any, compute: Callable[[], T]) -> T:
        """What `compute` gave for this key before, else now."""
        return self._once(self._results, key, compute)

    def unweighted(self) -> Graph:
        """The same edges, each of weight 1."""
        if self.weight is None:
            return self
        plain = self.result("unweighted", self._plain)
        with self._lock:
            ways = {key: value for key, value in self._built.items() if isinstance(key, str)}
        plain.put({key: replace(value, weights=None) for key, value in ways.items()})
        return plain

    def _plain(self) -> Graph:
        return Graph(self.ids, self.source, self.target, nodes=self.nodes)

    def put(self, ways: dict[str, Neighbours]) -> None:
        """Take neighbours that were built before; the caller has checked them."""
        with self._lock:
            self._built.update(ways)

    def _once(self, store: dict[Any, Any], key: Any, make: Callable[[], T]) -> T:
        with self._lock:
            found = store.get(key)
        if found is None:
            # Two threads may make the same at once: waiting for another could not be interrupted.
            found = make()
            with self._lock:
                found = store.setdefault(key, found)
        value: T = found
        return value

    def _sort(self, direction: str, work: Work) -> Neighbours:
        ends = {
            "forward": (self.source, self.target),
            "reverse": (self.target, self.source),
            "both": (self.source, self.target),
        }[direction]
        weight = self.weight
        count = self.edges * (2 if direction == "both" else 1)
        work.need(8 * (self.nodes + 1) + count * (24 if weight is not None else 16), "the graph")
        return _by_source(self.nodes, *ends, weight, work, both=direction == "both")


def _by_source(
    nodes: int,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    work: Work,
    *,
    both: bool,
) -> Neighbours:
    count = len(source) * (2 if both else 1)
    offsets = np.zeros(nodes + 1, np.int64)
    targets, edges = np.empty(count, np.int32), np.empty(count, np.int32)
    weights = None if weight is None else np.empty(count)
    kept = work.run(
        "csr",
        *(source, target, weight, offsets, targets, weights, edges, int(both)),
        steps=count,
    )
    # Self loops are there once: the arrays end early.
    weights = None if weights is None else weights[:kept]
    return Neighbours(offsets, targets[:kept], weights, edges[:kept])


def _simplify(full: Neighbours, work: Work) -> Neighbours:
    """Make parallel edges one, of the least weight."""
    count = len(full.targets)
    weighted = 0 if full.weights is None else 16
    work.need(12 * full.nodes + (20 + weighted) * count, "the graph without parallel edges")
    offsets, mark = np.empty_like(full.offsets), np.full(full.nodes, -1, np.int32)
    targets, places = np.empty(count, np.int32), np.empty(count, np.int32)
    weights = None if full.weights is None else np.empty(count)
    left = work.run(
        "simplify",
        *(full.offsets, full.targets, full.weights, mark),
        *(offsets, targets, weights, places),
        steps=count + full.nodes,
    )
    kept = None if weights is None else weights[:left].copy()
    return Neighbours(offsets, targets[:left].copy(), kept, full.edges[places[:left]])


def _size(value: Any) -> int:
    if isinstance(value, tuple):
        return sum(_size(part) for part in value)
    return int(getattr(value, "nbytes", 64))
