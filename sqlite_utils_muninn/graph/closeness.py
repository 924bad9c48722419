"""Closeness centrality."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


def closeness(graph: Graph, direction: str, work: Work, *, normalized: bool) -> np.ndarray:
    """How near each node is to those it can reach (float64).

    (r - 1) / sum of distances, r being the nodes reached, itself included; normalized times
    (r - 1) / (n - 1), as Wasserman and Faust 1994 (equation 5.22) do for graphs that are not
    connected. 'forward' takes distances out of the node, that is networkx's closeness of the
    reversed graph. 0 where nothing is reached.
    """

    def compute() -> np.ndarray:
        reached, total = _distances(graph, direction, work)
        with np.errstate(divide="ignore", invalid="ignore"):
            near = np.where(total > 0, reached / total, 0.0)
        return near * (reached / max(graph.nodes - 1, 1)) if normalized else near

    return graph.result(("closeness", direction, normalized), compute)


def _distances(graph: Graph, direction: str, work: Work) -> tuple[np.ndarray, np.ndarray]:
    """How many others each node reaches, and the sum of distances to them."""
    way = graph.simple(direction, work)
    nodes = graph.nodes
    # In strides of 64, so that each search at once is full.
    count = max(1, min(work.threads, nodes // 64))
    bounds = [nodes * i // count // 64 * 64 for i in range(count)] + [nodes]
    reached = np.zeros(nodes, np.int32)
    steps = nodes * (nodes + len(way.targets)) // 8
    if way.weights is not None:
        work.need(16 * nodes * count, "the distances")
        total = np.zeros(nodes)
        calls = [
            (
                *(way.offsets, way.targets, way.weights, first, last, total),
                *(np.empty(nodes), reached, np.empty(nodes, np.int32), np.empty(nodes, np.int32)),
            )
            for first, last in pairwise(bounds)
        ]
        work.run_all("closeness_weighted", calls, steps=8 * steps)
        return reached, total
    work.need(32 * nodes * count, "the distances")
    sums = np.zeros(nodes, np.int64)
    plain = [
        (
            *(way.offsets, way.targets, first, last, np.empty(nodes, np.uint64)),
            *(np.zeros(nodes, np.uint64), np.zeros(nodes, np.uint64)),
            *(sums, reached, np.empty(2 * nodes, np.int32)),
        )
        for first, last in pairwise(bounds)
    ]
    work.run_all("closeness", plain, steps=steps)
    return reached, sums
