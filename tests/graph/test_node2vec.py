"""node2vec_train: vectors of nodes, put into a table of vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import networkx as nx
import numpy as np
import pytest

TWO_CLIQUES = nx.barbell_graph(8, 0)
"""With one edge between them."""
TRAIN = "SELECT node2vec_train('e', 's', 't', 'v', 16, 1, 0.5, 20, 20, 4)"


def test_node2vec_puts_neighbours_together(edges: Any) -> None:
    """Vectors of one clique are nearer than those of two."""
    conn = edges(*TWO_CLIQUES.edges)
    conn.execute("CREATE TABLE v (vector)")
    assert conn.execute(TRAIN).fetchone() == (16,)
    found = conn.execute("SELECT rowid, vector FROM v ORDER BY rowid").fetchall()
    assert [row[0] for row in found] == list(range(1, 17))
    vectors = np.array([np.frombuffer(row[1], "<f4") for row in found])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nodes = list(dict.fromkeys(node for edge in TWO_CLIQUES.edges for node in edge))
    side = np.array(nodes) < 8
    near = vectors @ vectors.T
    inside = near[np.equal.outer(side, side)].mean()
    across = near[~np.equal.outer(side, side)].mean()
    assert inside > across + 0.2


@pytest.mark.parametrize("bad", ["0", "16, 0", "16, 1, 1, 0"])
def test_wrong_arguments_are_named(edges: Any, sqlite: Any, bad: str) -> None:
    conn = edges((1, 2))
    conn.execute("CREATE TABLE v (vector)")
    with pytest.raises(sqlite.OperationalError, match="node2vec_train: argument"):
        conn.execute(f"SELECT node2vec_train('e', 's', 't', 'v', {bad})").fetchone()


INDEXED = f"""
import importlib, json, sqlite_utils_muninn
conn = importlib.import_module({{module!r}}).connect(":memory:")
sqlite_utils_muninn.load(conn)
conn.execute("CREATE TABLE e (s, t)")
conn.executemany("INSERT INTO e VALUES (?, ?)", {list(TWO_CLIQUES.edges)})
conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=16, metric='cosine')")
assert conn.execute({TRAIN!r}).fetchone() == (16,)
(first,) = conn.execute("SELECT vector FROM v WHERE rowid = 1").fetchone()
found = conn.execute("SELECT rowid FROM v WHERE vector MATCH ? AND k = 8", [first])
print(json.dumps([rowid for (rowid,) in found]))
"""


def test_an_index_of_them_finds_neighbours(sqlite: Any) -> None:
    """In a process of its own: sqlite-vec serves the SQLite library that asks for it first."""
    code = INDEXED.format(module=sqlite.__name__)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    nearest = json.loads(done.stdout)
    assert nearest[0] == 1
    assert len(set(nearest) & set(range(1, 9))) >= 7, "those of its own clique"
