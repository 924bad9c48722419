"""graph_leiden and graph_conductance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Parameter

from .call import EDGES, TIME, TYPES, WEIGHT, Call, direction, graph_function

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from sqlite_utils_muninn.bridge import Declaration, Dictionary
    from sqlite_utils_muninn.settings import Host

    from ..graph import Graph
    from ..work import Work


STRIDE = 10_000
"""Values between two questions whether to stop."""


def surface(host: Host) -> list[Declaration]:
    """Return the functions about groups of nodes."""
    return [
        graph_function(
            host,
            "graph_leiden",
            ("node", "community_id INTEGER", "modularity REAL"),
            (
                *EDGES,
                WEIGHT,
                Parameter("resolution", 1.0, kind="real", help="Higher: more communities."),
                direction("both"),
                *TIME,
                Parameter("seed", 42, kind="integer", help="Of the order of visits."),
                Parameter("iterations", 2, kind="integer", help="How often it is gone over."),
                *TYPES,
            ),
            _leiden,
            help="Communities that are densely connected inside, the largest 0.",
            order=(("community_id", "ASC"),),
        ),
        graph_function(
            host,
            "graph_conductance",
            ("group_id", "size INTEGER", "internal REAL", "cut REAL", "vol REAL", "phi REAL"),
            (
                *EDGES,
                WEIGHT,
                direction("both"),
                *TIME,
                Parameter("membership_table", kind="text", help="A table of groups and members."),
                Parameter("group_col", kind="text", help="Its column of groups."),
                Parameter("member_col", kind="text", help="Its column of nodes."),
                *TYPES,
            ),
            _conductance,
            help="How much of each group's edges leads out of it.",
        ),
    ]


def _leiden(call: Call) -> Any:
    import numpy as np

    from ..leiden import leiden

    call.direction  # noqa: B018 - undirected whatever it says, but not a word that means nothing
    resolution = call.at_least("resolution", 0)
    iterations = call.at_least("iterations", 1)
    graph = call.graph()
    found = leiden(
        graph,
        call.work,
        resolution=resolution,
        seed=call.at_least("seed", 0),
        iterations=iterations,
    )
    order = np.argsort(found.label, kind="stable")
    return call.rows(graph, order, found.label[order], np.full(len(order), found.modularity))


def _conductance(call: Call) -> Any:
    from ..conductance import conductance

    way, graph = call.direction, call.graph()
    groups, size, group, member = _membership(call, graph)
    found = call.run(graph, lambda work: conductance(graph, group, member, len(groups), way, work))
    return (groups, size, found.internal, found.cut, found.volume, found.phi)


def _membership(call: Call, graph: Graph) -> tuple[list[Any], np.ndarray, np.ndarray, np.ndarray]:
    """Groups that have nodes: their ids, how many, and pairs of (group, node of the graph)."""
    from sqlite_utils_muninn.bridge import Dictionary

    from ..edge_table import find_column, find_table

    table = find_table(call.db, call.name, call["membership_table"])
    group = find_column(call.name, "group_col", table, call["group_col"])
    member = find_column(call.name, "member_col", table, call["member_col"])
    values = Dictionary()
    sql = f"SELECT {group}, {member} FROM {table.sql}"
    sql += f" WHERE {group} IS NOT NULL AND {member} IS NOT NULL"
    groups, members = call.db.columns(
        sql, (), ("code", "code"), dictionary=values, limit=call.work.memory or 0
    )
    return call.work.aside(
        lambda work: _grouped(graph, values, groups, members, work), steps=len(groups)
    )


def _grouped(
    graph: Graph, values: Dictionary, groups: np.ndarray, members: np.ndarray, work: Work
) -> tuple[list[Any], np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    work.need(100 * len(groups) + 80 * len(values), "the groups")
    pairs = np.unique(groups.astype(np.int64) << 32 | members)
    groups, members = (pairs >> 32).astype(np.int64), (pairs & 0xFFFFFFFF).astype(np.int64)
    nodes = np.fromiter(_found(graph, values, work), np.int64, len(values))
    inside = nodes[members] >= 0 if len(members) else np.zeros(0, bool)
    kinds, groups, size = np.unique(groups[inside], return_inverse=True, return_counts=True)
    return values.take(kinds.tolist()), size, groups, nodes[members][inside]


def _found(graph: Graph, values: Dictionary, work: Work) -> Iterator[int]:
    """The node of each value, -1 where there is none."""
    for start in range(0, len(values), STRIDE):
        work.check()
        for value in values.take(range(start, min(start + STRIDE, len(values)))):
            yield graph.find(value)
