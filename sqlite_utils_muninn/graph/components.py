"""Weakly connected components."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Components(NamedTuple):
    """The component of each node, numbered in order of first appearance, and their sizes."""

    label: np.ndarray
    size: np.ndarray


def components(graph: Graph, work: Work) -> Components:
    """Find the parts of the graph that no edge connects, whatever way it points."""

    def compute() -> Components:
        return connected(graph.nodes, graph.source, graph.target, work)

    return graph.result("components", compute)


def connected(nodes: int, source: np.ndarray, target: np.ndarray, work: Work) -> Components:
    """As `components`, for any edge list."""
    work.need(12 * nodes, "the components")
    parent, label, size = (np.empty(nodes, np.int32) for _ in range(3))
    steps = 2 * len(source) + nodes
    count = work.run("components", source, target, parent, label, size, steps=steps)
    return Components(label, size[:count].copy())
