"""graph_select and graph_personalized_pagerank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Parameter

from .call import EDGES, TIME, TYPES, WEIGHT, Call, direction, graph_function
from .centrality import DAMPING, ITERATIONS, TOLERANCE

if TYPE_CHECKING:
    import numpy as np

    from sqlite_utils_muninn.bridge import Declaration
    from sqlite_utils_muninn.settings import Host

    from ..work import Work


def surface(host: Host) -> list[Declaration]:
    """Return the functions that pick nodes out of a graph."""
    return [
        graph_function(
            host,
            "graph_select",
            ("node", "depth INTEGER", "direction TEXT"),
            (
                *EDGES,
                Parameter("selector", kind="text", help="Such as '+a', '2+a+1', '@a', 'a,b'."),
                *TIME,
                *TYPES,
            ),
            _select,
            help="The nodes that a selector in dbt's language names.",
            order=(("depth", "ASC"),),
        ),
        graph_function(
            host,
            "graph_personalized_pagerank",
            ("node", "rank REAL", "hop INTEGER"),
            (
                *EDGES,
                Parameter("seeds", kind="text", help="JSON: ids and weights of the starts."),
                DAMPING,
                Parameter("max_hops", 3, kind="integer", help="Most steps away from the seeds."),
                WEIGHT,
                direction("both"),
                ITERATIONS,
                TOLERANCE,
                *TIME,
                *TYPES,
            ),
            _personalized_pagerank,
            help="How near nodes are to the seeds, by a walk that keeps returning to them.",
            order=(("rank", "DESC"),),
        ),
    ]


def _select(call: Call) -> Any:
    import numpy as np

    from ..selector import Selector

    graph = call.graph()
    selector = call["selector"]

    def compute(work: Work) -> tuple[np.ndarray, np.ndarray, Words]:
        found = Selector(graph, work).select(selector)
        nodes = np.flatnonzero(found.selected)
        order = nodes[np.argsort(found.depth[nodes], kind="stable")]
        return order, found.depth[order], Words(found.direction[order])

    return call.rows(graph, *call.run(graph, compute))


class Words:
    """A column of directions, whose words are made as they are wanted."""

    def __init__(self, codes: np.ndarray) -> None:
        self.codes = codes

    def __getitem__(self, part: slice) -> list[str]:
        from ..selector import DIRECTIONS

        return [DIRECTIONS[code] for code in self.codes[part].tolist()]


def _personalized_pagerank(call: Call) -> Any:
    from ..pagerank import Walk, personalized_pagerank
    from .call import falling

    walk = Walk(
        call.damping(),
        call.at_least("iterations", 1),
        call.at_least("tolerance", 0),
        call.direction,
    )
    hops = call.at_least("max_hops", 0)
    graph = call.graph()
    seeds = call.seeds("seeds", graph)
    if not seeds:
        return iter(())
    most = min(hops, graph.nodes)

    def compute(work: Work) -> tuple[np.ndarray, ...]:
        ball = personalized_pagerank(graph, seeds, walk, most, work)
        order = falling(ball.rank, call.limit)
        return ball.nodes[order], ball.rank[order], ball.hop[order]

    return call.rows(graph, *call.run(graph, compute))
