"""The handle that callbacks get: rows, typed columns, facts, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Function, SQLError, attach, quote, quote_table, split_table


@pytest.fixture
def db(conn: Any) -> Any:
    return attach(conn)


def test_rows_of_every_type(db: Any) -> None:
    sql = "SELECT 1, 1.5, 'größe', x'00ff', NULL, ?, ?, ?"
    assert db.execute(sql, ("p", b"", np.int64(3))) == [
        (1, 1.5, "größe", b"\0\xff", None, "p", b"", 3)
    ]


def test_columns_become_arrays(db: Any) -> None:
    db.execute("CREATE TABLE t (i, r, s, v)")
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    for i in range(3):
        db.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (i, i / 2, f"s{i}", vectors[i].tobytes()))
    kinds = ("integer", "real", "text", "vector:2", "any")
    i, r, s, v, a = db.columns("SELECT i, r, s, v, s FROM t", (), kinds)
    assert i.dtype == np.int64
    assert i.tolist() == [0, 1, 2]
    assert r.tolist() == [0, 0.5, 1]
    assert s == a == ["s0", "s1", "s2"]
    assert v.dtype == np.float32
    assert np.array_equal(v, vectors)
    del db  # arrays own their memory
    assert v.sum() == 15


def test_no_rows_are_empty_arrays(db: Any) -> None:
    i, v, t = db.columns("SELECT 1, x'', '' WHERE 0", (), ("integer", "vector:3", "text"))
    assert (i.shape, v.shape, t) == ((0,), (0, 3), [])


def test_many_rows_cross_the_buffers_growth(db: Any) -> None:
    sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 50000) "
    n, t = db.columns(sql + "SELECT n, 'text ' || n FROM c", (), ("integer", "text"))
    assert n.sum() == 50000 * 50001 // 2
    assert t[-1] == "text 50000"


def test_the_data_version_tells_of_every_change(connect: Any, tmp_path: Any) -> None:
    conn, other = connect(tmp_path / "f.db"), connect(tmp_path / "f.db")
    conn.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    db = attach(conn, [Function("version", (), lambda db: db.data_version())])

    def version() -> int:
        found: int = conn.execute("SELECT version() FROM t").fetchone()[0]
        return found

    first = version()
    assert version() == first
    assert db.data_version() is None  # nothing is being read
    assert db.data_version("nothing") is None
    other.executescript("UPDATE t SET x = 2")
    second = version()
    assert second != first
    conn.executescript("UPDATE t SET x = 3")
    assert version() not in (first, second)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("'x'", "integer", "row 1, column 1: not an integer"),
        ("NULL", "integer", "row 1, column 1: not an integer"),
        ("'x'", "real", "not a number"),
        ("1", "text", "not text"),
        ("'t'", "blob", "not a blob"),
        ("x'0000'", "vector:1", "not a vector of 4 bytes"),
    ],
)
def test_a_value_of_another_type_is_refused(db: Any, value: str, kind: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        db.columns(f"SELECT {value}", (), (kind,))


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("SELEC 1", (), 'near "SELEC": syntax error'),
        ("SELECT 1; SELECT 2", (), "exactly one statement is needed"),
        ("", (), "exactly one statement is needed"),
        ("SELECT ?", (), "0 values for 1 parameters"),
        ("SELECT 1", (1,), "1 values for 0 parameters"),
    ],
)
def test_wrong_statements(db: Any, sql: str, parameters: Any, message: str) -> None:
    with pytest.raises(SQLError, match=message):
        db.execute(sql, parameters)


def test_errors_carry_sqlites_code(db: Any) -> None:
    db.execute("CREATE TABLE t (x PRIMARY KEY)")
    db.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(SQLError) as caught:
        db.execute("INSERT INTO t VALUES (1)")
    assert caught.value.sqlite_errorcode == 1555


def test_facts(connect: Any, tmp_path: Any) -> None:
    path = tmp_path / "f.db"
    connect(path).execute("CREATE TABLE t (x)")
    db = attach(connect(path))
    assert db.filename() == str(path)
    assert db.filename("temp") == ""
    assert db.read_only() is False
    assert db.in_transaction is False
    db.execute("BEGIN")
    db.execute("INSERT INTO t VALUES (1), (2)")
    assert (db.in_transaction, db.changes, db.last_insert_rowid) == (True, 2, 2)
    assert db.transaction_state("main") == "write"
    assert db.data_version() is None
    db.last_insert_rowid = 77
    assert db.execute("SELECT last_insert_rowid()") == [(77,)]
    db.execute("ROLLBACK")


def test_whether_a_table_is_there_is_known_without_a_statement(conn: Any) -> None:
    db = attach(conn)
    conn.execute("CREATE TABLE t (a)")
    assert db.has_table("main", "t")
    assert db.has_table("main", "T")
    assert not db.has_table("main", "other")
    assert not db.has_table("temp", "t")
    assert not db.has_table("nowhere", "t")
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)  # no error is left behind


@pytest.mark.parametrize(
    ("name", "parts", "quoted"),
    [
        ("t", (None, "t"), '"t"'),
        ("main.t", ("main", "t"), '"main"."t"'),
        ('"a.b"', (None, "a.b"), '"a.b"'),
        ('"a""b".[c d]', ('a"b', "c d"), '"a""b"."c d"'),
        ("`x y`", (None, "x y"), '"x y"'),
        ("with space", (None, "with space"), '"with space"'),
        ("größe", (None, "größe"), '"größe"'),
    ],
)
def test_names_are_split_and_quoted(name: str, parts: Any, quoted: str) -> None:
    assert split_table(name) == parts
    assert quote_table(name) == quoted


@pytest.mark.parametrize("name", ["", "a.b.c", "a.", ".b"])
def test_what_is_no_table_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a table"):
        split_table(name)


def test_quoting_survives_quotes(db: Any) -> None:
    name = 'odd " name; --'
    db.execute(f"CREATE TABLE {quote(name)} (x)")
    assert db.execute("SELECT name FROM sqlite_master") == [(name,)]
