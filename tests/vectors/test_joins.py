"""Joins without k: exactly the nearest rows that the other table has, in either order of tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.index import building
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.storage import shared
from sqlite_utils_muninn.vectors.tables import lookups
from sqlite_utils_muninn.vectors.tables.reader import Reader

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

ROWS, DIMENSIONS = 3000, 24
SHARES = (1, 2, 7, 40, 400, 1500, ROWS - 1, ROWS)
NEAREST = "WHERE v.vector MATCH ? {} ORDER BY v.distance LIMIT 10"
JOIN = f"SELECT v.rowid, v.distance FROM v JOIN docs ON docs.id = v.rowid {NEAREST}"


@pytest.fixture(scope="module")
def matrix() -> Any:
    made = np.random.default_rng(17).normal(size=(ROWS, DIMENSIONS)).astype("<f4")
    made[100:110] = made[100]  # ties
    return made


@pytest.fixture(params=["scan", "graph"])
def table(
    request: Any, connect: Connect, path: Path, matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """v, and docs, in which row i has place order[i] among all, a slug and a group of 100."""
    if request.param == "graph":
        monkeypatch.setattr("sqlite_utils_muninn.vectors.index.index.SCANNED_FLOATS", 1000)
    conn = connect(path)
    conn.execute(f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={DIMENSIONS}, metric=l2)")
    conn.execute(
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, place INTEGER, slug TEXT UNIQUE, grp INTEGER)"
    )
    conn.execute("CREATE INDEX by_group ON docs(grp)")
    order = np.random.default_rng(18).permutation(ROWS)
    conn.execute("BEGIN")
    for i in range(ROWS):
        conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (i, matrix[i].tobytes()))
        place = int(order[i])
        row = (i, place, f"s{place}", place % 30)
        conn.execute("INSERT INTO docs VALUES (?, ?, ?, ?)", row)
    for share in SHARES:
        conn.execute(f"CREATE TABLE c{share} AS SELECT id FROM docs WHERE place < {share}")
        conn.execute(f"CREATE UNIQUE INDEX id{share} ON c{share}(id)")
    conn.execute("COMMIT")
    conn.execute("SELECT rowid FROM v WHERE vector MATCH ? AND k = 1", (matrix[0].tobytes(),))
    for index in list(shared._indexes.values()):
        assert building.wait(index, 60)
    return conn, order


def nearest(matrix: Any, keep: Any, probe: Any, count: int = 10) -> list[tuple[int, float]]:
    ids = np.flatnonzero(keep)
    far = ((matrix[ids].astype(float) - probe.astype(float)) ** 2).sum(axis=1)
    first = np.argsort(far, kind="stable")[:count]
    return list(zip(ids[first].tolist(), far[first].tolist(), strict=True))


def same(found: list[tuple[int, float]], expected: list[tuple[int, float]]) -> bool:
    ids = [row[0] for row in found] == [row[0] for row in expected]
    return ids and [row[1] for row in found] == pytest.approx([row[1] for row in expected])


def first_table(conn: Any, sql: str, *values: Any) -> str:
    """Which table SQLite begins with."""
    plan = [row[3].split() for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    return next(str(words[1]) for words in plan if words[0] in ("SCAN", "SEARCH"))


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_nearest_of_what_qualifies_at_any_selectivity(
    table: tuple[Any, Any], matrix: Any, connect: Connect, path: Path, analyzed: bool
) -> None:
    conn, order = table
    if analyzed:
        conn.execute("ANALYZE")
        conn = connect(path)
    for row in (5, 103):
        probe = matrix[row]
        for share in SHARES:
            expected = nearest(matrix, order < share, probe)
            found = conn.execute(JOIN.format("AND docs.place < ?"), (probe.tobytes(), share))
            assert same(found.fetchall(), expected)
            sql = f"SELECT v.rowid, v.distance FROM v JOIN c{share} c ON c.id = v.rowid {NEAREST}"
            assert same(conn.execute(sql.format(""), (probe.tobytes(),)).fetchall(), expected)
            forced = f"SELECT v.rowid, v.distance FROM c{share} c CROSS JOIN v ON c.id = v.rowid "
            forced += NEAREST.format("")
            assert same(conn.execute(forced, (probe.tobytes(),)).fetchall(), expected)
        sql = JOIN.format("AND docs.grp = 7")
        expected = nearest(matrix, order % 30 == 7, probe)
        assert same(conn.execute(sql, (probe.tobytes(),)).fetchall(), expected)


def test_sqlite_begins_with_the_other_table_where_it_is_known_to_want_few(
    table: tuple[Any, Any], connect: Connect, path: Path, matrix: Any
) -> None:
    """The nearest of 100,000 rows were all gone through, to find the one that a slug names."""
    conn, _ = table
    probe = matrix[0].tobytes()
    slug, group = JOIN.format("AND docs.slug = 's7'"), JOIN.format("AND docs.grp = 7")
    small = f"SELECT v.rowid FROM v JOIN c40 c ON c.id = v.rowid {NEAREST.format('')}"
    whole = JOIN.format("")
    limited = JOIN.format("AND v.k = 10 AND docs.slug = 's7'")
    assert first_table(conn, slug, probe) == "docs"
    # Nobody knows what an index leaves before ANALYZE: the search goes first.
    assert [first_table(conn, sql, probe) for sql in (group, small, whole)] == ["v", "v", "v"]
    conn.execute("ANALYZE")
    conn = connect(path)
    assert first_table(conn, slug, probe) == "docs"
    assert first_table(conn, group, probe) == "docs"
    assert first_table(conn, small, probe) == "c"
    assert first_table(conn, whole, probe) == "v"
    # With k, the nearest k are joined, whatever the other table holds.
    assert conn.execute(limited, (probe,)).fetchall() == []


def test_a_text_index_is_joined_without_a_search_for_each_match(
    table: tuple[Any, Any], matrix: Any
) -> None:
    """Each of FTS5's matches had all vectors ranked once more."""
    conn, order = table
    conn.execute("BEGIN")
    conn.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    conn.executemany(
        "INSERT INTO words(rowid, text) VALUES (?, ?)",
        ((i, "rare" if order[i] < 50 else "usual") for i in range(ROWS)),
    )
    conn.execute("COMMIT")
    sql = "SELECT v.rowid, v.distance FROM v JOIN words ON words.rowid = v.rowid "
    sql += NEAREST.format("AND words MATCH 'rare'")
    probe = matrix[9]
    assert same(
        conn.execute(sql, (probe.tobytes(),)).fetchall(), nearest(matrix, order < 50, probe)
    )
    plan = conn.execute(f"EXPLAIN QUERY PLAN {sql}", (probe.tobytes(),)).fetchall()
    (of_vectors,) = [row[3] for row in plan if "vector match" in row[3]]
    assert "-1=" in of_vectors  # by rowid


def test_ties_go_by_rowid_where_that_is_asked_for_and_nothing_is_sorted(
    table: tuple[Any, Any], matrix: Any
) -> None:
    conn, _ = table
    sql = "SELECT rowid FROM v WHERE vector MATCH ? ORDER BY distance, rowid LIMIT 12"
    found = [row[0] for row in conn.execute(sql, (matrix[100].tobytes(),))]
    assert found == [id_ for id_, _ in nearest(matrix, np.ones(ROWS, bool), matrix[100], 12)]
    plan = [row[3] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", (matrix[0].tobytes(),))]
    assert not [step for step in plan if "ORDER BY" in step]


# ---- One row after the other ----

LOOK = "SELECT docs.id, v.distance FROM docs CROSS JOIN v ON v.rowid = docs.id WHERE vector MATCH ?"


@pytest.fixture(params=["one by one", "all at once"])
def looked(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A join asks for many rows, and for few."""
    if request.param == "all at once":
        monkeypatch.setattr(lookups, "FEW", 3)
        monkeypatch.setattr(lookups, "SHARE", 1_000_000)


def small(connect: Connect) -> Any:
    conn = connect()
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=1, metric=l2)")
    conn.execute("CREATE TABLE docs (id)")
    conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", ((i, f"[{i}]") for i in EVEN))
    conn.executemany("INSERT INTO docs VALUES (?)", ((i,) for i in range(40)))
    return conn


EVEN = range(0, 40, 2)


@pytest.mark.usefixtures("looked")
def test_each_row_once_and_none_that_is_missing(connect: Connect) -> None:
    conn = small(connect)
    for probe in (0, 3, 0):
        expected = [(i, float((i - probe) ** 2)) for i in EVEN]
        assert conn.execute(LOOK, (f"[{probe}]",)).fetchall() == expected
    assert conn.execute(LOOK, (None,)).fetchall() == []
    near = f"{LOOK} AND distance <= 16"
    assert conn.execute(near, ("[4]",)).fetchall() == [(0, 16), (2, 4), (4, 0), (6, 4), (8, 16)]
    left = LOOK.replace("CROSS JOIN", "LEFT JOIN").replace("WHERE", "AND")
    found = conn.execute(left, ("[0]",)).fetchall()
    assert found == [(i, float(i * i) if i in EVEN else None) for i in range(40)]
    vectors = conn.execute(LOOK.replace("v.distance", "v.vector"), ("[0]",)).fetchall()
    assert [np.frombuffer(blob, "<f4").tolist() for _, blob in vectors] == [[i] for i in EVEN]


@pytest.mark.usefixtures("looked")
def test_ids_of_other_types_name_rows_as_they_do_in_sqlite(connect: Connect) -> None:
    conn = small(connect)
    conn.execute("DELETE FROM docs")
    given = ("4", 6.0, 7.5, "x", None, b"8", 2**62, -1, 10)
    conn.executemany("INSERT INTO docs VALUES (?)", ((value,) for value in given))
    plain = "SELECT v.rowid FROM docs JOIN v_rows v ON v.id = docs.id".replace("v.rowid", "v.id")
    expected = [row[0] for row in conn.execute(plain)]
    found = conn.execute(LOOK.replace("docs.id,", "v.rowid,"), ("[0]",)).fetchall()
    assert [row[0] for row in found] == expected


@pytest.mark.usefixtures("looked")
def test_rows_are_as_the_statement_sees_them(connect: Connect) -> None:
    """What was worked out for one statement must not answer a later one."""
    conn = small(connect)
    expected = {i: float(i * i) for i in EVEN}
    assert dict(conn.execute(LOOK, ("[0]",))) == expected
    conn.execute("BEGIN")
    conn.execute("UPDATE v SET vector = '[100]' WHERE rowid = 38")
    conn.execute("DELETE FROM v WHERE rowid = 36")
    conn.execute("INSERT INTO v(rowid, vector) VALUES (39, '[1]')")
    changed = {**expected, 38: 10_000.0, 39: 1.0}
    del changed[36]
    assert dict(conn.execute(LOOK, ("[0]",))) == changed
    conn.execute("ROLLBACK")
    assert dict(conn.execute(LOOK, ("[0]",))) == expected


def test_a_writer_meanwhile_does_not_have_all_ranked_for_each_row(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "FEW", 3)
    monkeypatch.setattr(lookups, "SHARE", 1_000_000)
    conn = small(connect)
    scans = []
    distances = Reader.distances

    def counted(reader: Reader, *given: Any) -> Any:
        scans.append(given)
        return distances(reader, *given)

    monkeypatch.setattr(Reader, "distances", counted)
    seen = 0
    for id_, far in conn.execute(LOOK, ("[0]",)):
        assert far == id_ * id_
        seen += 1
        conn.execute("INSERT OR REPLACE INTO v(rowid, vector) VALUES (1000, '[7]')")
    assert seen == len(EVEN)
    assert 0 < len(scans) <= seen // 3


def test_a_join_can_be_interrupted(table: tuple[Any, Any], matrix: Any, sqlite: Any) -> None:
    conn, _ = table
    for sql in (JOIN.format("AND docs.place < 1"), LOOK):
        steps = itertools.count()
        conn.set_progress_handler(lambda steps=steps: next(steps) > 50, 20)
        with pytest.raises(sqlite.OperationalError, match="interrupted"):
            conn.execute(sql, (matrix[0].tobytes(),)).fetchall()
        conn.set_progress_handler(None, 0)
        assert conn.execute(JOIN.format("AND docs.place < 1"), (matrix[0].tobytes(),)).fetchone()


# ---- Texts ----


@pytest.mark.parametrize("content", ["", ", content=docs, content_column=body", ", chunk=true"])
def test_a_text_is_embedded_once_for_all_rows_of_a_join(connect: Connect, content: str) -> None:
    model = Words(dimensions=64, context=64)
    conn = connect()
    attach(conn, [text_module(Host(), Shelf({"words": model}))])
    conn.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)")
    rows = [(i, f"word{i % 11} thing{i % 7} text") for i in range(1, 61)]
    conn.executemany("INSERT INTO docs VALUES (?, ?)", rows)
    conn.execute(f"CREATE VIRTUAL TABLE t USING hnsw_text(model=words{content})")
    texts = "SELECT id FROM docs" if "docs" in content else "SELECT id, body FROM docs"
    conn.execute(f"INSERT INTO t(rowid{'' if 'docs' in content else ', content'}) {texts}")
    expected = dict(conn.execute("SELECT rowid, distance FROM t WHERE content MATCH 'word3 text'"))
    conn.execute("UPDATE docs SET body = 'changed' WHERE id = 5")
    if "docs" in content:  # it is not found by a text that it has no longer
        del expected[5]
    model.batches.clear()
    sql = "SELECT t.rowid, t.distance FROM docs CROSS JOIN t ON t.rowid = docs.id WHERE {} MATCH ?"
    assert dict(conn.execute(sql.format("t.content"), ("word3 text",))) == expected
    assert model.texts == ["word3 text"]
    probe = model.embed_report(["word3 text"]).vectors[0].tobytes()
    assert dict(conn.execute(sql.format("t.vector"), (probe,))) == expected
    conn.execute("INSERT OR REPLACE INTO t(rowid, content) VALUES (7, 'word3 text')")
    found = dict(conn.execute(sql.format("t.content"), ("word3 text",)))
    assert found.get(7, 0) == pytest.approx(0, abs=1e-6)


def test_rows_come_in_order_however_many_are_taken(linked: tuple[Any, Any]) -> None:
    """The fault: rows that the graph had missed came late, so ORDER BY distance was not kept."""
    conn, made = linked
    conn.execute("CREATE TABLE docs AS SELECT id, id % 2 AS odd FROM v_rows")
    conn.execute("CREATE INDEX by_id ON docs(id)")
    odd = np.arange(len(made)) % 2 == 1
    join = "SELECT v.rowid, v.distance FROM v JOIN docs ON docs.id = v.rowid"
    for probe in made[:10] + np.float32(0.5):
        values = (probe.tobytes(),)
        found = conn.execute(f"{join} {NEAREST.format('AND odd')}", values).fetchall()
        assert same(found, nearest(made, odd, probe))
        every = "SELECT rowid, distance FROM v WHERE vector MATCH ? ORDER BY distance"
        found = conn.execute(every, values).fetchall()
        assert same(found, nearest(made, odd | True, probe, len(made)))
