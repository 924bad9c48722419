"""SQL that was written for sqlite-muninn finds what it asks for."""

from __future__ import annotations

import struct
from typing import Any

import pytest


def blob(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def vec(conn: Any) -> Any:
    conn.execute("CREATE VIRTUAL TABLE vec USING hnsw_index(dimensions=2, +year INTEGER)")
    for id_, vector in ((1, blob(1, 0)), (7, blob(0, 1))):
        conn.execute("INSERT INTO vec(rowid, vector) VALUES (?, ?)", (id_, vector))
    return conn


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id, vector FROM vec_nodes ORDER BY id", [(1, blob(1, 0)), (7, blob(0, 1))]),
        ("SELECT rowid, vector FROM vec_nodes", [(1, blob(1, 0)), (7, blob(0, 1))]),
        ("SELECT vector FROM vec_nodes WHERE id = 7", [(blob(0, 1),)]),
        ("SELECT count(*) FROM vec_nodes", [(2,)]),
        ("SELECT 3 WHERE 3 NOT IN (SELECT id FROM vec_nodes)", [(3,)]),
        ("SELECT value FROM vec_config WHERE key = 'dimensions'", [(2,)]),
    ],
)
def test_vectors_are_read_out_of_the_nodes(vec: Any, sql: str, rows: list[Any]) -> None:
    """Its documentation says so, since a SELECT without MATCH finds nothing there."""
    assert vec.execute(sql).fetchall() == rows


def test_a_node_is_the_query_of_a_search(vec: Any) -> None:
    """The recipe of its page on node2vec; the fault was "no such column: vector"."""
    sql = (
        "WITH a_vec AS (SELECT vector FROM vec_nodes WHERE id = 1 + ?) "
        "SELECT ne.rowid FROM vec ne, a_vec WHERE ne.vector MATCH a_vec.vector AND ne.k = 2"
    )
    assert vec.execute(sql, (0,)).fetchall() == [(1,), (7,)]


@pytest.mark.parametrize("k", [2, 2.0, "2"])
def test_k_may_be_text(vec: Any, k: Any) -> None:
    """As a parameter of a web page is; the fault was "k must be a whole number"."""
    sql = "SELECT rowid, k, ef_search FROM vec WHERE vector MATCH ? AND k = ? AND ef_search = ?"
    assert vec.execute(sql, (blob(1, 0), k, "64")).fetchall() == [(1, 2, 64), (7, 2, 64)]


@pytest.mark.parametrize("k", ["two", "-1", "", "1.5", b"2", None])
def test_k_is_a_number(vec: Any, k: Any) -> None:
    with pytest.raises(Exception, match="hnsw_index: k must be a whole number >= 0, got"):
        vec.execute("SELECT rowid FROM vec WHERE vector MATCH ? AND k = ?", (blob(1, 0), k))
