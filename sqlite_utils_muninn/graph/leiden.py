"""Communities by the Leiden algorithm (Traag, Waltman and van Eck 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .components import connected_groups
from .graph import Graph

if TYPE_CHECKING:
    from .work import Work

LEAST_GAIN = 1e-10
"""What a move must gain, in mean weights of an edge: less may be rounding."""

MOST_SWEEPS = 1000
"""Over the nodes of a level, before moving is over at any rate."""


class Communities(NamedTuple):
    """The community of each node, numbered by size, the largest 0; and their modularity."""

    label: np.ndarray
    modularity: float


@dataclass(frozen=True)
class _Level:
    """An undirected graph: each edge from both ends, self loops only in the strengths."""

    offsets: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    strength: np.ndarray

    @property
    def nodes(self) -> int:
        return len(self.strength)

    @property
    def steps(self) -> int:
        """About how much there is to be looked at."""
        return self.nodes + len(self.targets)


@dataclass(frozen=True)
class _Search:
    """How communities are looked for: see the kernels for `pull` and `least`."""

    pull: float
    least: float
    random: np.random.Generator
    work: Work


def leiden(
    graph: Graph, work: Work, *, resolution: float = 1.0, seed: int = 42, iterations: int = 2
) -> Communities:
    """Partition the undirected graph so that modularity is high.

    Each community is connected. Parallel edges, and edges against each other, add up. Weights must
    not be negative. Each iteration starts from the communities of the one before.
    """

    def compute(work: Work) -> Communities:
        work.need(140 * graph.nodes + 90 * graph.edges, "the communities")
        plain = _of_common_weights(graph)
        level = _first_level(plain, work)
        label = np.arange(graph.nodes, dtype=np.int32)
        if len(level.targets):
            total = level.strength.sum()
            least = LEAST_GAIN * total / len(level.targets)
            search = _Search(resolution / total, least, np.random.default_rng(seed), work)
            for _ in range(iterations):
                label = _iterate(level, label, search)
        label = _numbered(connected_groups(level.offsets, level.targets, label, work).label)
        return Communities(label, _modularity(plain, level.strength, label, resolution))

    key = ("leiden", resolution, seed, iterations)
    steps = 10 * (graph.nodes + graph.edges)
    return graph.result(key, lambda: work.aside(compute, steps=steps))


def _of_common_weights(graph: Graph) -> Graph:
    """The same graph, whose weights can be added up and multiplied without an overflow."""
    most = 0.0 if graph.weight is None else graph.weight.max(initial=0)
    if graph.weight is None or most == 0 or 1e-100 < most < 1e100:
        return graph
    scaled = np.ldexp(graph.weight, -int(np.frexp(most)[1]))
    return Graph(graph.ids, graph.source, graph.target, scaled, graph.nodes)


def _modularity(graph: Graph, strength: np.ndarray, label: np.ndarray, resolution: float) -> float:
    """Modularity of a partition of the undirected graph (Newman and Girvan 2004)."""
    total = strength.sum() / 2
    if total <= 0:
        return 0.0
    is_inside = label[graph.source] == label[graph.target]
    inside = np.count_nonzero(is_inside) if graph.weight is None else graph.weight[is_inside].sum()
    share = np.bincount(label, strength) / (2 * total)
    return float(inside / total - resolution * (share**2).sum())


def _first_level(graph: Graph, work: Work) -> _Level:
    strength = np.bincount(graph.source, graph.weight, minlength=graph.nodes).astype(float)
    strength += np.bincount(graph.target, graph.weight, minlength=graph.nodes)
    ways = graph.neighbours("both", work)
    each = np.arange(graph.nodes, dtype=np.int32)
    return _aggregate(ways.offsets, ways.targets, ways.weights, each, strength, work)


def _aggregate(
    offsets: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    part: np.ndarray,
    strength: np.ndarray,
    work: Work,
) -> _Level:
    """Make a node of each part; `strength` is that of the parts."""
    nodes, count, edges = len(part), len(strength), len(targets)
    found = np.empty(count + 1, np.int64)
    leads_to, weight = np.empty(edges, np.int32), np.empty(edges)
    left = work.run(
        "aggregate",
        *(offsets, targets, weights, part, np.empty(nodes, np.int32)),
        *(np.zeros(count + 1, np.int64), np.zeros(count), found, leads_to, weight),
        steps=2 * (nodes + edges),
    )
    return _Level(found, leads_to[:left], weight[:left], strength)


def _iterate(level: _Level, label: np.ndarray, search: _Search) -> np.ndarray:
    """Move, refine, aggregate, until nothing is left to aggregate.

    Nodes are visited in the order of their numbers: at first that of their first appearance, in
    which neighbours are near each other in memory, on the levels above a random one.
    """
    place = np.arange(level.nodes, dtype=np.int32)  # of each node of the graph, on this level
    while True:
        label = _move(level, label, search)
        part, count = _close_up(_refine(level, label, search))
        if count == level.nodes:
            return label[place]
        part = search.random.permutation(count).astype(np.int32)[part]
        place = part[place]
        # The parts of a community are its nodes on the next level.
        above = np.empty(count, np.int32)
        above[part] = label
        label, _ = _close_up(above)
        strength = np.bincount(part, level.strength, minlength=count)
        search.work.check()
        edges = (level.offsets, level.targets, level.weights)
        level = _aggregate(*edges, part, strength, search.work)


def _close_up(label: np.ndarray) -> tuple[np.ndarray, int]:
    """Number labels 0, 1, ... in their order, and count them."""
    taken = np.zeros(int(label.max()) + 1, np.int32)
    taken[label] = 1
    number = np.cumsum(taken, dtype=np.int32)
    closed: np.ndarray = number[label] - 1
    return closed, int(number[-1])


def _move(level: _Level, label: np.ndarray, search: _Search) -> np.ndarray:
    nodes = level.nodes
    label = label.astype(np.int32, copy=True)
    communities = np.zeros((nodes, 2))
    communities[:, 1] = np.bincount(label, level.strength, minlength=nodes)
    members = np.bincount(label, minlength=nodes).astype(np.int32)
    free = np.flatnonzero(members == 0)
    empty = np.empty(nodes, np.int32)
    empty[: len(free)] = free
    waiting = np.zeros(nodes + 8, np.uint8)
    waiting[:nodes] = 1
    search.work.run(
        "move_nodes",
        *(level.offsets, level.targets, level.weights, level.strength, search.pull, search.least),
        *(label, communities.reshape(-1), waiting, np.empty(nodes, np.int32)),
        *(members, empty, len(free), np.zeros(nodes), MOST_SWEEPS),
        steps=10 * level.steps,
    )
    return label


def _refine(level: _Level, label: np.ndarray, search: _Search) -> np.ndarray:
    nodes = level.nodes
    places = np.empty((nodes, 2), np.int32)
    places[:, 0], places[:, 1] = label, np.arange(nodes)
    parts = np.zeros((nodes, 4))
    parts[:, 1], parts[:, 3] = level.strength, 1
    total = np.bincount(label, level.strength, minlength=nodes)
    search.work.run(
        "refine",
        *(level.offsets, level.targets, level.weights, level.strength, search.pull, search.least),
        *(places.reshape(-1), parts.reshape(-1), total, np.empty(nodes, np.int32)),
        steps=3 * level.steps,
    )
    part: np.ndarray = places[:, 1]
    return part


def _numbered(label: np.ndarray) -> np.ndarray:
    """Number communities by size, and those of one size by their first node."""
    _, first, which, size = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(first), dtype=np.int32)
    numbered: np.ndarray = rank[which]
    return numbered
