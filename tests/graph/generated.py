"""Generated edge tables: parallel edges, self loops, isolated parts, zero weights, NULL ends, and
ids of every type, mixed; and the same edges as networkx graphs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

CI, LONG = 60, 3000

POOLS = st.sampled_from(
    [
        list(range(8)),
        [f"n{i}" for i in range(8)],
        [bytes([i]) for i in range(8)],
        [0, 1, "a", "b", b"a", b"\0", 1.5, ""],
        ["ä", "o'o", 'q"q', "a b", "+", ",", "x\0y", "%"],
        [-(2**62), 2**62, -1, "-1", 10**9, "", b"", 0.25],
    ]
)


@st.composite
def edge_rows(draw: Any, weights: Any = None, nulls: bool = True, most: int = 24) -> Any:
    """A list of (source, target, weight) rows."""
    pool = draw(POOLS)[: draw(st.integers(1, 8))]
    node = st.sampled_from(pool + [None] * nulls)
    weight = weights if weights is not None else st.sampled_from([0, 1, 1, 2, 3, 0.5, 2.25])
    return draw(st.lists(st.tuples(node, node, weight), max_size=most))


POSITIVE = st.sampled_from([1, 1, 2, 3, 0.5, 2.25])


def holds_for(*strategies: Any) -> Any:
    """A test that gets fixtures by name and generated values by position: a few, and thousands."""

    def decorate(test: Callable[..., None]) -> Any:
        @pytest.mark.parametrize("examples", [CI, pytest.param(LONG, marks=pytest.mark.long)])
        def run(examples: int, conn: Any) -> None:
            @settings(
                max_examples=examples,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
                database=None,
            )
            @given(st.tuples(*strategies))
            def generated(values: Any) -> None:
                test(conn, *values)

            generated()

        # Not functools.wraps: pytest would read the signature of what it wraps.
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


def store(conn: Any, rows: list[Any]) -> None:
    conn.execute("CREATE TABLE IF NOT EXISTS e (s, t, w)")
    conn.execute("DELETE FROM e")
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)


def nodes_of(rows: list[Any]) -> list[Any]:
    """Ids in order of first appearance; rows with a NULL end are skipped."""
    return list(dict.fromkeys(end for s, t, _ in kept(rows) for end in (s, t)))


def kept(rows: list[Any]) -> list[Any]:
    return [row for row in rows if row[0] is not None and row[1] is not None]


def networkx_graph(rows: list[Any], direction: str, kind: type | None = None) -> Any:
    """The simple graph of a direction, edges of the least weight, neighbours in order of rows."""
    graph = (kind or (nx.Graph if direction == "both" else nx.DiGraph))()
    graph.add_nodes_from(nodes_of(rows))
    for s, t, w in kept(rows):
        u, v = (t, s) if direction == "reverse" else (s, t)
        if graph.is_multigraph():
            graph.add_edge(u, v, weight=w)
        else:
            least = min(w, graph[u][v]["weight"]) if graph.has_edge(u, v) else w
            graph.add_edge(u, v, weight=least)
    return graph


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


DIRECTIONS = st.sampled_from(["forward", "reverse", "both"])
