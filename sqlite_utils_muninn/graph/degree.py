"""Degrees of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Degrees(NamedTuple):
    """By node: int64 counts, or float64 sums where the graph has weights."""

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
    inward = np.bincount(graph.target, graph.weight, minlength=graph.nodes)
    outward = np.bincount(graph.source, graph.weight, minlength=graph.nodes)
    chosen = {"forward": outward, "reverse": inward, "both": inward + outward}[direction]
    scale = max(graph.nodes - 1, 1) if normalized else 1
    return Degrees(inward, outward, chosen / scale)


def counts_and_sums(graph: Graph) -> tuple[np.ndarray, ...]:
    """Edges in, edges out (int64), weight in, weight out (float64) of each node."""
    ends = (graph.target, graph.source)
    counts = tuple(np.bincount(end, minlength=graph.nodes) for end in ends)
    if graph.weight is None:
        return (*counts, *(count.astype(float) for count in counts))
    return (*counts, *(np.bincount(end, graph.weight, graph.nodes) for end in ends))
