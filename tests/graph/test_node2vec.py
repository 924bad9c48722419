"""node2vec_train: vectors of nodes, put into a vector table."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

import sqlite_utils_muninn


def test_node2vec_puts_neighbours_together(sqlite: Any) -> None:
    """Two cliques with one bridge: vectors of one clique are nearer than those of two."""
    conn = sqlite.connect(":memory:")
    sqlite_utils_muninn.load(conn)
    graph = nx.barbell_graph(8, 0)
    conn.execute("CREATE TABLE e (s, t)")
    conn.executemany("INSERT INTO e VALUES (?, ?)", graph.edges)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=16, metric='cosine')")
    sql = "SELECT node2vec_train('e', 's', 't', 'v', 16, 1, 0.5, 20, 20, 4)"
    assert conn.execute(sql).fetchone() == (16,)
    found = conn.execute("SELECT rowid, vector FROM v ORDER BY rowid").fetchall()
    assert [row[0] for row in found] == list(range(1, 17))
    vectors = np.array([np.frombuffer(row[1], "<f4") for row in found])
    nodes = list(dict.fromkeys(node for edge in graph.edges for node in edge))
    side = np.array(nodes) < 8
    near = vectors @ vectors.T
    inside = near[np.equal.outer(side, side)].mean()
    across = near[~np.equal.outer(side, side)].mean()
    assert inside > across + 0.2
    for bad in ("0", "16, 0", "16, 1, 1, 0"):
        with pytest.raises(sqlite.OperationalError, match="node2vec_train: argument"):
            conn.execute(f"SELECT node2vec_train('e', 's', 't', 'v', {bad})").fetchone()
    conn.close()
