"""hnsw_index through SQL: what a user writes, and what comes back."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import quote

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

ONE, TWO, THREE = "[1, 0, 0]", "[0, 2, 0]", "[0, 0, 3]"


def blob(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def v(conn: Any) -> Any:
    """Three vectors on the axes, at rowids 10, 20 and 30."""
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=3, metric=l2)")
    conn.execute(
        f"INSERT INTO v(rowid, vector) VALUES (10, '{ONE}'), (20, '{TWO}'), (30, '{THREE}')"
    )
    return conn


def nearest(conn: Any, probe: Any = ONE, more: str = "AND k = 10", table: str = "v") -> list[int]:
    sql = f"SELECT rowid FROM {table} WHERE vector MATCH ? {more}"
    return [row[0] for row in conn.execute(sql, (probe,))]


# ---- Reading ----


def test_k_gives_the_nearest_with_their_distances(v: Any) -> None:
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 2"
    assert v.execute(sql, (blob(1, 0, 0),)).fetchall() == [(10, 0.0), (20, 5.0)]


def test_limit_does_as_k(v: Any) -> None:
    assert nearest(v, more="ORDER BY distance LIMIT 2") == [10, 20]
    assert nearest(v, more="LIMIT 1") == [10]
    assert nearest(v, more="ORDER BY distance LIMIT 1 OFFSET 1") == [20]
    assert nearest(v, more="AND k = 2 ORDER BY distance LIMIT 5 OFFSET 1") == [20]
    assert nearest(v, more="AND k = 3 LIMIT 1") == [10]


def test_without_k_all_rows_come_in_order(v: Any) -> None:
    assert nearest(v, more="") == [10, 20, 30]
    assert nearest(v, more="ORDER BY distance DESC") == [30, 20, 10]


def test_rowid_in_is_exact_among_those(v: Any) -> None:
    assert nearest(v, more="AND k = 1 AND rowid IN (20, 30, 99)") == [20]
    assert nearest(v, more="AND k = 5 AND rowid IN (SELECT value FROM json_each('[30, 20]'))") == [
        20,
        30,
    ]
    assert nearest(v, more="AND k = 5 AND rowid IN ()") == []
    assert nearest(v, more="AND k = 5 AND rowid IN (NULL, '10', 20.0, 30.5, 'x')") == [10, 20]


def test_a_list_of_one_is_a_list(v: Any) -> None:
    # SQLite turns rowid IN (30) into rowid = 30.
    assert nearest(v, more="AND k = 1 AND rowid IN (30)") == [30]
    assert nearest(v, more="AND k = 1 AND rowid = 30") == [30]
    sql = "SELECT rowid FROM v WHERE vector MATCH ? AND k = 1 AND rowid IN (?)"
    assert v.execute(sql, (ONE, 30)).fetchall() == [(30,)]
    assert nearest(v, more="AND k = 1 AND rowid = 30 AND rowid IN (10, 20)") == []


@pytest.mark.parametrize("tables", ["t JOIN v", "v JOIN t", "v CROSS JOIN t"])
def test_a_join_does_not_search_for_each_row(v: Any, tables: str) -> None:
    v.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    v.execute("INSERT INTO t VALUES (10), (20), (30)")
    sql = f"SELECT v.rowid FROM {tables} ON v.rowid = t.id WHERE vector MATCH ? AND k = 1"
    assert v.execute(sql, (TWO,)).fetchall() == [(20,)]
    v.execute("ANALYZE")
    assert v.execute(sql, (TWO,)).fetchall() == [(20,)]


def test_distances_can_be_bounded(v: Any) -> None:
    assert nearest(v, more="AND k = 10 AND distance < 10") == [10, 20]
    assert nearest(v, more="AND distance <= 5") == [10, 20]
    assert nearest(v, more="AND distance < 5") == [10]
    assert nearest(v, more="AND k = 1 AND distance > 0") == [20]
    assert nearest(v, more="AND k = 1 AND distance >= 5.0") == [20]
    assert nearest(v, more="AND k = 5 AND distance > 0 AND distance < 10") == [20]
    assert nearest(v, more="AND distance < '5'") == [10]
    assert nearest(v, more="AND distance < NULL") == []


def test_rows_by_rowid_and_all(v: Any) -> None:
    assert v.execute("SELECT vector FROM v WHERE rowid = 20").fetchall() == [(blob(0, 2, 0),)]
    assert v.execute("SELECT vector FROM v WHERE rowid = 21").fetchall() == []
    assert v.execute("SELECT rowid FROM v WHERE rowid IN (30, 10, 5)").fetchall() == [(10,), (30,)]
    assert v.execute("SELECT rowid, vector, distance FROM v WHERE rowid > 15").fetchall() == [
        (20, blob(0, 2, 0), None),
        (30, blob(0, 0, 3), None),
    ]
    assert v.execute("SELECT count(*) FROM v").fetchone() == (3,)
    assert v.execute("SELECT max(rowid) FROM v").fetchone() == (30,)


def test_many_rows_come_in_pages(conn: Any) -> None:
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    conn.execute("BEGIN")
    for i in range(1000):
        conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (i, blob(i, 1)))
    conn.execute("COMMIT")
    assert [row[0] for row in conn.execute("SELECT rowid FROM v")] == list(range(1000))
    assert nearest(conn, blob(0, 1), "") == list(range(1000))
    assert nearest(conn, blob(0, 1), "LIMIT 3 OFFSET 500") == [500, 501, 502]


def test_match_null_finds_nothing(v: Any) -> None:
    assert nearest(v, None) == []


def test_k_can_be_read_back_and_be_zero(v: Any) -> None:
    sql = "SELECT k, ef_search FROM v WHERE vector MATCH ? AND k = 1 AND ef_search = 64"
    assert v.execute(sql, (ONE,)).fetchall() == [(1, 64)]
    assert nearest(v, more="AND k = 0") == []


@pytest.mark.parametrize(
    ("metric", "expected"), [("l2", 4.0), ("cosine", 1.0), ("inner_product", 0.0)]
)
def test_metrics(conn: Any, metric: str, expected: float) -> None:
    conn.execute(f"CREATE VIRTUAL TABLE m USING hnsw_index(dimensions=2, metric={metric})")
    conn.execute("INSERT INTO m(vector) VALUES ('[0, 2]')")
    sql = "SELECT distance FROM m WHERE vector MATCH '[0, 0]' AND k = 1"
    assert conn.execute(sql).fetchall() == [(expected,)]


def test_several_searches_in_one_statement(v: Any) -> None:
    sql = """
        SELECT p.value, (SELECT rowid FROM v WHERE vector MATCH p.value AND k = 1)
        FROM json_each(?) p
    """
    probes = json.dumps([json.loads(p) for p in (TWO, THREE)])
    assert [row[1] for row in v.execute(sql, (probes,))] == [20, 30]
    joined = "SELECT v.rowid FROM json_each(?) p JOIN v ON v.vector MATCH p.value AND v.k = 1"
    assert [row[0] for row in v.execute(joined, (probes,))] == [20, 30]


# ---- Writing ----


def test_rowids_are_given_or_made(v: Any) -> None:
    cursor = v.execute("INSERT INTO v(vector) VALUES (?)", (blob(1, 1, 1),))
    assert cursor.lastrowid == 31
    v.execute("INSERT INTO v(rowid, vector) VALUES (-7, ?)", (blob(1, 1, 1),))
    assert v.execute("SELECT min(rowid), count(*) FROM v").fetchone() == (-7, 5)


def test_the_vector_comes_back_as_it_was_given(v: Any) -> None:
    given = np.array([1e-40, -0.0, 3.4e38], dtype="<f4").tobytes()
    v.execute("INSERT INTO v(rowid, vector) VALUES (1, ?)", (given,))
    assert v.execute("SELECT vector FROM v WHERE rowid = 1").fetchone() == (given,)


def test_update_delete_and_insert_again(v: Any) -> None:
    v.execute("UPDATE v SET vector = ? WHERE rowid = 30", (ONE,))
    assert nearest(v) == [10, 30, 20]
    v.execute("DELETE FROM v WHERE rowid = 10")
    assert nearest(v) == [30, 20]
    v.execute("INSERT INTO v(rowid, vector) VALUES (10, ?)", (TWO,))
    assert nearest(v, TWO) == [10, 20, 30]
    v.execute("UPDATE v SET rowid = 5 WHERE rowid = 20")
    assert nearest(v, TWO) == [5, 10, 30]
    v.execute("DELETE FROM v")
    assert nearest(v) == []


def test_updates_can_be_chosen_by_a_search(v: Any) -> None:
    v.execute("UPDATE v SET vector = ? WHERE vector MATCH ? AND k = 2", (THREE, ONE))
    assert {row[0] for row in v.execute("SELECT vector FROM v")} == {blob(0, 0, 3)}
    v.execute("DELETE FROM v WHERE vector MATCH ? AND k = 1", (THREE,))
    assert v.execute("SELECT count(*) FROM v").fetchone() == (2,)


def test_a_rowid_that_is_there(v: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.IntegrityError, match=r"UNIQUE constraint failed: v\.rowid"):
        v.execute("INSERT INTO v(rowid, vector) VALUES (10, ?)", (TWO,))
    with pytest.raises(sqlite.IntegrityError, match="UNIQUE"):
        v.execute("UPDATE v SET rowid = 20 WHERE rowid = 10")
    v.execute("INSERT OR IGNORE INTO v(rowid, vector) VALUES (10, ?), (40, ?)", (TWO, TWO))
    v.execute("INSERT OR REPLACE INTO v(rowid, vector) VALUES (30, ?)", (TWO,))
    v.execute("REPLACE INTO v(rowid, vector) VALUES (50, ?)", (TWO,))
    assert nearest(v, TWO, "AND distance = 0") == [20, 30, 40, 50]
    assert nearest(v) == [10, 20, 30, 40, 50]
    v.execute("UPDATE OR REPLACE v SET rowid = 20 WHERE rowid = 10")
    assert nearest(v) == [20, 30, 40, 50]


def test_a_failing_statement_leaves_nothing(v: Any, sqlite: Any) -> None:
    rows = f"(1, '{ONE}'), (2, '{TWO}'), (10, '{TWO}')"
    for begin, end in ((), ()), (("BEGIN",), ("COMMIT",)):
        for sql in begin:
            v.execute(sql)
        with pytest.raises(sqlite.IntegrityError):
            v.execute(f"INSERT INTO v(rowid, vector) VALUES {rows}")
        for sql in end:
            v.execute(sql)
        assert nearest(v) == [10, 20, 30]
        v.execute("INSERT INTO v(v) VALUES ('integrity-check')")


def test_last_insert_rowid_and_changes_are_the_users_own(v: Any) -> None:
    v.execute("CREATE TABLE t(a)")
    v.execute("INSERT INTO t(rowid) VALUES (777)")
    v.execute("UPDATE v SET vector = ? WHERE rowid = 10", (TWO,))
    v.execute("DELETE FROM v WHERE rowid = 20")
    assert v.execute("SELECT last_insert_rowid(), changes()").fetchone() == (777, 1)


def test_upsert_is_refused_by_sqlite_itself(v: Any, sqlite: Any) -> None:
    # "UPSERT not implemented for virtual table": INSERT OR REPLACE is the way.
    with pytest.raises(sqlite.OperationalError, match="UPSERT not implemented"):
        v.execute(
            "INSERT INTO v(rowid, vector) VALUES (10, ?) ON CONFLICT DO UPDATE SET vector = ?",
            (TWO, TWO),
        )


# ---- Metadata ----


@pytest.fixture
def books(conn: Any) -> Any:
    conn.execute(
        "CREATE VIRTUAL TABLE b USING hnsw_index(dimensions=2, metric=l2, "
        '+year INTEGER, +"the title" TEXT)'
    )
    for i in range(20):
        row = (i, blob(i, 0), 2000 + i % 4, f"title {i}")
        conn.execute('INSERT INTO b(rowid, vector, year, "the title") VALUES (?, ?, ?, ?)', row)
    return conn


def test_metadata_narrows_the_search_before_k(books: Any) -> None:
    assert nearest(books, blob(0, 0), "AND k = 3 AND year = 2003", "b") == [3, 7, 11]
    assert nearest(books, blob(0, 0), "AND k = 3 AND year IN (2002, 2003)", "b") == [2, 3, 6]
    more = "AND k = 2 AND year >= 2001 AND year < 2003 AND rowid IN (4, 5, 6, 7, 9)"
    assert nearest(books, blob(0, 0), more, "b") == [5, 6]
    assert nearest(books, blob(0, 0), "AND year = '2003' LIMIT 2", "b") == [3, 7]
    assert nearest(books, blob(0, 0), "AND k = 3 AND year IN (2003)", "b") == [3, 7, 11]
    assert nearest(books, blob(0, 0), "AND k = 3 AND year IS NULL", "b") == []
    assert nearest(books, blob(0, 0), "AND k = 3 AND year = 2003 AND rowid = 7", "b") == [7]
    books.execute("CREATE TABLE years(year)")
    books.execute("INSERT INTO years VALUES (2000), (2003)")
    sql = "SELECT b.rowid FROM years JOIN b USING (year) WHERE vector MATCH ? AND k = 4"
    assert books.execute(sql, (blob(0, 0),)).fetchall() == [(0,), (3,)]


def test_metadata_is_read_and_written(books: Any) -> None:
    books.execute("UPDATE b SET year = 1999 WHERE rowid = 4")
    sql = 'SELECT year, "the title" FROM b WHERE rowid = 4'
    assert books.execute(sql).fetchall() == [(1999, "title 4")]
    books.execute("UPDATE b SET rowid = 100 WHERE rowid = 4")
    assert books.execute(sql.replace("= 4", "= 100")).fetchall() == [(1999, "title 4")]
    sql = 'SELECT rowid, year, "the title" FROM b WHERE vector MATCH ? AND k = 1'
    assert books.execute(sql, (blob(4, 0),)).fetchall() == [(100, 1999, "title 4")]


# ---- Names and schemas ----


@pytest.mark.parametrize("name", ["my vectors", 'odd"name', "a.b", "select", "ünï", "it's", "[x]"])
def test_any_name_will_do(conn: Any, name: str) -> None:
    table = quote(name)
    conn.execute(f"CREATE VIRTUAL TABLE {table} USING hnsw_index(dimensions=3, metric=l2)")
    conn.execute(f"INSERT INTO {table}(rowid, vector) VALUES (1, ?)", (ONE,))
    for command in ("optimize", "rebuild", "integrity-check"):
        conn.execute(f"INSERT INTO {table}({table}) VALUES (?)", (command,))
    assert nearest(conn, table=table) == [1]
    conn.execute(f"ALTER TABLE {table} RENAME TO plain")
    assert nearest(conn, table="plain") == [1]
    conn.execute(f"ALTER TABLE plain RENAME TO {table}")
    conn.execute(f"UPDATE {table} SET vector = ? WHERE rowid = 1", (TWO,))
    assert nearest(conn, table=table) == [1]
    conn.execute(f"DROP TABLE {table}")
    assert left_behind(conn) == []


@pytest.mark.parametrize("name", ["vector", "distance", "k"])
def test_a_table_named_like_its_column_has_no_commands(conn: Any, name: str) -> None:
    conn.execute(f"CREATE VIRTUAL TABLE {name} USING hnsw_index(dimensions=3, metric=l2)")
    conn.execute(f"INSERT INTO {name}(rowid, vector) VALUES (1, ?)", (ONE,))
    assert nearest(conn, table=name) == [1]


def left_behind(conn: Any, schema: str = "main") -> list[str]:
    sql = f"SELECT name FROM {schema}.sqlite_master WHERE name NOT LIKE 'sqlite%'"
    return [row[0] for row in conn.execute(sql)]


def test_rename_leaves_the_vectors_where_they_are(v: Any) -> None:
    v.execute("ALTER TABLE v RENAME TO w")
    assert nearest(v, table="w") == [10, 20, 30]
    v.execute("INSERT INTO w(w) VALUES ('integrity-check')")
    assert not [name for name in left_behind(v) if name.startswith("v_")]
    v.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=3, metric=l2)")
    assert nearest(v) == []
    assert nearest(v, table="w") == [10, 20, 30]


def test_drop_leaves_nothing(v: Any) -> None:
    v.execute("DROP TABLE v")
    assert left_behind(v) == []
    v.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=3, metric=l2)")
    assert nearest(v) == []


def test_create_and_drop_can_be_regretted(v: Any) -> None:
    before = left_behind(v)
    v.execute("BEGIN")
    v.execute("CREATE VIRTUAL TABLE w USING hnsw_index(dimensions=3, metric=l2)")
    v.execute("INSERT INTO w(vector) VALUES (?)", (ONE,))
    assert nearest(v, table="w") == [1]
    v.execute("DROP TABLE v")
    v.execute("ROLLBACK")
    assert left_behind(v) == before
    assert nearest(v) == [10, 20, 30]


def test_a_failing_create_leaves_nothing(conn: Any, sqlite: Any) -> None:
    conn.execute("CREATE TABLE v_log(mine)")
    for begin in ("BEGIN", "SAVEPOINT s"):
        conn.execute(begin)
        with pytest.raises(sqlite.OperationalError, match="v_log"):
            conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=3, metric=l2)")
        conn.execute("COMMIT")
        assert left_behind(conn) == ["v_log"]


def test_temp_and_attached_schemas(connect: Connect, path: Any) -> None:
    conn = connect(path)
    conn.execute("ATTACH ? AS other", (str(path.with_name("other.db")),))
    for schema in ("main", "temp", "other"):
        conn.execute(f"CREATE VIRTUAL TABLE {schema}.v USING hnsw_index(dimensions=3, metric=l2)")
        conn.execute(f"INSERT INTO {schema}.v(rowid, vector) VALUES ({len(schema)}, ?)", (ONE,))
    for schema in ("main", "temp", "other"):
        assert nearest(conn, table=f"{schema}.v") == [len(schema)]
        conn.execute(f"ALTER TABLE {schema}.v RENAME TO w")
        conn.execute(f"DROP TABLE {schema}.w")
        assert left_behind(conn, schema) == []


def test_shadow_tables_are_marked(v: Any) -> None:
    kinds = {row[1]: row[2] for row in v.execute("PRAGMA table_list") if row[0] == "main"}
    for suffix in ("config", "rows", "nodes", "edges", "log"):
        assert kinds[f"v_{suffix}"] == "shadow"


def test_vectors_are_rows_that_any_program_can_read(path: Path, connect: Connect) -> None:
    """And two of 384 dimensions share a page: the fault would be files twice as large."""
    import sqlite3

    conn = connect(path)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=384)")
    blobs = [np.full(384, i + 1, "<f4").tobytes() for i in range(200)]
    conn.executemany("INSERT INTO v(vector) VALUES (?)", [(blob,) for blob in blobs])
    plain = sqlite3.connect(path)
    assert plain.execute("SELECT id, vector FROM v_nodes").fetchall() == list(enumerate(blobs, 1))
    assert plain.execute("PRAGMA page_count").fetchone()[0] < 100 + 20
    plain.close()


# ---- Errors ----


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("INSERT INTO v(vector) VALUES ('[1, 2]')", "expected 3-dim vector, got 2"),
        ("INSERT INTO v(vector) VALUES (x'00')", "expected 3-dim vector, a blob of 12 bytes"),
        ("INSERT INTO v(vector) VALUES (NULL)", "a vector must be a blob of float32"),
        ("INSERT INTO v(rowid) VALUES (5)", "a vector must be a blob of float32"),
        ("UPDATE v SET vector = '[1]'", "expected 3-dim vector, got 1"),
        ("SELECT * FROM v WHERE vector MATCH 'fox'", "a vector given as text must be a JSON array"),
        ("SELECT * FROM v WHERE vector MATCH '[1]' AND k = 5", "expected 3-dim vector, got 1"),
        (f"SELECT * FROM v WHERE vector MATCH '{ONE}' AND k = -1", "k must be a whole number >= 0"),
        (f"SELECT * FROM v WHERE vector MATCH '{ONE}' AND k = 'x'", "k must be a whole number"),
        (f"SELECT * FROM v WHERE vector MATCH '{ONE}' AND k = NULL", "k must be a whole number"),
        (f"SELECT * FROM v WHERE vector MATCH '{ONE}' AND ef_search = 0", "ef_search must be"),
        (f"INSERT INTO v(vector, distance) VALUES ('{ONE}', 1)", "column 'distance' cannot be"),
        (f"INSERT INTO v(vector, k) VALUES ('{ONE}', 1)", "column 'k' cannot be written"),
        ("UPDATE v SET distance = 1 WHERE rowid = 10", "column 'distance' cannot be written"),
        ("INSERT INTO v(v) VALUES ('tidy')", "unknown command 'tidy' (it may be 'optimize'"),
    ],
)
def test_errors_say_what_is_wrong_and_change_nothing(
    v: Any, sqlite: Any, sql: str, message: str
) -> None:
    with pytest.raises(sqlite.OperationalError) as caught:
        v.execute(sql).fetchall()
    assert str(caught.value).startswith(f"hnsw_index: {message}")
    assert nearest(v) == [10, 20, 30]


def test_create_says_what_is_wrong(conn: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match="'dimensions' parameter is required"):
        conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(metric='l2')")


def test_a_rowid_that_is_no_number(v: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.Error, match="datatype mismatch"):
        v.execute("INSERT INTO v(rowid, vector) VALUES ('x', ?)", (ONE,))


def test_vectors_found_are_those_of_the_statement(conn: Any) -> None:
    """The fault: a search gives back vectors that an earlier one has read."""
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    old, new = (np.array(x, "<f4").tobytes() for x in ([1, 0], [0, 1]))
    conn.execute("INSERT INTO v(rowid, vector) VALUES (1, ?), (2, ?)", (old, old))
    search = "SELECT rowid, vector FROM v WHERE vector MATCH ? AND k = 2"
    assert conn.execute(search, (old,)).fetchall() == [(1, old), (2, old)]
    conn.execute("SELECT rowid FROM v WHERE vector MATCH ? AND k = 2", (old,)).fetchall()
    conn.execute("UPDATE v SET vector = ? WHERE rowid = 2", (new,))
    for more in ("", " AND rowid IN (1, 2)", " AND distance >= 0"):
        assert conn.execute(search + more, (old,)).fetchall() == [(1, old), (2, new)]
    assert conn.execute("SELECT vector FROM v WHERE rowid = 2").fetchall() == [(new,)]
    conn.execute("BEGIN")
    conn.execute("UPDATE v SET vector = ? WHERE rowid = 1", (new,))
    assert sorted(conn.execute(search, (old,))) == [(1, new), (2, new)]
    conn.execute("ROLLBACK")
    assert conn.execute(search, (old,)).fetchall() == [(1, old), (2, new)]
