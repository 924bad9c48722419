"""Communities by the Leiden algorithm (Traag, Waltman and van Eck 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .components import connected
from .graph import Neighbours, simplify, sorted_by_source

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Communities(NamedTuple):
    """The community of each node, numbered by size, the largest 0; and their modularity."""

    label: np.ndarray
    modularity: float


@dataclass(frozen=True)
class _Level:
    """An undirected graph: each edge from both ends, self loops only in the strengths."""

    ways: Neighbours
    weights: np.ndarray
    strength: np.ndarray

    @property
    def nodes(self) -> int:
        return len(self.strength)


def leiden(
    graph: Graph, work: Work, *, resolution: float = 1.0, seed: int = 42, iterations: int = 2
) -> Communities:
    """Partition the undirected graph so that modularity is high.

    Each community is connected. Parallel edges, and edges against each other, add up. Weights must
    not be negative. Each iteration starts from the communities of the one before.
    """

    def compute(work: Work) -> Communities:
        work.need(120 * graph.nodes + 60 * graph.edges, "the communities")
        level = _first_level(graph, work)
        total = level.strength.sum()
        label = np.arange(graph.nodes, dtype=np.int32)
        random = np.random.default_rng(seed)
        pull = resolution / total if total > 0 else 0.0
        for _ in range(iterations if total > 0 else 0):
            label = _iterate(level, label, pull, random, work)
        label = _numbered(_connected_parts(level, label, work))
        return Communities(label, modularity(graph, label, resolution))

    key = ("leiden", resolution, seed, iterations)
    steps = 10 * (graph.nodes + graph.edges)
    return graph.result(key, lambda: work.aside(compute, steps=steps))


def modularity(graph: Graph, label: np.ndarray, resolution: float = 1.0) -> float:
    """Modularity of a partition of the undirected graph (Newman and Girvan 2004)."""
    weight = np.ones(graph.edges) if graph.weight is None else graph.weight
    total = weight.sum()
    if total <= 0:
        return 0.0
    inside = weight[label[graph.source] == label[graph.target]].sum()
    groups = int(label.max()) + 1
    strength = np.bincount(label[graph.source], weight, minlength=groups)
    strength = strength + np.bincount(label[graph.target], weight, minlength=groups)
    return float(inside / total - resolution * ((strength / (2 * total)) ** 2).sum())


def _first_level(graph: Graph, work: Work) -> _Level:
    weight = np.ones(graph.edges) if graph.weight is None else graph.weight
    strength = np.bincount(graph.source, weight, minlength=graph.nodes).astype(float)
    strength += np.bincount(graph.target, weight, minlength=graph.nodes)
    apart = graph.source != graph.target
    source, target, weight = graph.source[apart], graph.target[apart], weight[apart]
    both = np.concatenate([source, target]), np.concatenate([target, source])
    return _level(*both, np.concatenate([weight, weight]), strength, work)


def _level(
    source: np.ndarray, target: np.ndarray, weight: np.ndarray, strength: np.ndarray, work: Work
) -> _Level:
    work.check()
    full = sorted_by_source(len(strength), source, target, weight, work)
    ways = simplify(full, work, add_up=True)
    assert ways.weights is not None
    return _Level(ways, ways.weights, strength)


def _iterate(
    level: _Level, label: np.ndarray, pull: float, random: np.random.Generator, work: Work
) -> np.ndarray:
    """Move, refine, aggregate, until nothing is left to aggregate.

    The first visit is in order of first appearance, in which neighbours are near each other in
    memory; the others are in random order.
    """
    order = np.arange(level.nodes, dtype=np.int32)
    place = np.arange(level.nodes, dtype=np.int32)  # of each node of the graph, on this level
    while True:
        label = _move(level, label, pull, order, work)
        part = _refine(level, label, pull, random, work)
        work.check()
        part, count = _close_up(part)
        if count == level.nodes:
            return label[place]
        place = part[place]
        # The parts of a community are its nodes on the next level.
        above = np.empty(count, np.int32)
        above[part] = label
        label, _ = _close_up(above)
        level = _aggregate(level, part, count, work)
        order = random.permutation(level.nodes).astype(np.int32)


def _close_up(label: np.ndarray) -> tuple[np.ndarray, int]:
    """Number labels 0, 1, ... in their order, and count them."""
    taken = np.zeros(int(label.max()) + 1, np.int32)
    taken[label] = 1
    number = np.cumsum(taken, dtype=np.int32)
    closed: np.ndarray = number[label] - 1
    return closed, int(number[-1])


def _move(
    level: _Level, label: np.ndarray, pull: float, order: np.ndarray, work: Work
) -> np.ndarray:
    nodes = level.nodes
    label = label.astype(np.int32, copy=True)
    total = np.bincount(label, level.strength, minlength=nodes)
    members = np.bincount(label, minlength=nodes).astype(np.int32)
    free = np.flatnonzero(members == 0)
    empty = np.empty(nodes, np.int32)
    empty[: len(free)] = free
    work.run(
        "move_nodes",
        *(level.ways.offsets, level.ways.targets, level.weights, level.strength),
        *(label, total, np.full(nodes, -1.0), float(pull), order),
        *(np.ones(nodes, np.uint8), np.empty(nodes, np.int32), members, empty, len(free)),
        steps=10 * (nodes + len(level.ways.targets)),
    )
    return label


def _refine(
    level: _Level, label: np.ndarray, pull: float, random: np.random.Generator, work: Work
) -> np.ndarray:
    nodes = level.nodes
    part = np.arange(nodes, dtype=np.int32)
    total = np.bincount(label, level.strength, minlength=nodes)
    work.run(
        "refine",
        *(level.ways.offsets, level.ways.targets, level.weights, level.strength, label, part),
        *(total, level.strength.copy(), np.empty(nodes), float(pull)),
        *(random.permutation(nodes).astype("i4"), np.full(nodes, -1.0), np.ones(nodes)),
        np.empty(nodes, np.int32),
        steps=3 * (nodes + len(level.ways.targets)),
    )
    return part


def _aggregate(level: _Level, part: np.ndarray, count: int, work: Work) -> _Level:
    """Make a node of each part."""
    owner = np.repeat(np.arange(level.nodes, dtype=np.int32), np.diff(level.ways.offsets))
    source, target = part[owner], part[level.ways.targets]
    apart = source != target
    strength = np.bincount(part, level.strength, minlength=count)
    return _level(source[apart], target[apart], level.weights[apart], strength, work)


def _connected_parts(level: _Level, label: np.ndarray, work: Work) -> np.ndarray:
    """Take communities apart that are not connected, which can only raise modularity."""
    owner = np.repeat(np.arange(level.nodes, dtype=np.int32), np.diff(level.ways.offsets))
    inside = (label[owner] == label[level.ways.targets]) & (level.weights > 0)
    found = connected(level.nodes, owner[inside], level.ways.targets[inside], work)
    return found.label


def _numbered(label: np.ndarray) -> np.ndarray:
    """Number communities by size, and those of one size by their first node."""
    _, first, which, size = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(first), np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(first), dtype=np.int32)
    numbered: np.ndarray = rank[which]
    return numbered
