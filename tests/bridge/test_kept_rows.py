"""Rows that answer what a join asks next: the same as if each had been asked for, and never old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Module, Plan, Query, Rows, VirtualTable, attach, quote

if TYPE_CHECKING:
    from collections.abc import Callable


class Products(VirtualTable):
    """`factor = f` gives each row of the table `numbers` its value, times f."""

    schema = "CREATE TABLE x(product, note, factor HIDDEN)"
    columns = ("product", "note", "factor")
    hidden = ("factor",)
    plans = (
        Plan("one", ("factor =", "rowid ="), cost=10, rows=1),
        Plan("all", ("factor =",), cost=1e6),
    )
    asked: list[Any]
    noted: list[int]

    def __init__(self, db: Any, schema: str, name: str, arguments: list[str]) -> None:
        self.db, self.schema_name, self.descends = db, schema, "descends" in arguments
        self.keeps = "unkept" not in arguments

    def filter(self, query: Query) -> Rows:
        rowid, factor = query.constraints.get("rowid ="), query.constraints["factor ="]
        self.asked.append((rowid, factor))
        rows = self.db.execute(
            f"SELECT id, value FROM {quote(self.schema_name)}.numbers "
            f"ORDER BY id {'DESC' if self.descends else ''}"
        )
        if rowid is not None and (not self.keeps or type(rowid) is not int):
            rows = [row for row in rows if row[0] == rowid]
        times = float(factor or 0) if not isinstance(factor, bytes) else len(factor)
        columns = [
            np.array([value * times for _, value in rows]),
            self._note if self.keeps else [f"note {i}" for i, _ in rows],
            None,
        ]
        schema = self.schema_name if self.keeps and type(rowid) is int else None
        return Rows(columns, np.array([i for i, _ in rows], np.int64), kept_for=schema)

    def _note(self, rowid: int) -> str:
        if rowid == 13:
            raise ValueError("row 13 has no note")
        self.noted.append(rowid)
        return f"note {rowid}"


def put(conn: Any, *arguments: str) -> Any:
    conn.isolation_level = None
    table = type("Products", (Products,), {"asked": [], "noted": []})
    attach(conn, [Module("products", table, table, table)])
    conn.execute("CREATE TABLE numbers(id INTEGER PRIMARY KEY, value)")
    conn.executemany("INSERT INTO numbers VALUES (?, ?)", ((i, i * i) for i in range(0, 100, 2)))
    conn.execute(f"CREATE VIRTUAL TABLE p USING products({', '.join(arguments)})")
    conn.execute("CREATE TABLE wanted(id)")
    conn.executemany("INSERT INTO wanted VALUES (?)", ((i,) for i in (4, 5, 98, 4, 0, -1, 100, 42)))
    return table


@pytest.fixture
def table(conn: Any) -> Any:
    return put(conn)


JOIN = "SELECT p.rowid, product FROM wanted w CROSS JOIN p ON p.rowid = w.id WHERE factor = ?"
FOUND = [(4, 16.0), (98, 9604.0), (4, 16.0), (0, 0.0), (42, 1764.0)]


def test_a_join_asks_once(conn: Any, table: Any) -> None:
    assert conn.execute(JOIN, (1,)).fetchall() == FOUND
    assert table.asked == [(4, 1)]
    assert conn.execute(JOIN, (2,)).fetchall() == [(i, 2 * n) for i, n in FOUND]
    assert table.asked == [(4, 1), (4, 2)]  # another statement asks for itself
    left = JOIN.replace("CROSS JOIN", "LEFT JOIN").replace("WHERE", "AND")
    rows = [product for _, product in conn.execute(left, (1,))]
    assert rows == [16.0, None, 9604.0, 16.0, 0.0, None, None, 1764.0]
    assert conn.execute("SELECT product FROM p WHERE rowid = 6 AND factor = 1").fetchone() == (36,)
    assert conn.execute("SELECT product FROM p WHERE rowid = 7 AND factor = 1").fetchone() is None


def test_columns_are_made_for_the_rows_that_are_read(conn: Any, table: Any) -> None:
    sql = JOIN.replace("product", "note")
    assert conn.execute(sql, (1,)).fetchall() == [(i, f"note {i}") for i, _ in FOUND]
    assert table.noted == [i for i, _ in FOUND]
    assert len(table.asked) == 1


def test_a_column_that_fails_fails_the_statement(conn: Any, table: Any, sqlite: Any) -> None:
    conn.execute("INSERT INTO numbers VALUES (13, 1)")
    conn.execute("INSERT INTO wanted VALUES (13)")
    with pytest.raises(sqlite.OperationalError, match="row 13 has no note"):
        conn.execute(JOIN.replace("product", "note"), (1,)).fetchall()
    assert len(conn.execute(JOIN, (1,)).fetchall()) == 6


@pytest.mark.parametrize("factor", [2, 2.0, "2", b"12", "", b"", 2**60])
def test_whatever_else_is_asked_must_be_the_same(
    connect: Callable[..., Any], table: Any, conn: Any, factor: Any
) -> None:
    """Each row of `factors` asks for others: what answered the one before is not its answer."""
    plain = connect()
    other = put(plain, "unkept")
    sql = (
        "SELECT f.n, w.id, product FROM factors f CROSS JOIN wanted w CROSS JOIN p "
        "ON p.rowid = w.id AND p.factor = f.n"
    )
    for each in (conn, plain):
        each.execute("CREATE TABLE factors(n)")
        values = (factor, factor, None, 3, 3.0, "3", b"3", "22", 2**60 + 1)
        each.executemany("INSERT INTO factors VALUES (?)", ((value,) for value in values))
    expected = plain.execute(sql).fetchall()
    assert conn.execute(sql).fetchall() == expected
    assert len(other.asked) == 9 * 8
    # NULL may be a pointer in disguise, and is asked about each time.
    assert len(table.asked) == 7 + 8


def test_rowids_of_other_types_are_asked_for(conn: Any, table: Any) -> None:
    conn.execute("DELETE FROM wanted")
    values = (4, "4", 6.0, 7.5, None, "x", b"8", 8, 2**62)
    conn.executemany("INSERT INTO wanted VALUES (?)", ((value,) for value in values))
    assert [row[0] for row in conn.execute(JOIN, (1,))] == [4, 6, 8]
    assert [rowid for rowid, _ in table.asked] == [4, "4", 6.0, 7.5, None, "x", b"8", 8]


def test_what_the_connection_writes_meanwhile_is_seen(conn: Any, table: Any) -> None:
    for begin, end in (("", ""), ("BEGIN", "COMMIT"), ("BEGIN", "ROLLBACK"), ("SAVEPOINT s", "")):
        conn.execute("UPDATE numbers SET value = id * id")
        if begin:
            conn.execute(begin)
        rows = conn.execute(JOIN, (1,))
        assert next(rows) == (4, 16)
        conn.execute("UPDATE numbers SET value = -1 WHERE id = 42")
        conn.execute("DELETE FROM numbers WHERE id = 0")
        assert rows.fetchall() == [(98, 9604), (4, 16), (42, -1)]
        if begin:
            conn.execute(end or "ROLLBACK")
        conn.execute("INSERT OR IGNORE INTO numbers VALUES (0, 0)")


def test_what_was_written_before_is_seen_and_taken_back(conn: Any, table: Any) -> None:
    conn.execute("BEGIN")
    assert conn.execute(JOIN, (1,)).fetchall() == FOUND
    conn.execute("UPDATE numbers SET value = 7 WHERE id = 4")
    changed = [(i, 7.0 if i == 4 else n) for i, n in FOUND]
    assert conn.execute(JOIN, (1,)).fetchall() == changed
    conn.execute("ROLLBACK")
    assert conn.execute(JOIN, (1,)).fetchall() == FOUND


def test_what_others_write_meanwhile_is_not_seen_and_then_is(
    connect: Callable[..., Any], tmp_path: Any
) -> None:
    conn, other = connect(tmp_path / "x.db"), connect(tmp_path / "x.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode = WAL")
    put(conn)
    rows = conn.execute(JOIN, (1,))
    assert next(rows) == (4, 16)
    other.execute("UPDATE numbers SET value = -1")
    assert rows.fetchall() == FOUND[1:]
    assert conn.execute(JOIN, (1,)).fetchall() == [(i, -1.0) for i, _ in FOUND]


def test_rows_of_an_attached_file_are_kept_for_that(
    connect: Callable[..., Any], tmp_path: Any
) -> None:
    made = connect(tmp_path / "x.db")
    put(made)
    made.close()
    conn = connect()
    table = put(conn)
    conn.execute("ATTACH ? AS other", (str(tmp_path / "x.db"),))
    rows = conn.execute(JOIN.replace("JOIN p", "JOIN other.p"), (1,))
    assert next(rows) == (4, 16)
    conn.execute("UPDATE other.numbers SET value = -1 WHERE id = 42")
    assert rows.fetchall() == [*FOUND[1:-1], (42, -1.0)]
    assert len(table.asked) == 2  # once before that, once after


def test_rows_out_of_order_are_an_error(connect: Callable[..., Any], sqlite: Any) -> None:
    conn = connect()
    put(conn, "descends")
    with pytest.raises(sqlite.OperationalError, match="in the order of their rowids"):
        conn.execute(JOIN, (1,)).fetchall()


def test_rows_are_kept_only_where_one_is_asked_for(conn: Any, sqlite: Any) -> None:
    class Wrong(Products):
        asked: ClassVar[list[Any]] = []

        def filter(self, query: Query) -> Rows:
            rows = super().filter(query)
            rows.kept_for = "main"
            return rows

    put(conn)
    attach(conn, [Module("wrong", Wrong, Wrong, Wrong)])
    conn.execute("CREATE VIRTUAL TABLE w USING wrong()")
    with pytest.raises(sqlite.OperationalError, match="where one rowid is asked for"):
        conn.execute("SELECT product FROM w WHERE factor = 1").fetchall()
