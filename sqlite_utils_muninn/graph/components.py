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
        return _number("components", graph.source, graph.target, nodes=graph.nodes, work=work)

    return graph.result("components", compute)


def connected_groups(
    offsets: np.ndarray, targets: np.ndarray, group: np.ndarray, work: Work
) -> Components:
    """The connected parts of groups of nodes, of a graph in which edges are there both ways."""
    return _number("connected_groups", offsets, targets, group, nodes=len(group), work=work)


def _number(kernel: str, *edges: np.ndarray, nodes: int, work: Work) -> Components:
    work.need(36 * nodes, "the components")
    parent, label, size = (np.empty(nodes, np.int32) for _ in range(3))
    count = work.run(kernel, *edges, parent, label, size, steps=2 * len(edges[1]) + nodes)
    return Components(label, size[:count].copy())
