"""Rows that are unlike each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import KnowledgeGraph, NodeTable
from sqlite_utils_muninn.search.diversity import marginal
from sqlite_utils_muninn.search.ranking import greatest

NAN = np.nan
VECTORS = np.array([[1.0, 0], [1, 0], [0, 1], [NAN, NAN]])
SCORES = np.array([1.0, 0.9, 0.5, 0.4])


@pytest.mark.parametrize(
    ("balance", "order"),
    [(1.0, [0, 1, 2, 3]), (0.5, [0, 2, 3, 1]), (0.0, [0, 2, 3, 1])],
)
def test_by_hand(balance: float, order: list[int]) -> None:
    assert marginal(SCORES, VECTORS, balance, 4) == order
    assert marginal(SCORES, VECTORS, balance, 2) == order[:2]
    assert marginal(SCORES[:0], VECTORS[:0], balance, 2) == []


def test_the_second_of_two_like_rows_comes_later(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT);"
        "INSERT INTO n VALUES (1, 'a'), (2, 'b'), (3, 'c');"
        "CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2);"
        "INSERT INTO v(rowid, vector) VALUES (1, '[1, 0.1]'), (2, '[1, 0.12]'), (3, '[0.6, 1]');"
    )
    graph = KnowledgeGraph("g", (NodeTable("n", label="name", vectors="v"),))
    vector = np.array([1, 0], "<f4").tobytes()
    found = [
        [row.node for row in search(conn, "x", graph=graph, query_vector=vector, mmr=mmr).rows]
        for mmr in (None, 1, 0.2)
    ]
    assert found == [[1, 2, 3], [1, 2, 3], [1, 3, 2]]


def test_without_vectors_it_says_so(attack: Any) -> None:
    plain = search(attack, "crack password")
    told = search(attack, "crack password", mmr=0.5)
    assert [row.node for row in told.rows] == [row.node for row in plain.rows]
    assert "there are no vectors to tell like rows by: mmr did nothing" in told.missing


@pytest.mark.parametrize("seed", range(20))
def test_the_greatest_are_those_of_a_full_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.integers(0, 5, 50).astype(float)
    ties = (np.arange(50), rng.integers(0, 3, 50))
    whole = np.lexsort((*ties, -value))
    for count in (0, 1, 7, 49, 50, 80):
        assert greatest(value, ties, count).tolist() == whole[:count].tolist()
