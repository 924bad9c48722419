"""The shortest path between two nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work


class Path(NamedTuple):
    """Nodes from the start to the end, and how far each is from the start."""

    nodes: np.ndarray
    distance: np.ndarray


NOWHERE = Path(np.empty(0, np.int32), np.empty(0))


def shortest_path(graph: Graph, start: int, end: int, direction: str, work: Work) -> Path:
    """The shortest path by weight (Dijkstra 1959), by hops where the graph has no weights.

    Weights must not be negative. Without a path, or where a node is -1, the path is empty. Among
    equally short paths, the same edges always give the same.
    """
    if start < 0 or end < 0:
        return NOWHERE
    if graph.weight is None:
        return _by_hops(graph, start, end, direction, work)
    way = graph.neighbours(direction, work)
    work.need(20 * graph.nodes, "the search")
    parent, heap = np.empty(graph.nodes, np.int32), np.empty(graph.nodes, np.int32)
    distance, place = np.full(graph.nodes, np.inf), np.full(graph.nodes, -1, np.int32)
    found = work.run(
        "dijkstra",
        *(way.offsets, way.targets, way.weights, start, end, distance, parent, heap, place),
        steps=4 * (len(way.targets) + graph.nodes),
    )
    if not found:
        return NOWHERE
    nodes = _walk_back(parent, end)
    return Path(nodes, distance[nodes])


def _by_hops(graph: Graph, start: int, end: int, direction: str, work: Work) -> Path:
    from .traversal import bfs

    tree = bfs(graph, [start], graph.nodes, direction, work, end=end)
    parent = np.full(graph.nodes, -2, np.int32)
    parent[tree.nodes] = tree.parent
    if parent[end] == -2:
        return NOWHERE
    nodes = _walk_back(parent, end)
    return Path(nodes, np.arange(len(nodes), dtype=float))


def _walk_back(parent: np.ndarray, end: int) -> np.ndarray:
    nodes = [end]
    while parent[nodes[-1]] >= 0:
        nodes.append(int(parent[nodes[-1]]))
    return np.array(nodes[::-1], np.int32)
