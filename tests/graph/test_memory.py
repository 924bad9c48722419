"""What a call takes in memory is known before it begins."""

from __future__ import annotations

import tracemalloc
from typing import Any

import networkx as nx
import pytest

from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.graph.work import Work

EDGES = "edge_table = 'e' AND src_col = 's' AND dst_col = 't'"
SAMPLED = "direction = 'both' AND auto_approx_threshold = 1"
CALLS = [
    ("graph_bfs", "start_node = 0 AND direction = 'both'"),
    ("graph_dfs", "start_node = 0 AND direction = 'both'"),
    ("graph_shortest_path", "start_node = 0 AND end_node = 19000 AND weight_col = 'w'"),
    ("graph_components", "1"),
    ("graph_pagerank", "1"),
    ("graph_pagerank", "direction = 'both' AND weight_col = 'w'"),
    ("graph_degree", "weight_col = 'w'"),
    ("graph_node_betweenness", SAMPLED),
    ("graph_node_betweenness", SAMPLED + " AND weight_col = 'w'"),
    ("graph_edge_betweenness", SAMPLED),
    ("graph_leiden", "1"),
    ("graph_leiden", "weight_col = 'w'"),
    ("graph_select", "selector = '+5+'"),
    ("graph_personalized_pagerank", "seeds = '[1]' AND max_hops = 9"),
    ("graph_personalized_pagerank", "seeds = '[1]' AND weight_col = 'w'"),
    ("graph_conductance", "membership_table = 'm' AND group_col = 'g' AND member_col = 'n'"),
]


@pytest.fixture
def large(connect: Any, sqlite: Any) -> Any:
    conn = connect()
    conn.execute("CREATE TABLE e (s, t, w)")
    edges = nx.barabasi_albert_graph(20_000, 5, seed=1).edges
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", ((*edge, 1 + edge[0] % 3) for edge in edges))
    conn.execute("CREATE TABLE m AS SELECT DISTINCT t AS n, t % 50 AS g FROM e")
    return conn


@pytest.mark.parametrize(("function", "conditions"), CALLS)
def test_what_is_taken_was_predicted(
    large: Any, monkeypatch: pytest.MonkeyPatch, function: str, conditions: str
) -> None:
    """Else the kernel finds out, and ends the process."""
    weight = "'w'" if "weight_col" in conditions else "NULL"
    large.execute(f"SELECT count(*) FROM graph_degree('e', 's', 't', {weight})").fetchone()
    before = CACHE.nbytes
    predicted = 0
    need = Work.need

    def noted(self: Work, size: int, what: str) -> None:
        nonlocal predicted
        predicted = max(predicted, self.held() + size - before)
        need(self, size, what)

    monkeypatch.setattr(Work, "need", noted)
    tracemalloc.start()
    try:
        sql = f"SELECT count(*) FROM {function} WHERE {EDGES} AND {conditions}"
        assert large.execute(sql).fetchone()[0] > 0
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken <= predicted + 300_000  # rows on their way out, and Python's own
    assert predicted <= 4 * taken + 300_000  # nor is refused what would do


@pytest.mark.parametrize(("function", "conditions"), CALLS[:1] + CALLS[7:8] + CALLS[10:11])
def test_what_would_be_too_much_is_refused(
    connect: Any, sqlite: Any, function: str, conditions: str
) -> None:
    from sqlite_utils_muninn.settings import Host

    conn = connect(host=Host(graph_memory=3_000_000))
    conn.execute("CREATE TABLE e (s, t, w)")
    edges = nx.barabasi_albert_graph(20_000, 5, seed=1).edges
    conn.executemany("INSERT INTO e VALUES (?, ?, 1)", edges)
    message = rf"{function}: the \w+ would take [\d.]+ MB of memory beside [\d.]+ MB for the graph"
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute(f"SELECT * FROM {function} WHERE {EDGES} AND {conditions}").fetchall()
    assert conn.execute("SELECT count(*) FROM e").fetchone() == (len(edges),)
