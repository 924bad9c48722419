"""Personalized PageRank around seeds, and where each node's share of it came from.

Arrays only: `Network` gives the edges, seeds are nodes and weights. The walk goes both ways along
edges, starts again at the seeds with the probability 1 - damping, and stays in the ball of nodes
within so many hops (Haveliwala 2002; forward push of Andersen, Chung and Lang 2006).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sqlite_utils_muninn.graph.graph import Neighbours
    from sqlite_utils_muninn.graph.work import Work

    from .network import Network

TOLERANCE = 1e-4
"""The part of all that starts which may be left to walk on."""
MOST_STEPS = 200_000
"""Steps along edges after which it is left all the same."""
CHEAP = 10
"""Edges are passed in the ball so many times as fast as a kernel's usual step."""
FOLLOWED = 1e-3
"""The least part of a node's rank whose way is followed back."""
ENTRIES = 100_000
"""Nodes, once for each number of steps, that are looked at on the way back."""
KEPT_SCRATCH = 4


@dataclass(frozen=True)
class Spread:
    """How far and how a walk goes."""

    damping: float
    hops: int
    hub_cap: int
    tolerance: float = field(default_factory=lambda: TOLERANCE)
    steps: int = field(default_factory=lambda: MOST_STEPS)


@dataclass(frozen=True)
class Field:
    """The nodes that a walk reached, nearest first, and what is known of each."""

    ways: Neighbours
    weights: np.ndarray | None
    nodes: np.ndarray
    place: np.ndarray
    """Of each node of the network among `nodes`, -1: it was not reached. On loan."""
    hop: np.ndarray
    start: np.ndarray
    """What each has as a seed; sums to 1."""
    rank: np.ndarray
    """How often the walk is at each, for one start at the seeds."""
    strength: np.ndarray
    """The weight of all edges along which a node passed something on; 0 or less: it did not."""

    @property
    def share(self) -> np.ndarray:
        """The rank scaled to sum to 1: what comes to a hub starts again at the seeds."""
        shares: np.ndarray = self.rank / self.rank.sum()
        return shares


class Scratch(NamedTuple):
    """Memory for all nodes of a network, which walks lend each other."""

    place: np.ndarray
    """int32, -1 between walks."""
    mass: np.ndarray
    """float64, NaN between walks."""


class Origin(NamedTuple):
    """Where a node's rank came from."""

    nodes: list[int]
    """From the seed that gave most to the node itself, which may be the same."""
    edges: list[int]
    """Numbers of the edges between them; number + count of edges: against the arrow."""
    shares: list[float]
    """Of each edge, in what arrives at the node that it leads to."""
    direct: float
    """The share that the node has as a seed."""
    given: float
    """The share that came from that seed, by all ways."""


class Walk:
    """A walk on a network. Use it as a context: its memory is lent to the next one."""

    def __init__(
        self, network: Network, weights: np.ndarray | None, spread: Spread, work: Work
    ) -> None:
        self.network = network
        self.weights = weights
        self.spread = spread
        self.work = work
        self._field: Field | None = None
        self._lent: Scratch | None = None

    def run(self, seeds: np.ndarray, start: np.ndarray) -> Field:
        """Walk from seeds (nodes, each once) with their weights, and give what was reached."""
        ways = self.network.ways(self.work)
        lent = self._lent = self._borrow(ways.nodes)
        order = np.empty(ways.nodes, np.int32)
        ends = np.zeros(self.spread.hops + 1, np.int64)
        count = self.work.run(
            "ball",
            *(ways.offsets, ways.targets, self.weights, seeds.astype(np.int32)),
            *(self.spread.hops, self.spread.hub_cap, order, lent.place, ends),
            steps=len(ways.targets) // CHEAP,
        )
        nodes = order[:count].copy()
        first, strength, rank = (np.zeros(count) for _ in range(3))
        first[: len(seeds)] = start / start.sum()
        lent.mass[nodes] = first
        # All neighbours of those that were looked at from are in the ball.
        inner = int(ends[-2]) if self.spread.hops else 0
        self.work.run(
            "spread",
            *(ways.offsets, ways.targets, self.weights, nodes, lent.place),
            *(self.spread.hub_cap, inner, float(self.spread.damping)),
            *(float(self.spread.tolerance), self.spread.steps, lent.mass, rank, strength),
            *(np.empty(count, np.int32), np.zeros(count, np.uint8), np.empty(count)),
            steps=self.spread.steps // 2,
        )
        hop = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        self._field = Field(ways, self.weights, nodes, lent.place, hop, first, rank, strength)
        return self._field

    def origins(self, places: np.ndarray) -> list[Origin]:
        """Return where the rank of some of the reached nodes came from; they are given by place."""
        field = self._field
        assert field is not None
        steps = self.spread.hops + 1
        trace = _Trace(field, self.spread.damping, self.work, steps, FOLLOWED)
        # The nearest seeds may be the weakest: then all came from further away.
        longer = _Trace(field, self.spread.damping, self.work, 3 * steps, FOLLOWED / 100)
        found = []
        for place in places.tolist():
            path, edges, shares = trace.back_from(place)
            if not shares[1] > 0:
                path, edges, shares = longer.back_from(place)
            found.append(
                Origin(
                    field.nodes[path].tolist(),
                    [self._along(at) for at in edges.tolist()],
                    shares[2:].tolist(),
                    *(float(share) for share in shares[:2]),
                )
            )
        return found

    def _along(self, at: int) -> int:
        """The edge at a place in the list of the node that a path goes to.

        That list has the edges as that node sees them: what leaves it is gone against here.
        """
        assert self._field is not None
        edge, edges = int(self._field.ways.edges[at]), self.network.graph.edges
        return edge - edges if edge >= edges else edge + edges

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        field, lent = self._field, self._lent
        if kind is None and field and lent and len(self.network.scratch) < KEPT_SCRATCH:
            lent.place[field.nodes] = -1
            lent.mass[field.nodes] = np.nan
            self.network.scratch.append(lent)

    def _borrow(self, nodes: int) -> Scratch:
        try:
            return self.network.scratch.pop()
        except IndexError:
            return Scratch(np.full(nodes, -1, np.int32), np.full(nodes, np.nan))


class _Trace:
    """The way back from nodes, and the memory that it takes."""

    def __init__(
        self, field: Field, damping: float, work: Work, steps: int, followed: float
    ) -> None:
        self.field, self.damping, self.work = field, damping, work
        self.steps, self.followed = steps, followed
        count = len(field.nodes)
        self.memory = (
            *(np.empty(ENTRIES, np.int32) for _ in range(2)),
            *(np.empty(ENTRIES) for _ in range(2)),
            np.empty(ENTRIES, np.int64),
            np.full(count, -1, np.int32),
            np.zeros(count),
        )

    def back_from(self, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the places of the best path from the greatest seed, its edges, and shares."""
        field = self.field
        path, edges = np.empty(self.steps + 1, np.int32), np.empty(self.steps, np.int64)
        shares = np.empty(self.steps + 2)
        length = self.work.run(
            "trace",
            *(field.ways.offsets, field.ways.targets, field.weights, field.nodes),
            *(field.place, field.strength, field.rank, field.start),
            *(float(self.damping), place, self.steps, self.followed, path, edges, shares),
            *self.memory,
            steps=1,
        )
        return path[: length + 1], edges[:length], shares[: length + 2]
