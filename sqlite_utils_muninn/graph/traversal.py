"""Breadth-first and depth-first traversal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import Graph
    from .work import Work


class Tree(NamedTuple):
    """The nodes that were reached, in the order in which they were, as int32 arrays.

    ``depth`` and ``parent`` (-1: none) are those of the traversal tree.
    """

    nodes: np.ndarray
    depth: np.ndarray
    parent: np.ndarray


def bfs(
    graph: Graph,
    starts: Sequence[int] | np.ndarray,
    max_depth: int,
    direction: str,
    work: Work,
    *,
    end: int = -1,
) -> Tree:
    """Traverse breadth first from one or more nodes, neighbours in the order of their rows.

    With ``end`` the search is over when that node is found.
    """
    way = graph.neighbours(direction, work)
    work.need(12 * graph.nodes, "the traversal")
    order, parent = np.empty(graph.nodes, np.int32), np.empty(graph.nodes, np.int32)
    depth = np.full(graph.nodes, -1, np.int32)
    count = work.run(
        "bfs",
        *(way.offsets, way.targets, np.asarray(starts, np.int32), end, max_depth),
        *(order, depth, parent),
        steps=len(way.targets) + graph.nodes,
    )
    nodes = order[:count]
    return Tree(nodes, depth[nodes], parent[nodes])


def dfs(graph: Graph, start: int, max_depth: int, direction: str, work: Work) -> Tree:
    """Traverse depth first, neighbours in the order of their rows; nodes as they are entered."""
    way = graph.neighbours(direction, work)
    work.need(24 * graph.nodes, "the traversal")
    order, parent, stack = (np.empty(graph.nodes, np.int32) for _ in range(3))
    depth, cursor = np.full(graph.nodes, -1, np.int32), np.empty(graph.nodes, np.int64)
    count = work.run(
        "dfs",
        *(way.offsets, way.targets, start, max_depth, order, depth, parent, stack, cursor),
        steps=len(way.targets) + graph.nodes,
    )
    nodes = order[:count]
    return Tree(nodes, depth[nodes], parent[nodes])
