"""Callbacks that turn on what called them, and errors at moments when nobody waits for one."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import (
    Dictionary,
    Function,
    Module,
    Parameter,
    Plan,
    Query,
    Rows,
    SQLError,
    TableFunction,
    VirtualTable,
    attach,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SERIES = TableFunction(
    "series", ("n INTEGER",), (Parameter("count"),), lambda db, count: (np.arange(count),)
)


class Odd(VirtualTable):
    """A table without rows, whose methods run what the test hands over."""

    schema = "CREATE TABLE x(a)"
    columns = ("a",)
    plans = (Plan("scan"),)
    doings: dict[str, Callable[[Any], None]]

    def __init__(self, db: Any) -> None:
        self.db = db
        self.run("connect")

    @classmethod
    def create(cls, db: Any, schema: str, name: str, arguments: list[str]) -> Odd:
        return cls(db)

    def run(self, moment: str) -> None:
        self.doings.get(moment, lambda db: None)(self.db)

    def filter(self, query: Query) -> Rows:
        self.run("filter")
        return Rows(([],))

    def insert(self, rowid: int | None, values: Any, conflict: str) -> int:
        self.run("insert")
        return 1

    def rename(self, name: str) -> None:
        self.run("rename")

    def destroy(self) -> None:
        self.run("destroy")

    def disconnect(self) -> None:
        self.run("disconnect")


def odd_table(conn: Any, kind: type[Odd] = Odd, **doings: Callable[[Any], None]) -> Any:
    conn.isolation_level = None
    named = type("Named", (kind,), {"doings": doings})
    db = attach(conn, [SERIES, Module("odd", named, named.create, named.create)])
    conn.execute("CREATE VIRTUAL TABLE t USING odd")
    return db


DROP_IN = """
import importlib, sys
from tests.bridge.test_reentry import odd_table
sqlite = importlib.import_module(sys.argv[1])
conn = sqlite.connect(":memory:")
drop = lambda db: db.execute("DROP TABLE t")
odd_table(conn, **{sys.argv[2]: drop})
try:
    conn.execute(sys.argv[3])
except sqlite.OperationalError as error:
    print("error:", error)
print(conn.execute("SELECT count(*) FROM sqlite_master").fetchone())
"""


@pytest.mark.parametrize(
    ("moment", "sql"),
    [
        ("insert", "INSERT INTO t VALUES (1)"),
        ("filter", "SELECT * FROM t"),
        ("rename", "ALTER TABLE t RENAME TO u"),
        ("destroy", "DROP TABLE t"),
    ],
)
def test_a_table_cannot_be_dropped_by_its_own_callback(sqlite: Any, moment: str, sql: str) -> None:
    """The fault: SQLite destroys the table, and its callback returns into freed memory."""
    done = subprocess.run(
        [sys.executable, "-c", DROP_IN, sqlite.__name__, moment, sql],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "error:" in done.stdout
    assert done.stdout.endswith("(1,)\n")


def test_an_error_on_its_way_survives_the_end_of_its_connection(sqlite: Any) -> None:
    """The fault: disconnect() runs while an exception is set, and both are lost."""
    told = []

    def fresh() -> Any:
        conn = sqlite.connect(":memory:")
        odd_table(conn, disconnect=lambda db: told.append("disconnect"))
        return conn

    with pytest.raises(sqlite.OperationalError, match='near "SELEC": syntax error'):
        fresh().execute("SELEC")
    gc.collect()  # some of Python's sqlite3 connections are cycles
    assert told == ["disconnect"]


def test_a_statement_on_our_own_table_does_not_keep_the_connection_open(sqlite: Any) -> None:
    """The fault: the kept statement holds the table whose end would let it go."""
    conn = sqlite.connect(":memory:")
    total = "SELECT sum(n) FROM series(10)"
    db = attach(conn, [SERIES, Function("total", (), lambda db: db.execute(total)[0][0])])
    assert conn.execute("SELECT total(), total()").fetchone() == (45, 45)
    conn.close()
    assert db.closed


def test_a_file_is_let_go_when_its_connection_closes(sqlite: Any, tmp_path: Any) -> None:
    conn = sqlite.connect(tmp_path / "t.db")
    db = odd_table(conn, insert=lambda db: db.execute("SELECT * FROM t"))
    conn.execute("INSERT INTO t VALUES (1)")
    conn.close()
    assert db.closed


def test_two_statements_are_refused_the_second_time_too(conn: Any) -> None:
    """The fault: the first of the two is kept under the text of both."""
    db = odd_table(conn)
    for _ in range(2):
        with pytest.raises(SQLError, match="exactly one statement is needed"):
            db.execute("SELECT 1; SELECT 2")


def test_a_statement_with_a_nul_is_refused(conn: Any) -> None:
    """The fault: what follows the NUL is silently left out."""
    db = attach(conn)
    with pytest.raises(ValueError, match="null character"):
        db.execute("SELECT 1 \0 WHERE 0")


def test_a_kept_statement_sees_new_columns(conn: Any) -> None:
    """The fault: the width of a statement that SQLite prepares anew is the old one."""
    db = attach(conn, [SERIES])
    conn.execute("SELECT * FROM series(1)").fetchall()
    db.execute("CREATE TABLE plain (a)")
    db.execute("INSERT INTO plain VALUES (1)")
    assert db.execute("SELECT * FROM plain") == [(1,)]
    kinds = ("integer",)
    assert [c.tolist() for c in db.columns("SELECT * FROM plain", (), kinds)] == [[1]]
    conn.execute("ALTER TABLE plain ADD COLUMN b DEFAULT 2")
    with pytest.raises(ValueError, match="1 kinds for 2 columns"):
        db.columns("SELECT * FROM plain", (), kinds)
    conn.execute("ALTER TABLE plain ADD COLUMN c DEFAULT 3")
    assert len(db.columns("SELECT * FROM plain", (), kinds * 3)) == 3
    assert db.execute("SELECT * FROM plain") == [(1, 2, 3)]


def test_the_same_statement_within_itself(conn: Any) -> None:
    sql = "SELECT deeper(?)"

    def deeper(db: Any, depth: int) -> int:
        return int(db.execute(sql, (depth - 1,))[0][0]) + 1 if depth else 0

    db = odd_table(conn)
    attach(conn, [Function("deeper", (Parameter("depth"),), deeper)])
    assert [db.execute(sql, (n,)) for n in (5, 40, 5)] == [[(5,)], [(40,)], [(5,)]]


def test_a_dictionary_is_filled_by_one_statement_at_a_time(conn: Any, sqlite: Any) -> None:
    """The fault: two statements write its memory at once, without the GIL."""
    dictionary = Dictionary()

    def again(db: Any, x: int) -> int:
        db.columns("SELECT 'inner'", (), ("code",), dictionary=dictionary)
        return x

    db = attach(conn, [Function("again", (Parameter("x"),), again)])
    with pytest.raises(SQLError, match="the dictionary is being filled"):
        db.columns("SELECT again(1)", (), ("code",), dictionary=dictionary)
    assert len(dictionary) == 0
    db.columns("SELECT 'after'", (), ("code",), dictionary=dictionary)
    assert dictionary.take([0]) == ["after"]


@pytest.mark.parametrize(
    "rowids",
    [np.array([1.5, 2.5]), [1, "two"], np.array([1, 2**64 - 1], np.uint64), np.ones((2, 1), "f4")],
    ids=str,
)
def test_rowids_are_integers(conn: Any, sqlite: Any, rowids: Any) -> None:
    """The fault: other numbers are read as if they were 64-bit integers."""
    answer = Rows(([1, 2],), rowids=rowids)
    attach(conn, [TableFunction("f", ("x",), (), lambda db: answer)])
    with pytest.raises(sqlite.OperationalError, match="rowids must be integers"):
        conn.execute("SELECT rowid FROM f").fetchall()


@pytest.mark.parametrize("code", [100, 101, 256, 0, -1, 2**40, "x"])
def test_a_code_that_is_no_error_is_an_error_all_the_same(
    conn: Any, sqlite: Any, code: Any
) -> None:
    """The fault: SQLite takes 100 for a row, and the program dies."""

    def fail(db: Any) -> None:
        raise SQLError("wrong code", code)

    attach(conn, [Function("f", (), fail), TableFunction("rows", ("x",), (), fail)])
    for sql in ("SELECT f()", "SELECT * FROM rows"):
        with pytest.raises(sqlite.OperationalError, match="wrong code"):
            conn.execute(sql).fetchall()


class Partial(Odd):
    """A table with one of the transaction's methods."""

    def commit(self) -> None:
        self.run("commit")


def test_a_table_need_not_define_every_transaction_hook(conn: Any) -> None:
    told = []
    odd_table(conn, Partial, commit=lambda db: told.append("commit"))
    told.clear()  # the making of the table is a transaction too
    conn.execute("INSERT INTO t VALUES (1)")
    assert told == ["commit"]


def fail_late(db: Any) -> None:
    raise ValueError("too late")


def test_an_error_in_commit_is_reported_and_does_not_word_a_later_one(
    conn: Any, sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: SQLite cannot take the error, and keeps its text for another one."""
    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: reported.append(str(args.exc_value)))
    odd_table(conn, Partial, commit=fail_late)
    conn.execute("INSERT INTO t VALUES (1)")
    assert set(reported) == {"too late"}
    conn.execute("CREATE TABLE plain (x UNIQUE)")
    conn.execute("CREATE TRIGGER r AFTER INSERT ON plain BEGIN INSERT INTO t VALUES (1); END")
    conn.execute("INSERT INTO plain VALUES (1)")
    with pytest.raises(sqlite.IntegrityError, match="UNIQUE constraint failed"):
        conn.execute("INSERT INTO plain VALUES (2), (1)")


def test_a_module_cannot_be_replaced_while_it_makes_a_table(conn: Any, sqlite: Any) -> None:
    """The fault: SQLite frees the module that it is about to use."""

    def replace(db: Any) -> None:
        Module("odd", Odd, Odd.create, Odd.create).register(db)

    with pytest.raises(sqlite.OperationalError, match="while a table is being made"):
        odd_table(conn, connect=replace)


def test_a_module_that_was_replaced_still_serves_its_tables(conn: Any) -> None:
    """The fault: SQLite 3.40 frees the old module, then disconnects the table through it."""
    told = []
    odd_table(conn, disconnect=lambda db: told.append("old"))
    cursor = conn.execute("SELECT * FROM t, series(1)")
    odd_table_again = type("Named", (Odd,), {"doings": {}})
    attach(conn, [Module("odd", odd_table_again, odd_table_again.create, odd_table_again.create)])
    cursor.close()
    conn.close()
    assert told == ["old"]


def test_a_drop_that_fails_leaves_the_table_and_no_words_for_a_later_error(
    conn: Any, sqlite: Any
) -> None:
    db = odd_table(conn, destroy=fail_late)
    with pytest.raises(sqlite.OperationalError):
        conn.execute("DROP TABLE t")
    assert "too late" in db.last_error
    assert conn.execute("SELECT * FROM t").fetchall() == []
    conn.execute("CREATE TABLE plain (x UNIQUE)")
    conn.execute("CREATE TRIGGER r AFTER INSERT ON plain BEGIN INSERT INTO t VALUES (1); END")
    with pytest.raises(sqlite.IntegrityError, match="UNIQUE constraint failed"):
        conn.execute("INSERT INTO plain VALUES (1), (1)")


def test_rolling_back_to_a_savepoint_from_before_the_first_write(conn: Any) -> None:
    """The fault: a table without begin() is told of no savepoint."""
    told: list[str] = []

    class Marked(Odd):
        def savepoint(self, n: int) -> None:
            told.append(f"savepoint {n}")

        def rollback_to(self, n: int) -> None:
            told.append(f"rollback to {n}")

    odd_table(conn, Marked)
    conn.execute("BEGIN")
    conn.execute("SAVEPOINT s")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.execute("ROLLBACK TO s")
    conn.execute("COMMIT")
    assert (told[0], told[-1]) == ("savepoint 0", "rollback to 0")
