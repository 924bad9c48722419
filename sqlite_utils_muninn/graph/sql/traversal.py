"""graph_bfs, graph_dfs, graph_shortest_path, graph_components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Parameter

from .call import EDGES, TIME, TYPES, WEIGHT, Call, Nodes, direction, graph_function

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from sqlite_utils_muninn.bridge import Declaration
    from sqlite_utils_muninn.settings import Host

    from ..graph import Graph
    from ..traversal import Tree
    from ..work import Work

_TREE = ("node", "depth INTEGER", "parent")
_START = Parameter("start_node", help="Id of the node to start at.")
_TRAVERSAL = (
    *EDGES,
    _START,
    Parameter("max_depth", 100, kind="integer", help="Most steps away from the start."),
    direction("forward"),
    *TIME,
    *TYPES,
)


def surface(host: Host) -> list[Declaration]:
    """Return the functions that walk along edges."""
    return [
        graph_function(
            host,
            "graph_bfs",
            _TREE,
            _TRAVERSAL,
            _bfs,
            help="The nodes that can be reached, nearest first.",
            order=(("depth", "ASC"),),
        ),
        graph_function(
            host,
            "graph_dfs",
            _TREE,
            _TRAVERSAL,
            _dfs,
            help="The nodes that can be reached, depth first, as they are entered.",
        ),
        graph_function(
            host,
            "graph_shortest_path",
            ("node", "distance REAL", "path_order INTEGER"),
            (
                *EDGES,
                _START,
                Parameter("end_node", help="Id of the node to go to."),
                WEIGHT,
                direction("forward"),
                *TIME,
                *TYPES,
            ),
            _shortest_path,
            help="The nodes of the shortest path between two nodes, no rows without one.",
            order=(("path_order", "ASC"),),
        ),
        graph_function(
            host,
            "graph_components",
            ("node", "component_id INTEGER", "component_size INTEGER"),
            (*EDGES, *TIME, *TYPES),
            _components,
            help="The connected part that each node belongs to, whatever way edges point.",
            order=(("component_id", "ASC"),),
        ),
    ]


def _bfs(call: Call) -> Any:
    from ..traversal import bfs

    return _tree(call, lambda graph, start, *how: bfs(graph, [start], *how))


def _dfs(call: Call) -> Any:
    from ..traversal import dfs

    return _tree(call, dfs)


def _tree(call: Call, traverse: Callable[[Graph, int, int, str, Work], Tree]) -> Any:
    depth = call.at_least("max_depth", 0)
    way, graph = call.direction, call.graph()
    start = graph.find(call["start_node"])
    if start < 0:
        return iter(())
    most = min(depth, graph.nodes)
    tree = call.run(graph, lambda work: traverse(graph, start, most, way, work))
    return call.rows(graph, tree.nodes, tree.depth, Nodes(tree.parent))


def _shortest_path(call: Call) -> Any:
    import numpy as np

    from ..paths import shortest_path

    way, graph = call.direction, call.graph()
    start, end = graph.find(call["start_node"]), graph.find(call["end_node"])
    path = call.run(graph, lambda work: shortest_path(graph, start, end, way, work))
    return call.rows(graph, path.nodes, path.distance, np.arange(len(path.nodes)))


def _components(call: Call) -> Any:
    import numpy as np

    from ..components import components

    graph = call.graph()

    def compute(work: Work) -> tuple[np.ndarray, ...]:
        found = components(graph, work)
        order = np.argsort(found.label, kind="stable")
        label = found.label[order]
        return order, label, found.size[label]

    return call.rows(graph, *call.run(graph, compute))
