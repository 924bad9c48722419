"""graph_pagerank, graph_degree, graph_closeness and both kinds of betweenness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Parameter

from .call import EDGES, TIME, TYPES, WEIGHT, Call, Nodes, direction, falling, graph_function

if TYPE_CHECKING:
    import numpy as np

    from sqlite_utils_muninn.bridge import Declaration
    from sqlite_utils_muninn.settings import Host

    from ..work import Work

DAMPING = Parameter("damping", 0.85, kind="real", help="How often the walk goes on.")
ITERATIONS = Parameter("iterations", 200, kind="integer", help="Most rounds.")
TOLERANCE = Parameter("tolerance", 1e-10, kind="real", help="Ends when ranks move less in all.")
_SCALED = Parameter("normalized", 0, kind="boolean", help="1: divides by the largest possible.")
_THRESHOLD = Parameter(
    "auto_approx_threshold",
    50_000,
    kind="integer",
    help="With more nodes than this, a sample of sources stands for all.",
)
_BETWEENNESS = (*EDGES, WEIGHT, _SCALED, direction("forward"), _THRESHOLD, *TIME, *TYPES)
_BY_CENTRALITY = (("centrality", "DESC"),)


def surface(host: Host) -> list[Declaration]:
    """Return the functions that say how important nodes and edges are, highest first."""
    return [_pagerank_function(host), _degree_function(host), *_path_functions(host)]


def _pagerank_function(host: Host) -> Declaration:
    return graph_function(
        host,
        "graph_pagerank",
        ("node", "rank REAL"),
        (
            *EDGES,
            DAMPING,
            ITERATIONS,
            TOLERANCE,
            Parameter(
                "personalization", None, kind="text", help="JSON: ids and weights of starts."
            ),
            WEIGHT,
            direction("forward"),
            *TIME,
            *TYPES,
        ),
        _pagerank,
        help="How often a random walk is at each node.",
        order=(("rank", "DESC"),),
    )


def _degree_function(host: Host) -> Declaration:
    return graph_function(
        host,
        "graph_degree",
        ("node", "in_degree REAL", "out_degree REAL", "degree REAL", "centrality REAL"),
        (*EDGES, WEIGHT, _SCALED, direction("both"), *TIME, *TYPES),
        _degree,
        help="How many edges each node has, or the sum of their weights.",
        order=_BY_CENTRALITY,
    )


def _path_functions(host: Host) -> list[Declaration]:
    return [
        graph_function(
            host,
            "graph_closeness",
            ("node", "centrality REAL"),
            (
                *EDGES,
                WEIGHT,
                Parameter("normalized", 1, kind="boolean", help="By the part that is reached."),
                direction("forward"),
                *TIME,
                *TYPES,
            ),
            _closeness,
            help="How near each node is to those that it can reach.",
            order=_BY_CENTRALITY,
        ),
        graph_function(
            host,
            "graph_node_betweenness",
            ("node", "centrality REAL"),
            _BETWEENNESS,
            _node_betweenness,
            help="How many shortest paths between others lead through each node.",
            order=_BY_CENTRALITY,
        ),
        graph_function(
            host,
            "graph_edge_betweenness",
            ("src", "dst", "centrality REAL"),
            _BETWEENNESS,
            _edge_betweenness,
            help="How many shortest paths lead along each edge.",
            order=_BY_CENTRALITY,
        ),
    ]


def _pagerank(call: Call) -> Any:
    from ..pagerank import Walk, pagerank

    walk = Walk(
        call.damping(),
        call.at_least("iterations", 1),
        call.at_least("tolerance", 0),
        call.direction,
    )
    graph = call.graph()
    seeds = None
    if call["personalization"] is not None:
        seeds = call.seeds("personalization", graph)
        if not seeds and graph.nodes:
            raise ValueError(
                f"{call.name}: argument 'personalization' must name a node of the graph "
                f"with a weight above 0, got {call['personalization']!r}"
            )
    ranks = call.run(graph, lambda work: pagerank(graph, walk, work, seeds))
    return call.ranked(graph, ranks)


def _degree(call: Call) -> Any:
    from ..degree import degrees

    way, graph = call.direction, call.graph(weights_may_be_negative=True)
    normalized = call["normalized"]
    found = call.run(graph, lambda work: degrees(graph, way, work, normalized=normalized))
    return call.ranked(graph, found.centrality, found.inward, found.outward, found.both)


def _closeness(call: Call) -> Any:
    from ..closeness import closeness

    way, graph = call.direction, call.graph()
    normalized = call["normalized"]
    values = call.run(graph, lambda work: closeness(graph, way, work, normalized=normalized))
    return call.ranked(graph, values)


def _node_betweenness(call: Call) -> Any:
    from ..betweenness import node_betweenness

    threshold = call.at_least("auto_approx_threshold", 1)
    way, graph = call.direction, call.graph()
    normalized = call["normalized"]

    def compute(work: Work) -> np.ndarray:
        return node_betweenness(graph, way, threshold, work, normalized=normalized)

    return call.ranked(graph, call.run(graph, compute))


def _edge_betweenness(call: Call) -> Any:
    from ..betweenness import edge_betweenness

    threshold = call.at_least("auto_approx_threshold", 1)
    way, graph = call.direction, call.graph()
    normalized = call["normalized"]

    def compute(work: Work) -> tuple[np.ndarray, ...]:
        found = edge_betweenness(graph, way, threshold, work, normalized=normalized)
        order = falling(found.centrality, call.limit)
        return found.source[order], found.target[order], found.centrality[order]

    source, target, values = call.run(graph, compute)
    return call.rows(graph, source, Nodes(target), values)
