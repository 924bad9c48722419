"""graph_select and graph_personalized_pagerank."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import strategies as st
from networkx.algorithms.link_analysis.pagerank_alg import _pagerank_python

from .generated import edge_rows, holds_for, networkx_graph, store

if TYPE_CHECKING:
    from collections.abc import Callable

LINEAGE = [
    ("raw", "stg_a"),
    ("raw", "stg_b"),
    ("stg_a", "core"),
    ("stg_b", "core"),
    ("core", "mart"),
]
LINEAGE += [("other", "mart"), ("core", "export")]

SELECTED = [
    ("core", {"core": (0, "self")}),
    (
        "+core",
        {
            "core": (0, "self"),
            "stg_a": (1, "ancestor"),
            "stg_b": (1, "ancestor"),
            "raw": (2, "ancestor"),
        },
    ),
    ("1+core", {"core": (0, "self"), "stg_a": (1, "ancestor"), "stg_b": (1, "ancestor")}),
    ("core+", {"core": (0, "self"), "mart": (1, "descendant"), "export": (1, "descendant")}),
    ("1+stg_a+1", {"stg_a": (0, "self"), "raw": (1, "ancestor"), "core": (1, "descendant")}),
    (
        "@core",
        {
            "core": (0, "self"),
            "mart": (1, "descendant"),
            "export": (1, "descendant"),
            "stg_a": (1, "closure"),
            "stg_b": (1, "closure"),
            "other": (1, "closure"),
            "raw": (2, "closure"),
        },
    ),
    ("core raw", {"core": (0, "selected"), "raw": (0, "selected")}),
    ("stg_a+,+mart", dict.fromkeys(("stg_a", "core", "mart"), (0, "selected"))),
    ("not core+", dict.fromkeys(("raw", "stg_a", "stg_b", "other"), (0, "selected"))),
    (
        "not +core,stg_a+",
        dict.fromkeys(("raw", "stg_b", "mart", "export", "other"), (0, "selected")),
    ),
    ("not not raw", {"raw": (0, "self")}),
    ("stg_*", {"stg_a": (0, "self"), "stg_b": (0, "self")}),
    ("stg_[b]+1", {"stg_b": (0, "self"), "core": (1, "descendant")}),
    ("0+core", {"core": (0, "self")}),
]


@pytest.mark.parametrize(("selector", "expected"), SELECTED)
def test_selectors(edges: Callable[..., Any], selector: str, expected: Any) -> None:
    conn = edges(*LINEAGE)
    sql = "SELECT node, depth, direction FROM graph_select('e', 's', 't', ?)"
    found = conn.execute(sql, (selector,)).fetchall()
    assert {node: (depth, way) for node, depth, way in found} == expected
    assert [row[1] for row in found] == sorted(row[1] for row in found)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("", "the selector is empty"),
        ("  ", "the selector is empty"),
        ("nope", "node 'nope' not found"),
        ("zzz*", "node 'zzz[*]' not found"),
        ("core,", "a comma needs a selector on either side"),
        ("core not", "'not' needs a selector behind it"),
        ("+@core", "'@' and '[+]' do not go together"),
        ("+", "not found|no selector"),
    ],
)
def test_selectors_that_mean_nothing(
    edges: Callable[..., Any], sqlite: Any, selector: str, message: str
) -> None:
    conn = edges(*LINEAGE)
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute("SELECT * FROM graph_select('e', 's', 't', ?)", (selector,)).fetchall()


def test_an_id_that_looks_like_a_selector_is_an_id(edges: Callable[..., Any]) -> None:
    conn = edges(("+a", "b,c"), ("b,c", "@x"))
    sql = "SELECT node FROM graph_select('e', 's', 't', ?)"
    for name in ("+a", "b,c", "@x"):
        if "," not in name:
            assert conn.execute(sql, (name,)).fetchall() == [(name,)]
    assert conn.execute(sql, ("+@x",)).fetchall() == [("@x",), ("b,c",), ("+a",)]


def test_both_sides_of_a_cycle(edges: Callable[..., Any]) -> None:
    conn = edges(("a", "b"), ("b", "c"), ("c", "a"))
    found = conn.execute("SELECT * FROM graph_select('e', 's', 't', '+a+')").fetchall()
    assert found == [("a", 0, "self"), ("b", 1, "both"), ("c", 1, "both")]


@holds_for(edge_rows(), st.integers(0, 7), st.integers(0, 3))
def test_ancestors_and_descendants(conn: Any, rows: list[Any], pick: int, depth: int) -> None:
    store(
        conn,
        [
            (f"k{s}", f"k{t}", w) if s is not None and t is not None else (None, None, 0)
            for s, t, w in rows
        ],
    )
    graph = networkx_graph(
        [(f"k{s}", f"k{t}", w) for s, t, w in rows if s is not None and t is not None], "forward"
    )
    if not len(graph):
        return
    node = list(graph)[pick % len(graph)]
    if any(sign in node for sign in "+,@ *?[") or not node.split() or node.split()[0] != node:
        return
    found = conn.execute(
        "SELECT node FROM graph_select('e', 's', 't', ?)", (f"{depth}+{node}+{depth}",)
    ).fetchall()
    near = set(nx.single_source_shortest_path_length(graph, node, depth))
    near |= set(nx.single_source_shortest_path_length(graph.reverse(), node, depth))
    assert {n for (n,) in found} == near


@holds_for(edge_rows(), st.integers(0, 3), st.sampled_from(["forward", "reverse", "both"]))
def test_personalized_pagerank(conn: Any, rows: list[Any], hops: int, direction: str) -> None:
    """PageRank inside the ball around the seeds."""
    rows = [(f"k{s}", f"k{t}", w) for s, t, w in rows if s is not None and t is not None]
    store(conn, rows)
    kind = nx.MultiGraph if direction == "both" else nx.MultiDiGraph
    graph = networkx_graph(rows, direction, kind)
    if not len(graph):
        return
    seeds = {node: 1.0 + i for i, node in enumerate(list(graph)[:2])}
    found = conn.execute(
        "SELECT node, rank, hop FROM "
        "graph_personalized_pagerank('e', 's', 't', ?, 0.85, ?, NULL, ?, 2000)",
        (json.dumps({**seeds, "nowhere": 3}), hops, direction),
    ).fetchall()
    hop: dict[Any, int] = {}
    for seed in seeds:
        for node, distance in nx.single_source_shortest_path_length(graph, seed, hops).items():
            hop[node] = min(distance, hop.get(node, distance))
    ball = graph.subgraph(hop)
    expected = _pagerank_python(ball, 0.85, seeds, 10_000, 1e-12, weight=None)
    assert {node: steps for node, _, steps in found} == hop
    assert all(abs(rank - expected[node]) < 1e-9 for node, rank, _ in found)
    assert [row[1] for row in found] == sorted((row[1] for row in found), reverse=True)


def test_seeds(edges: Callable[..., Any], sqlite: Any) -> None:
    conn = edges((1, 2), (2, 3))
    sql = "SELECT node FROM graph_personalized_pagerank('e', 's', 't', ?)"
    assert {n for (n,) in conn.execute(sql, ("[1]",))} == {1, 2, 3}
    assert {n for (n,) in conn.execute(sql, ('{"1": 2}',))} == {1, 2, 3}
    assert conn.execute(sql, ('{"9": 2}',)).fetchall() == []
    for bad in ("nonsense", "3", '{"1": "a"}', '{"1": -1}', '{"1": true}'):
        with pytest.raises(sqlite.OperationalError, match="argument 'seeds' must be a JSON object"):
            conn.execute(sql, (bad,)).fetchall()
