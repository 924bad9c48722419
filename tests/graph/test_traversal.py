"""graph_bfs, graph_dfs, graph_shortest_path and graph_components against networkx."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import strategies as st

from .generated import DIRECTIONS, close, edge_rows, holds_for, networkx_graph, nodes_of, store

if TYPE_CHECKING:
    from collections.abc import Callable

DEPTHS = st.sampled_from([0, 1, 2, 3, 100])


@holds_for(edge_rows(), DIRECTIONS, DEPTHS, st.integers(0, 7))
def test_bfs(conn: Any, rows: list[Any], direction: str, depth: int, pick: int) -> None:
    store(conn, rows)
    nodes = nodes_of(rows)
    start = nodes[pick % len(nodes)] if nodes else 0
    found = conn.execute(
        "SELECT node, depth, parent FROM graph_bfs('e', 's', 't', ?, ?, ?)",
        (start, depth, direction),
    ).fetchall()
    if not nodes:
        assert found == []
        return
    graph = networkx_graph(rows, direction)
    expected = [(start, 0, None)]
    depths = {start: 0}
    for parent, node in nx.bfs_edges(graph, start, depth_limit=depth):
        depths[node] = depths[parent] + 1
        expected.append((node, depths[node], parent))
    assert found == expected


@holds_for(edge_rows(), DIRECTIONS, DEPTHS, st.integers(0, 7))
def test_dfs(conn: Any, rows: list[Any], direction: str, depth: int, pick: int) -> None:
    store(conn, rows)
    nodes = nodes_of(rows)
    start = nodes[pick % len(nodes)] if nodes else 0
    found = conn.execute(
        "SELECT node, depth, parent FROM graph_dfs('e', 's', 't', ?, ?, ?)",
        (start, depth, direction),
    ).fetchall()
    if not nodes:
        assert found == []
        return
    expected = [(start, 0, None)]
    depths = {start: 0}
    # networkx enters a tree at a limit of 0 too: "depth_limit or len(graph)".
    edges = nx.dfs_edges(networkx_graph(rows, direction), start, depth_limit=depth) if depth else ()
    for parent, node in edges:
        depths[node] = depths[parent] + 1
        expected.append((node, depths[node], parent))
    assert found == expected


@holds_for(edge_rows(), DIRECTIONS, st.booleans(), st.integers(0, 7), st.integers(0, 7))
def test_shortest_path(
    conn: Any, rows: list[Any], direction: str, weighted: bool, one: int, other: int
) -> None:
    store(conn, rows)
    nodes = nodes_of(rows)
    if not nodes:
        return
    start, end = nodes[one % len(nodes)], nodes[other % len(nodes)]
    found = conn.execute(
        "SELECT node, distance, path_order FROM graph_shortest_path('e', 's', 't', ?, ?, ?, ?)",
        (start, end, "w" if weighted else None, direction),
    ).fetchall()
    graph = networkx_graph(rows, direction)
    weight = "weight" if weighted else None
    try:
        length = nx.shortest_path_length(graph, start, end, weight)
    except nx.NetworkXNoPath:
        assert found == []
        return
    path = [row[0] for row in found]
    assert (path[0], path[-1]) == (start, end)
    assert [row[2] for row in found] == list(range(len(path)))
    steps = [graph[u][v]["weight"] if weighted else 1 for u, v in itertools.pairwise(path)]
    assert [row[1] for row in found] == [sum(steps[:i]) for i in range(len(path))]
    assert close(sum(steps), length)


@holds_for(edge_rows())
def test_components(conn: Any, rows: list[Any]) -> None:
    store(conn, rows)
    sql = "SELECT node, component_id, component_size FROM graph_components('e', 's', 't')"
    found = conn.execute(sql).fetchall()
    graph = networkx_graph(rows, "both")
    place = {node: i for i, node in enumerate(graph)}
    parts = [sorted(part, key=place.__getitem__) for part in nx.connected_components(graph)]
    parts.sort(key=lambda part: place[part[0]])  # in order of first appearance
    assert found == [(node, i, len(part)) for i, part in enumerate(parts) for node in part]


def test_missing_nodes_give_no_rows(edges: Callable[..., Any]) -> None:
    conn = edges(("a", "b"))
    assert conn.execute("SELECT * FROM graph_bfs('e', 's', 't', 'z')").fetchall() == []
    assert conn.execute("SELECT * FROM graph_dfs('e', 's', 't', NULL)").fetchall() == []
    sql = "SELECT * FROM graph_shortest_path('e', 's', 't', ?, ?)"
    assert conn.execute(sql, ("a", "z")).fetchall() == []
    assert conn.execute(sql, ("z", "a")).fetchall() == []
    assert conn.execute(sql, ("b", "a")).fetchall() == []
    assert conn.execute(sql, ("a", "a")).fetchall() == [("a", 0.0, 0)]


def test_an_empty_table_has_no_rows(edges: Callable[..., Any]) -> None:
    conn = edges()
    for name in ("components", "pagerank", "degree", "closeness", "leiden", "node_betweenness"):
        assert conn.execute(f"SELECT * FROM graph_{name}('e', 's', 't')").fetchall() == []
    assert conn.execute("SELECT * FROM graph_edge_betweenness('e', 's', 't')").fetchall() == []


def test_neighbours_come_in_rowid_order_in_spite_of_indexes(conn: Any) -> None:
    """A covering index would be scanned instead of the table, in its own order."""
    conn.execute("CREATE TABLE e (s, t, other)")
    conn.execute("CREATE INDEX covering ON e (s, t)")
    conn.executemany("INSERT INTO e VALUES ('a', ?, zeroblob(500))", [(c,) for c in "zmbx"])
    conn.execute("ANALYZE")
    found = conn.execute("SELECT node FROM graph_bfs('e', 's', 't', 'a')").fetchall()
    assert [node for (node,) in found] == list("azmbx")


def test_a_number_is_found_by_its_text_and_back(edges: Callable[..., Any]) -> None:
    """Whatever comes from a URL is text, whatever sqlite-muninn's users wrote is text, too."""
    conn = edges((1, 2), (2, 3))
    sql = "SELECT node, depth FROM graph_bfs('e', 's', 't', ?)"
    assert conn.execute(sql, ("1",)).fetchall() == [(1, 0), (2, 1), (3, 2)]
    conn = edges(("1", "2"), (2, "3"))
    assert conn.execute(sql, (1,)).fetchall() == [("1", 0), ("2", 1)]
    assert conn.execute(sql, (2,)).fetchall() == [(2, 0), ("3", 1)]
    assert conn.execute(sql, ("01",)).fetchall() == []


def test_arguments_are_hidden_columns(edges: Callable[..., Any]) -> None:
    """'direction' without 'max_depth' is not the depth, as it is in sqlite-muninn."""
    conn = edges(("a", "b"), ("b", "c"))
    sql = (
        "SELECT node, depth FROM graph_bfs WHERE edge_table = 'e' AND src_col = 's'"
        " AND dst_col = 't' AND start_node = 'c' AND direction = 'reverse'"
    )
    assert conn.execute(sql).fetchall() == [("c", 0), ("b", 1), ("a", 2)]
    assert conn.execute(sql + " AND max_depth = 1").fetchall() == [("c", 0), ("b", 1)]
    assert conn.execute(sql + " AND max_depth IS NULL").fetchall() == [
        ("c", 0),
        ("b", 1),
        ("a", 2),
    ]


def test_joined_with_the_table_of_starts(edges: Callable[..., Any]) -> None:
    conn = edges(("a", "b"), ("b", "c"), ("x", "y"))
    conn.execute("CREATE TABLE starts AS SELECT 'b' AS id UNION ALL SELECT 'x'")
    sql = "SELECT id, node, parent FROM starts JOIN graph_bfs('e', 's', 't', id) ORDER BY id, depth"
    rows = [("b", "b", None), ("b", "c", "b"), ("x", "x", None), ("x", "y", "x")]
    assert conn.execute(sql).fetchall() == rows


@pytest.mark.parametrize("function", ["graph_bfs", "graph_dfs"])
def test_deep_graphs_need_no_recursion(edges: Callable[..., Any], function: str) -> None:
    conn = edges(*((i, i + 1) for i in range(20_000)))
    sql = f"SELECT max(depth), count(*) FROM {function}('e', 's', 't', 0, 1000000)"
    assert conn.execute(sql).fetchone() == (20_000, 20_001)
    assert conn.execute(f"SELECT max(depth) FROM {function}('e', 's', 't', 0)").fetchone() == (100,)
