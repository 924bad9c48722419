"""PageRank, of the whole graph and around seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .graph import Neighbours
from .traversal import bfs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .graph import Graph
    from .work import Work


@dataclass(frozen=True)
class Walk:
    """How the random surfer walks.

    With the probability ``damping`` along an edge, else to any node. It is followed until ranks
    move by less than ``tolerance`` in all (L1), but at most for so many iterations.
    """

    damping: float = 0.85
    iterations: int = 200
    tolerance: float = 1e-10
    direction: str = "forward"


def pagerank(
    graph: Graph, walk: Walk, work: Work, seeds: Mapping[int, float] | None = None
) -> np.ndarray:
    """The rank of each node (float64, sums to 1), by power iteration.

    Parallel edges count, each by its weight where the graph has weights. A node without a way out
    leads everywhere, or to the seeds where there are some (node -> weight): the definition of
    networkx's `pagerank` of a MultiDiGraph. Page, Brin, Motwani and Winograd 1999.
    """

    def compute() -> np.ndarray:
        personal = np.full(graph.nodes, 1 / max(graph.nodes, 1))
        if seeds is not None:
            personal[:] = 0
            for node, weight in seeds.items():
                personal[node] += weight
            personal /= personal.sum()
        ways = {"forward": "reverse", "reverse": "forward", "both": "both"}
        return _iterate(graph.neighbours(ways[walk.direction], work), personal, walk, work)

    key = None if seeds is None else tuple(sorted(seeds.items()))
    return graph.result(("pagerank", walk, key), compute)


def _iterate(into: Neighbours, personal: np.ndarray, walk: Walk, work: Work) -> np.ndarray:
    """Rank nodes; `into` are the edges by the node that they lead to."""
    nodes = into.nodes
    work.need(72 * nodes + 8 * len(into.targets), "the ranks")
    out = np.bincount(into.targets, into.weights, minlength=nodes).astype(float)
    rank, scratch, share = personal.copy(), np.empty(nodes), np.empty(nodes)
    work.run(
        "pagerank",
        *(into.offsets, into.targets, into.weights, out, personal),
        *(float(walk.damping), walk.iterations, float(walk.tolerance), rank, scratch, share),
        steps=walk.iterations * (nodes + len(into.targets)),
    )
    ranks: np.ndarray = rank
    return ranks


class Ball(NamedTuple):
    """The nodes around seeds, with their rank and their distance in hops."""

    nodes: np.ndarray
    rank: np.ndarray
    hop: np.ndarray


def personalized_pagerank(
    graph: Graph, seeds: Mapping[int, float], walk: Walk, max_hops: int, work: Work
) -> Ball:
    """Rank the nodes within `max_hops` of the seeds by a walk that keeps starting at them.

    The walk stays inside that ball: an edge that leaves it is not there. Ranks sum to 1.
    """
    starts = np.array(sorted(seeds), np.int32)
    tree = bfs(graph, starts, max_hops, walk.direction, work)
    inside = np.full(graph.nodes, -1, np.int32)
    inside[tree.nodes] = np.arange(len(tree.nodes), dtype=np.int32)
    into = _induced(graph, tree.nodes, inside, walk, work)
    personal = np.zeros(len(tree.nodes))
    for node, weight in seeds.items():
        personal[inside[node]] += weight
    work.need(into.nbytes + 96 * into.nodes + 16 * graph.nodes, "the ball and its ranks")
    rank = _iterate(into, personal / personal.sum(), walk, work)
    return Ball(tree.nodes, rank, tree.depth)


def _induced(
    graph: Graph, nodes: np.ndarray, inside: np.ndarray, walk: Walk, work: Work
) -> Neighbours:
    """The edges between the nodes of a ball, by the node that they lead to."""
    ways = {"forward": "reverse", "reverse": "forward", "both": "both"}
    full = graph.neighbours(ways[walk.direction], work)
    count = int((full.offsets[nodes + 1] - full.offsets[nodes]).sum())
    work.need(16 * count + 32 * len(nodes) + 16 * graph.nodes, "the ball")
    offsets = np.empty(len(nodes) + 1, np.int64)
    targets, edges = np.empty(count, np.int32), np.empty(count, np.int32)
    weights = None if full.weights is None else np.empty(count)
    left = work.run(
        "induce",
        *(full.offsets, full.targets, full.weights, nodes, inside),
        *(offsets, targets, weights, edges),
        steps=count + len(nodes),
    )
    weights = None if weights is None else weights[:left]
    return Neighbours(offsets, targets[:left], weights, edges[:left])
