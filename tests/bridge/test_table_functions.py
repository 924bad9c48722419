"""Table functions: arguments, columns of every kind, order, limits, errors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import (
    MISSING,
    Function,
    Parameter,
    Pointer,
    Rows,
    TableFunction,
    attach,
)


def series(db: Any, start: Any, stop: Any, step: int) -> tuple[Any, ...]:
    numbers = np.arange(start, stop, step)
    return numbers, [f"n{n}" for n in numbers]


SERIES = TableFunction(
    "series",
    ("n INTEGER", "label TEXT"),
    (Parameter("start", kind="integer"), Parameter("stop", kind="integer"), Parameter("step", 1)),
    series,
    order=(("n", "ASC"),),
)


@pytest.fixture
def rows(conn: Any) -> Any:
    attach(conn, [SERIES])
    return lambda sql, *parameters: conn.execute(sql, parameters).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM series(1, 4)",
        "SELECT * FROM series(1, 4, 1)",
        "SELECT * FROM series(1, 4, NULL)",
        "SELECT * FROM series WHERE start = 1 AND stop = 4",
        "SELECT * FROM series WHERE stop = 4 AND step = 1 AND start = 1",
        "SELECT * FROM series(1) WHERE stop = 4",
    ],
)
def test_arguments_by_position_and_by_name(rows: Any, sql: str) -> None:
    assert rows(sql) == [(1, "n1"), (2, "n2"), (3, "n3")]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FROM series(1)", "series: missing required argument 'stop'"),
        ("SELECT * FROM series", "series: missing required argument 'start'"),
        ("SELECT * FROM series(1, 2, 3, 4)", r"too many arguments on series\(\) - max 3"),
        (
            "SELECT * FROM series('a', 2)",
            "series: argument 'start' must be an integer, got text 'a'",
        ),
        ("SELECT * FROM series(NULL, 2)", "argument 'start' must be an integer, got NULL"),
    ],
)
def test_wrong_arguments(rows: Any, sqlite: Any, sql: str, message: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=message):
        rows(sql)


def test_an_argument_from_another_table_waits_for_that_table(rows: Any) -> None:
    """The fault: taking a plan without the argument, which then seems to be missing."""
    sql = "SELECT b.n FROM series(0, b_start.n + 2) b, series(1, 3) b_start ORDER BY b_start.n, b.n"
    assert [n for (n,) in rows(sql)] == [0, 1, 2, 0, 1, 2, 3]


def test_in_on_an_argument_calls_once_for_each_value(rows: Any) -> None:
    sql = "SELECT n FROM series WHERE start IN (1, 5) AND stop = 7 ORDER BY n"
    assert [n for (n,) in rows(sql)] == [1, 2, 3, 4, 5, 5, 6, 6]


def test_a_real_table_of_the_same_name_wins(rows: Any) -> None:
    rows("CREATE TABLE series (x)")
    assert rows("SELECT * FROM series") == []


@pytest.mark.parametrize("one", ["1", "'1'", "x'31'", "1.5", "'a text that is longer'"])
def test_two_calls_joined_by_or_give_the_rows_of_both(conn: Any, one: str) -> None:
    """SQLite drops rows whose rowid it has seen: the second call's, if both count from 1."""

    def call(db: Any, first: Any, second: Any) -> Any:
        return ([str(first), str(second)],)

    parameters = (Parameter("first"), Parameter("second", "none"))
    attach(conn, [TableFunction("pair", ("x",), parameters, call)])
    sql = (
        f"SELECT x FROM pair WHERE (first = {one} AND second = 2) OR (first = 2 AND second = {one})"
    )
    value = str(conn.execute(f"SELECT {one}").fetchone()[0])
    assert sorted(conn.execute(sql).fetchall()) == sorted([(value,), ("2",)] * 2)
    # A row that both sides ask for is there once, as of any table.
    same = f"SELECT x FROM pair WHERE (first = {one} AND x > '') OR (first = {one} AND x = 'none')"
    assert sorted(conn.execute(same).fetchall()) == sorted([(value,), ("none",)])
    # Numbers that a reader of JSON can hold, the same each time.
    rowids = f"SELECT rowid FROM pair WHERE first = {one}"
    assert conn.execute(rowids).fetchall() == conn.execute(rowids).fetchall()
    assert all(0 < rowid < 2**53 for (rowid,) in conn.execute(rowids))


def test_rowids_count_from_one_or_are_given(conn: Any) -> None:
    given = Rows(([10, 20],), rowids=np.array([7, 9]))
    attach(
        conn,
        [
            TableFunction("plain", ("x",), (), lambda db: ([1, 2],)),
            TableFunction("numbered", ("x",), (), lambda db: given),
        ],
    )
    assert conn.execute("SELECT rowid FROM plain").fetchall() == [(1,), (2,)]
    assert conn.execute("SELECT rowid, x FROM numbered").fetchall() == [(7, 10), (9, 20)]


MATRIX = np.arange(12, dtype=np.int32).reshape(3, 4)
RECORDS = np.array([(1, 2.5), (2, 3.5)], dtype=[("a", "u1"), ("b", "<f8")])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (np.array([1, -2], np.int8), [1, -2]),
        (np.array([1, -2], np.int16), [1, -2]),
        (np.array([1, -2], np.int32), [1, -2]),
        (np.array([2**62], np.int64), [2**62]),
        (np.array([255], np.uint8), [255]),
        (np.array([65535], np.uint16), [65535]),
        (np.array([2**32 - 1], np.uint32), [2**32 - 1]),
        (np.array([2**63 - 1], np.uint64), [2**63 - 1]),
        (np.array([0.5, np.nan], np.float32), [0.5, None]),
        (np.array([0.1, np.inf]), [0.1, np.inf]),
        (np.array([True, False]), [1, 0]),
        (MATRIX[:, 1], [1, 5, 9]),
        (MATRIX[::-1, 3], [11, 7, 3]),
        (RECORDS["b"], [2.5, 3.5]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array(["a", None], object), ["a", None]),
        (np.array([], np.float64), []),
        (np.arange(4, dtype=np.float32).reshape(2, 2), [b"\0\0\0\0\0\0\x80?", b"\0\0\0@\0\0@@"]),
        ((None, 1, 2.5, "x", b"y", True), [None, 1, 2.5, "x", b"y", 1]),
        ([np.int16(3), np.float64(0.5), bytearray(b"z")], [3, 0.5, b"z"]),
        (range(3), [0, 1, 2]),
    ],
    ids=str,
)
def test_columns_of_every_kind(conn: Any, column: Any, expected: list[Any]) -> None:
    attach(conn, [TableFunction("f", ("x",), (), lambda db: (column,))])
    assert [x for (x,) in conn.execute("SELECT x FROM f")] == expected


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (([1], [1, 2]), "columns of different length"),
        (([1],), "1 columns where 2 are declared"),
        (([object()], [1]), "has no SQLite type"),
        (([2**70], [1]), "does not fit"),
        ((["\ud800"], [1]), "surrogates not allowed"),
        ((np.array([2**64 - 1], np.uint64), [1]), "does not fit"),
        ((object(), [1]), "not iterable"),
        ((5, None), "one column at least, or rowids, must be there at once"),
        ((2**70, [1]), "does not fit"),
        ((np.array(5), [1]), "has no SQLite type|not iterable"),
        (Rows(([1], [2]), rowids=1), "0 rowids for 1 rows"),
        (7, "not iterable"),
        (iter([7]), "rows must be a tuple of columns or Rows, not <class 'int'>"),
        (Rows(([1], [2]), rowids=[1, 2]), "2 rowids for 1 rows"),
    ],
    ids=str,
)
def test_wrong_answers_are_errors(conn: Any, sqlite: Any, answer: Any, message: str) -> None:
    attach(conn, [TableFunction("f", ("a", "b"), (), lambda db: answer)])
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute("SELECT * FROM f").fetchall()


@pytest.mark.parametrize("value", [None, 0, -(2**63), 1.5, float("inf"), True, np.float64(0.5)])
def test_a_number_instead_of_a_column_stands_in_every_row(conn: Any, value: Any) -> None:
    attach(conn, [TableFunction("f", ("a", "b", "c"), (), lambda db: (value, [1, 2], value))])
    assert conn.execute("SELECT a, b, c FROM f").fetchall() == [
        (value, 1, value),
        (value, 2, value),
    ]
    empty = Rows((value, [], value))
    attach(conn, [TableFunction("g", ("a", "b", "c"), (), lambda db: empty)])
    assert conn.execute("SELECT * FROM g").fetchall() == []


def test_batches_are_streamed_as_they_are_wanted(conn: Any) -> None:
    made = []

    def batches(db: Any) -> Any:
        for start in range(0, 100, 10):
            made.append(start)
            yield ([],)
            yield (np.arange(start, start + 10),)

    attach(conn, [TableFunction("f", ("x",), (), batches)])
    assert conn.execute("SELECT x, rowid FROM f LIMIT 12").fetchall()[-1] == (11, 12)
    assert made == [0, 10]
    assert conn.execute("SELECT count(*), sum(x), max(rowid) FROM f").fetchone() == (100, 4950, 100)


def test_an_error_between_batches_ends_the_statement(conn: Any, sqlite: Any) -> None:
    def batches(db: Any) -> Any:
        yield ([1, 2],)
        raise RuntimeError("the second batch is lost")

    attach(conn, [TableFunction("f", ("x",), (), batches)])
    with pytest.raises(sqlite.OperationalError, match="the second batch is lost"):
        conn.execute("SELECT * FROM f").fetchall()


def plan_of(conn: Any, sql: str) -> str:
    return " / ".join(row[3] for row in conn.execute("EXPLAIN QUERY PLAN " + sql))


@pytest.mark.parametrize(
    ("order", "sorts"),
    [("n", False), ("n ASC", False), ("n DESC", True), ("label", True), ("n, label", True)],
)
def test_the_natural_order_is_not_sorted_again(conn: Any, order: str, sorts: bool) -> None:
    attach(conn, [SERIES])
    sql = f"SELECT * FROM series(0, 9) ORDER BY {order}"
    assert ("TEMP B-TREE" in plan_of(conn, sql)) == sorts
    assert len(conn.execute(sql).fetchall()) == 9


def test_limit_is_told_only_where_no_more_rows_can_be_wanted(conn: Any) -> None:
    """The fault: a limit that is applied before a filter or a sort loses rows."""
    told = []

    def numbers(db: Any, n: int, *, limit: int | None, used: int) -> Any:
        told.append(limit)
        return (np.arange(n if limit is None else min(n, limit)),)

    order = (("x", "ASC"),)
    n = Parameter("n", kind="integer")
    attach(conn, [TableFunction("f", ("x",), (n,), numbers, order=order, pushdown=True)])

    def run(rest: str) -> list[int]:
        return [x for (x,) in conn.execute(f"SELECT x FROM f(50) {rest}")]

    assert run("LIMIT 3 OFFSET 2") == [2, 3, 4]
    assert told.pop() == 5
    assert run("ORDER BY x LIMIT 3") == [0, 1, 2]
    assert told.pop() == 3
    assert run("LIMIT -1") == list(range(50))
    assert told.pop() is None
    for rest in ("WHERE x % 10 = 0 LIMIT 3", "WHERE x > 40 LIMIT 3", "ORDER BY x DESC LIMIT 3"):
        assert len(run(rest)) == 3
        assert told.pop() is None, rest
    assert conn.execute("SELECT count(*) FROM f(9), f(7) LIMIT 1").fetchone() == (63,)
    assert set(told) == {None}


def test_used_columns_are_told(conn: Any) -> None:
    told = []

    def two(db: Any, *, limit: int | None, used: int) -> Any:
        told.append(used)
        return [1], [2]

    attach(conn, [TableFunction("f", ("a", "b"), (), two, pushdown=True)])
    conn.execute("SELECT b FROM f").fetchall()
    conn.execute("SELECT count(*) FROM f").fetchall()
    assert told == [2, 0]


def test_missing_arguments_are_not_null(conn: Any) -> None:
    seen = []
    parameter = Parameter("x", MISSING)
    attach(conn, [TableFunction("f", ("y",), (parameter,), lambda db, x: seen.append(x) or ([],))])
    conn.execute("SELECT * FROM f").fetchall()
    assert seen == [MISSING]


def test_text_outlives_the_batch_it_came_from(conn: Any) -> None:
    """The fault: static text in an aggregate points into a freed batch (bridge: copies)."""

    def batches(db: Any) -> Any:
        for i in range(50):
            yield ([f"text number {i} " + "x" * 5000],)

    attach(conn, [TableFunction("f", ("x",), (), batches)])
    found = conn.execute("SELECT max(x), min(x), group_concat(substr(x, 1, 14)) FROM f").fetchone()
    assert found[0].startswith("text number 9 ")
    assert found[1].startswith("text number 0 ")
    assert found[2].count("text number") == 50


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT n, start, stop FROM series(1, 4)",
        "SELECT n, start, stop FROM series(1, 4) WHERE start = 1",
        "SELECT n, start, stop FROM series WHERE start = 1 AND stop = 4 AND stop = 4",
        "SELECT n, start, stop FROM series(1, 4) WHERE "
        + " AND ".join(f"n <> {-i}" for i in range(20)),
    ],
)
def test_arguments_can_be_read_back(rows: Any, sql: str) -> None:
    """The fault: SQLite compares them again, finds NULL, and no row is left."""
    assert rows(sql) == [(1, 1, 4), (2, 1, 4), (3, 1, 4)]


def test_arguments_that_cannot_be_read_back_are_null(conn: Any) -> None:
    parameters = (Parameter("p"), Parameter("q", 5))
    one = TableFunction("f", ("x",), parameters, lambda *arguments: ([1],))
    attach(conn, [one, Function("make", (), lambda db: Pointer(object()))])
    assert conn.execute("SELECT x, p, q FROM f(make())").fetchall() == [(1, None, None)]


def test_a_named_tuple_is_a_tuple_of_columns(conn: Any) -> None:
    class Pair(NamedTuple):
        a: Any
        b: Any

    attach(conn, [TableFunction("f", ("a", "b"), (), lambda db: Pair([1, 2], np.arange(2)))])
    assert conn.execute("SELECT * FROM f").fetchall() == [(1, 0), (2, 1)]


def test_safety_in_views(conn: Any, sqlite: Any) -> None:
    def one(db: Any) -> Any:
        return ([1],)

    for safety in ("innocuous", "normal", "directonly"):
        attach(conn, [TableFunction(safety, ("x",), (), one, safety=safety)])
        conn.execute(f"CREATE VIEW v_{safety} AS SELECT x FROM {safety}")
    refused = []
    for trusted in (1, 0):
        conn.execute(f"PRAGMA trusted_schema = {trusted}")
        for safety in ("innocuous", "normal", "directonly"):
            try:
                assert conn.execute(f"SELECT x FROM v_{safety}").fetchall() == [(1,)]
            except sqlite.OperationalError as error:
                refused.append((trusted, str(error)))
    unsafe = 'unsafe use of virtual table "{}"'.format
    assert refused == [
        (1, unsafe("directonly")),
        (0, unsafe("normal")),
        (0, unsafe("directonly")),
    ]


def later(column: Any) -> TableFunction:
    """A function of two batches of two rows whose second column is made when it is read."""

    def batches(db: Any) -> Any:
        yield Rows(([1, 2], column))
        yield Rows(([3, 4], column))

    return TableFunction("late", ("n INTEGER", "word TEXT"), (), batches)


def test_a_column_that_nobody_reads_is_not_made(conn: Any) -> None:
    """A search would read each vector of a large table only because MATCH names its column."""
    made: list[int] = []
    attach(conn, [later(lambda: made.append(1) or ["a", "b"])])  # type: ignore[func-returns-value]
    assert conn.execute("SELECT sum(n) FROM late").fetchone() == (10,)
    assert made == []
    wanted = "SELECT n, word FROM late WHERE n > 2"
    assert conn.execute(wanted).fetchall() == [(3, "a"), (4, "b")]
    assert made == [1]
    assert conn.execute("SELECT word, word FROM late").fetchall()[3] == ("b", "b")
    assert made == [1] * 3


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (lambda: 1 / 0, "division by zero"),
        (lambda: ["a"], "another length"),
        (lambda: list, "another length"),
        (lambda: [object(), 2], "has no SQLite type"),
    ],
)
def test_a_column_that_cannot_be_made_is_an_error(
    conn: Any, sqlite: Any, column: Any, message: str
) -> None:
    attach(conn, [later(column)])
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute("SELECT word FROM late").fetchall()
    assert conn.execute("SELECT count(n) FROM late").fetchone() == (4,)


def test_one_column_says_how_many_rows_there_are(conn: Any, sqlite: Any) -> None:
    attach(conn, [TableFunction("unsized", ("word",), (), lambda db: Rows((list,)))])
    with pytest.raises(sqlite.OperationalError, match="one column at least"):
        conn.execute("SELECT * FROM unsized").fetchall()
    sized = Rows((lambda: ["a", "b"],), rowids=[5, 3])
    attach(conn, [TableFunction("sized", ("word",), (), lambda db: sized)])
    assert conn.execute("SELECT rowid, word FROM sized").fetchall() == [(5, "a"), (3, "b")]
