"""Conditions beside a search: exactly the nearest of what qualifies, be that one row or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.index import building
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.storage import shared

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from .conftest import Connect

ROWS, DIMENSIONS = 4000, 24
SHARES = (1, 2, 7, 40, 400, 2000, ROWS - 1, ROWS)


@pytest.fixture(scope="module")
def matrix() -> Any:
    return np.random.default_rng(7).normal(size=(ROWS, DIMENSIONS)).astype("<f4")


@pytest.fixture(params=["scan", "graph"])
def table(
    request: Any, connect: Connect, matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """v: row i has place i among all, and a group of 100 rows; large enough for a graph, or not."""
    if request.param == "graph":
        monkeypatch.setattr("sqlite_utils_muninn.vectors.index.index.SCANNED_FLOATS", 1000)
    conn = connect()
    conn.execute(
        f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={DIMENSIONS}, metric=l2, "
        "+place INTEGER, +name TEXT, +grp INTEGER)"
    )
    conn.execute("BEGIN")
    order = np.random.default_rng(8).permutation(ROWS)
    rows = (
        (i, matrix[i].tobytes(), int(order[i]), f"n{order[i]:05}", int(order[i]) % 40)
        for i in range(ROWS)
    )
    sql = "INSERT INTO v(rowid, vector, place, name, grp) VALUES (?, ?, ?, ?, ?)"
    conn.executemany(sql, rows)
    conn.execute("COMMIT")
    conn.execute("SELECT rowid FROM v WHERE vector MATCH ? AND k = 1", (matrix[0].tobytes(),))
    for index in list(shared._indexes.values()):
        assert building.wait(index, 60)
    return conn, order


def nearest(matrix: Any, keep: Any, probe: Any, count: int) -> list[int]:
    ids = np.flatnonzero(keep)
    far = ((matrix[ids].astype(float) - probe.astype(float)) ** 2).sum(axis=1)
    return ids[np.argsort(far, kind="stable")][:count].tolist()


def test_the_nearest_of_what_qualifies_at_any_selectivity(
    table: tuple[Any, Any], matrix: Any
) -> None:
    conn, order = table
    probe = np.random.default_rng(9).normal(size=DIMENSIONS).astype("<f4")

    def search(condition: str, *values: Any, count: int = 10) -> list[int]:
        sql = f"SELECT rowid FROM v WHERE vector MATCH ? AND {condition} AND k = {count}"
        return [row[0] for row in conn.execute(sql, (probe.tobytes(), *values))]

    for share in SHARES:
        expected = nearest(matrix, order < share, probe, 10)
        assert len(expected) == min(share, 10)
        assert search("place < ?", share) == expected
        assert search("name < ?", f"n{share:05}") == expected
        assert search("place BETWEEN 0 AND ?", share - 1) == expected
        listed = ", ".join(map(str, np.flatnonzero(order < share)))
        assert search(f"rowid IN ({listed})") == expected
        assert search(f"rowid IN ({listed}) AND place < {ROWS}") == expected
    for groups in ([3], [3, 4], list(range(20)), list(range(40))):
        listed = ", ".join(map(str, groups))
        expected = nearest(matrix, np.isin(order % 40, groups), probe, 10)
        assert search(f"grp IN ({listed})") == expected
        both = np.isin(order % 40, groups) & (order < 1000)
        assert search(f"grp IN ({listed}) AND place < 1000") == nearest(matrix, both, probe, 10)
    assert search("place < 0") == []
    assert search("place < 5", count=100) == nearest(matrix, order < 5, probe, 100)


def test_pages_and_bounds_of_what_qualifies(table: tuple[Any, Any], matrix: Any) -> None:
    conn, order = table
    probe = matrix[5]
    everything = nearest(matrix, order < 2000, probe, 2000)
    sql = "SELECT rowid FROM v WHERE vector MATCH ? AND place < 2000 ORDER BY distance"
    for offset in (0, 10, 990, 1995):
        page = conn.execute(f"{sql} LIMIT 10 OFFSET {offset}", (probe.tobytes(),)).fetchall()
        assert [row[0] for row in page] == everything[offset : offset + 10]
    assert [row[0] for row in conn.execute(sql, (probe.tobytes(),))] == everything
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND place < 2000 AND k = 50"
    rows = conn.execute(sql, (probe.tobytes(),)).fetchall()
    low, high = rows[10][1], rows[19][1]
    found = conn.execute(f"{sql} AND distance >= ? AND distance <= ?", (probe.tobytes(), low, high))
    assert [row[0] for row in found] == everything[10:20]


def test_a_bound_on_the_distance_is_exact_with_k_too(linked: tuple[Any, Any]) -> None:
    """The fault: of rows within the bound the graph had missed some, and k was not reached."""
    conn, made = linked
    for probe in made[:20] + np.float32(0.5):
        far = np.sort(((made.astype(float) - probe) ** 2).sum(axis=1))
        sql = (
            "SELECT rowid FROM v WHERE vector MATCH ? AND distance < ? AND k = 40 AND ef_search = 1"
        )
        found = conn.execute(sql, (probe.tobytes(), (far[29] + far[30]) / 2)).fetchall()
        assert [row[0] for row in found] == nearest(made, np.full(2_000, True), probe, 30)


def test_texts_have_conditions_too(connect: Connect) -> None:
    model = Words(dimensions=64)
    conn = connect()
    attach(conn, [text_module(Host(), Shelf({"words": model}))])
    conn.execute(
        "CREATE VIRTUAL TABLE docs USING hnsw_text(model=words, +year INTEGER, +lang TEXT)"
    )
    rows = [(i, f"word{i % 11} thing{i % 7} text", 1900 + i % 100, "de") for i in range(1, 501)]
    conn.executemany("INSERT INTO docs(rowid, content, year, lang) VALUES (?, ?, ?, ?)", rows)
    conn.execute("UPDATE docs SET lang = 'en' WHERE rowid = 77")
    vectors = model.embed_report([row[1] for row in rows]).vectors
    probe = model.embed_report(["word3 thing5"]).vectors[0]
    far = 1 - vectors.astype(float) @ probe.astype(float)
    sql = "SELECT rowid, distance FROM docs WHERE content MATCH 'word3 thing5' AND k = 10 AND "
    for share in (1, 3, 10, 50, 100):
        keep = np.array([1900 <= row[2] < 1900 + share for row in rows])
        found = conn.execute(sql + f"year < {1900 + share}").fetchall()
        assert {1900 + id_ % 100 for id_, _ in found} <= set(range(1900, 1900 + share))
        assert [f for _, f in found] == pytest.approx(sorted(far[keep])[:10], abs=1e-6)
    assert [id_ for id_, _ in conn.execute(sql + "lang = 'en'")] == [77]
    assert conn.execute("SELECT year, lang FROM docs WHERE rowid = 77").fetchone() == (1977, "en")
    conn.execute("INSERT OR REPLACE INTO docs(rowid, content, lang) VALUES (77, 'new', 'fr')")
    row = conn.execute("SELECT content, year, lang FROM docs WHERE rowid = 77").fetchone()
    assert row == ("new", None, "fr")


def test_any_condition_holds_where_limit_counts(table: tuple[Any, Any], matrix: Any) -> None:
    """LIMIT counts rows that SQLite has found to qualify, by whatever condition."""
    conn, order = table
    sql = "SELECT rowid FROM v WHERE vector MATCH ? AND {} ORDER BY distance LIMIT 10"
    for condition, keep in (
        ("place % 3 = 0", order % 3 == 0),
        ("name LIKE '%77'", order % 100 == 77),
        ("place NOT IN (1, 2, 3) AND place != 4", ~np.isin(order, [1, 2, 3, 4])),
        ("(place < 20 OR place > 3990)", (order < 20) | (order > 3990)),
        ("place = 1234 + 0", order == 1234),
        ("name IS NULL", order < 0),
    ):
        found = conn.execute(sql.format(condition), (matrix[9].tobytes(),)).fetchall()
        assert [row[0] for row in found] == nearest(matrix, keep, matrix[9], 10), condition
