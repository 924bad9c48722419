"""Betweenness of nodes and of edges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph, Neighbours
    from .work import Work

SEED = 42
"""Of the sample of sources: the same graph gives the same centralities."""


class EdgeBetweenness(NamedTuple):
    """Distinct edges in order of first appearance, as nodes, and their centrality."""

    source: np.ndarray
    target: np.ndarray
    centrality: np.ndarray


def node_betweenness(
    graph: Graph, direction: str, threshold: int, work: Work, *, normalized: bool
) -> np.ndarray:
    """How many shortest paths between others lead through each node (float64).

    Brandes 2001. Parallel edges are one path, of the least weight. 'both' is the undirected graph:
    each pair counts once. Normalized divides by the number of pairs of other nodes. In a graph of
    more than `threshold` nodes, ceil(sqrt(n)) sources stand for all.

    Of paths of one length those with the fewest edges of weight 0 count, as if such an edge had a
    weight smaller than any number. (networkx asks for weights above 0.)
    """

    def compute() -> np.ndarray:
        way = graph.simple(direction, work)
        sources = _sources(graph.nodes, threshold)
        total = _brandes(way, sources, work, of_edges=False)
        pairs = (graph.nodes - 1) * (graph.nodes - 2) if normalized and graph.nodes > 2 else 1
        return total * _scale(graph.nodes, len(sources), pairs, direction, normalized=normalized)

    return graph.result(("betweenness", direction, threshold, normalized), compute)


def edge_betweenness(
    graph: Graph, direction: str, threshold: int, work: Work, *, normalized: bool
) -> EdgeBetweenness:
    """How many shortest paths lead along each edge.

    As `node_betweenness`; normalized divides by n * (n - 1). With 'both', an edge and the one
    against it are one.
    """

    def compute() -> EdgeBetweenness:
        way = graph.simple(direction, work)
        sources = _sources(graph.nodes, threshold)
        total = _brandes(way, sources, work, of_edges=True)
        pairs = graph.nodes * (graph.nodes - 1) if normalized and graph.nodes > 1 else 1
        total = total * _scale(graph.nodes, len(sources), pairs, direction, normalized=normalized)
        work.need((100 if direction == "both" else 50) * len(way.targets), "the edges")
        return _by_edge(graph, way, total, direction)

    return graph.result(("edge_betweenness", direction, threshold, normalized), compute)


def _sources(nodes: int, threshold: int) -> np.ndarray:
    if nodes <= threshold:
        return np.arange(nodes, dtype=np.int32)
    count = math.ceil(math.sqrt(nodes))
    sample = np.random.default_rng(SEED).choice(nodes, count, replace=False)
    return np.sort(sample).astype(np.int32)


def _scale(nodes: int, sources: int, pairs: int, direction: str, *, normalized: bool) -> float:
    sampled = nodes / sources if sources else 1.0
    halved = 0.5 if direction == "both" and not normalized else 1.0
    return sampled * halved / pairs


def _brandes(way: Neighbours, sources: np.ndarray, work: Work, *, of_edges: bool) -> np.ndarray:
    """Sum over sources, each thread over its share of them."""
    nodes, size = way.nodes, len(way.targets) if of_edges else way.nodes
    count = max(1, min(work.threads, len(sources)))
    work.need(count * (48 * nodes + 8 * size) + 24 * (size + nodes), "the paths")
    totals = [np.zeros(size) for _ in range(count)]
    calls: list[tuple[Any, ...]] = [
        (
            *(way.offsets, way.targets, way.weights, sources[part::count].copy()),
            *((None, totals[part]) if of_edges else (totals[part], None)),
            *(np.full(nodes, np.inf), np.zeros(nodes), np.empty(nodes, np.int32)),
            *(np.full(nodes, -1, np.int32), np.zeros(nodes), np.empty(nodes + 1, np.int32)),
            np.empty(nodes, np.int32),
        )
        for part in range(count)
    ]
    work.run_all("brandes", calls, steps=2 * len(sources) * (nodes + len(way.targets)))
    total: np.ndarray = np.sum(totals, axis=0)
    return total


def _by_edge(graph: Graph, way: Neighbours, total: np.ndarray, direction: str) -> EdgeBetweenness:
    """Put the edges in order of first appearance, both ways of an undirected one together."""
    if direction != "both":
        order = np.argsort(way.edges, kind="stable")
        rows = way.edges[order]
        return EdgeBetweenness(graph.source[rows], graph.target[rows], total[order])
    owner = np.repeat(np.arange(way.nodes, dtype=np.int64), np.diff(way.offsets))
    low, high = np.minimum(owner, way.targets), np.maximum(owner, way.targets)
    _, first, which = np.unique(low * way.nodes + high, return_index=True, return_inverse=True)
    summed = np.bincount(which, total, minlength=len(first))
    rows = np.full(len(first), np.iinfo(np.int32).max, np.int64)
    np.minimum.at(rows, which, way.edges % max(graph.edges, 1))
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    return EdgeBetweenness(graph.source[rows], graph.target[rows], summed[order])
