"""Degrees of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Degrees(NamedTuple):
    """By node, float64: counts of edges, or sums of weights where the graph has them.

    Only edges of the direction count: with 'forward' nothing is inward, as in sqlite-muninn. Real
    numbers with weights and without, so that a division in SQL means the same for both.
    """

    inward: np.ndarray
    outward: np.ndarray
    centrality: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """In and out together: a self loop counts twice."""
        total: np.ndarray = self.inward + self.outward
        return total


def degrees(graph: Graph, direction: str, work: Work, *, normalized: bool) -> Degrees:
    """Degrees, and the centrality: that of the direction, normalized divided by n - 1."""
    work.need(56 * graph.nodes + 8 * graph.edges, "the degrees")

    def counted(ends: np.ndarray, other: str) -> np.ndarray:
        if direction == other:
            return np.zeros(graph.nodes)
        return np.bincount(ends, graph.weight, minlength=graph.nodes).astype(float)

    inward = counted(graph.target, "forward")
    outward = counted(graph.source, "reverse")
    scale = max(graph.nodes - 1, 1) if normalized else 1
    return Degrees(inward, outward, (inward + outward) / scale)


def counts_and_sums(graph: Graph) -> tuple[np.ndarray, ...]:
    """Edges in, edges out (int64), weight in, weight out (float64) of each node."""
    ends = (graph.target, graph.source)
    counts = tuple(np.bincount(end, minlength=graph.nodes) for end in ends)
    if graph.weight is None:
        return (*counts, *(count.astype(float) for count in counts))
    return (*counts, *(np.bincount(end, graph.weight, graph.nodes) for end in ends))
