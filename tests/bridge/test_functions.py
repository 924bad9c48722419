"""Scalar functions: values, NULL, errors, pointers, safety."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Function, Parameter, Pointer, SQLError, attach


def put(conn: Any, call: Any, *parameters: Parameter, **options: Any) -> Any:
    return attach(conn, [Function("f", parameters, call, **options)])


@pytest.mark.parametrize(
    "value",
    [None, 0, -(2**63), 2**63 - 1, 1.5, math.inf, "", "größer 𝄞 \0 end", b"", b"\0\xff" * 100],
)
def test_values_go_through_unchanged(conn: Any, value: Any) -> None:
    put(conn, lambda db, x: x, Parameter("x"), null="pass")
    returned = conn.execute("SELECT f(?)", [value]).fetchone()[0]
    assert returned == value
    assert type(returned) is type(value)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (True, 1),
        (np.int64(7), 7),
        (np.uint8(200), 200),
        (np.float32(0.5), 0.5),
        (np.bool_(True), 1),
        (math.nan, None),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
    ],
)
def test_results_of_other_types_become_sqlite_values(conn: Any, result: Any, expected: Any) -> None:
    put(conn, lambda db: result)
    assert conn.execute("SELECT f()").fetchone()[0] == expected


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (object(), "a value of type <class 'object'> has no SQLite type"),
        (2**70, "an integer does not fit into SQLite's 64 bits"),
        ("\udc80", "surrogates not allowed"),
    ],
)
def test_results_that_sqlite_cannot_hold_are_errors(
    conn: Any, sqlite: Any, result: Any, message: str
) -> None:
    put(conn, lambda db: result)
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute("SELECT f()").fetchone()


def test_null_for_a_required_argument_gives_null_without_a_call(conn: Any) -> None:
    calls = []
    put(conn, lambda db, *a: calls.append(a) or 1, Parameter("a"), Parameter("b", 5))
    assert conn.execute("SELECT f(NULL), f(NULL, 1)").fetchone() == (None, None)
    assert calls == []


def test_null_for_an_optional_argument_is_its_default(conn: Any) -> None:
    put(conn, lambda db, a, b: b, Parameter("a"), Parameter("b", 5, "integer"))
    assert conn.execute("SELECT f(1), f(1, NULL), f(1, 2)").fetchone() == (5, 5, 2)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("text", b"abc", "f: argument 'x' must be text, got blob of 3 bytes"),
        ("integer", "many", "f: argument 'x' must be an integer, got text 'many'"),
        ("integer", 1.5, "f: argument 'x' must be an integer, got real 1.5"),
        ("integer", math.inf, "f: argument 'x' must be an integer, got real inf"),
        ("integer", "inf", "f: argument 'x' must be an integer, got text 'inf'"),
        ("real", b"", "f: argument 'x' must be a number, got blob of 0 bytes"),
        ("boolean", "perhaps", "f: argument 'x' must be 0 or 1, got text 'perhaps'"),
        ("blob", 3, "f: argument 'x' must be a blob, got integer 3"),
        ("pointer", "p", "f: argument 'x' must be the result of another function, got text 'p'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_it_was(
    conn: Any, sqlite: Any, kind: str, given: Any, message: str
) -> None:
    put(conn, lambda db, x: 1, Parameter("x", kind=kind))
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute("SELECT f(?)", [given]).fetchone()
    assert str(caught.value) == message


def test_a_large_integer_in_a_text_keeps_its_digits(conn: Any) -> None:
    put(conn, lambda db, x: x, Parameter("x", kind="integer"))
    texts = ("9007199254740993", " 7 ", "3.0", "1e3")
    assert conn.execute("SELECT f(?), f(?), f(?), f(?)", texts).fetchone() == (
        2**53 + 1,
        7,
        3,
        1000,
    )


def test_the_text_of_an_exception_is_the_text_of_the_error(conn: Any, sqlite: Any) -> None:
    def fail(db: Any) -> None:
        raise LookupError("no 'x' here: 100 %s sure")

    db = put(conn, fail)
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute("SELECT f()").fetchone()
    assert str(caught.value) == "no 'x' here: 100 %s sure"
    assert "in fail" in db.last_error


def test_an_error_can_choose_its_code(conn: Any, sqlite: Any) -> None:
    def fail(db: Any) -> None:
        raise SQLError("taken", 19)

    put(conn, fail)
    with pytest.raises(sqlite.IntegrityError, match="taken"):
        conn.execute("SELECT f()").fetchone()


def test_a_pointer_reaches_another_function_and_nobody_else(conn: Any) -> None:
    thing = object()
    attach(
        conn,
        [
            Function("make", (), lambda db: Pointer(thing)),
            Function("is_it", (Parameter("p", kind="pointer"),), lambda db, p: p is thing),
        ],
    )
    assert conn.execute("SELECT is_it(make()), make()").fetchone() == (1, None)


def test_json_results_are_json_to_sqlite(conn: Any) -> None:
    attach(conn, [Function("numbers", (), lambda db: "[1,2]", json=True)])
    assert conn.execute("SELECT json_array(numbers())").fetchone()[0] == "[[1,2]]"


def test_a_direct_only_function_is_refused_in_a_view(conn: Any, sqlite: Any) -> None:
    put(conn, lambda db: 1, safety="directonly")
    conn.execute("CREATE VIEW v AS SELECT f() AS x")
    with pytest.raises(sqlite.OperationalError, match="unsafe use of f"):
        conn.execute("SELECT * FROM v").fetchall()


def test_an_innocuous_function_works_in_an_untrusted_schema(conn: Any) -> None:
    put(conn, lambda db: 1, safety="innocuous", deterministic=True)
    conn.execute("CREATE VIEW v AS SELECT f() AS x")
    conn.execute("PRAGMA trusted_schema = 0")
    assert conn.execute("SELECT * FROM v").fetchall() == [(1,)]


def test_a_callback_can_query_the_connection_it_is_called_from(conn: Any) -> None:
    conn.execute("CREATE TABLE t (x)")
    conn.execute("INSERT INTO t VALUES (1), (2)")
    put(conn, lambda db: db.execute("SELECT sum(x) FROM t")[0][0])
    assert conn.execute("SELECT f() FROM t").fetchall() == [(3,), (3,)]


def test_writing_in_a_callback_opens_no_hidden_transaction(conn: Any) -> None:
    """The fault: conn.execute() in a callback makes sqlite3 begin inside the statement."""
    conn.execute("CREATE TABLE log (x)")
    conn.commit()
    put(conn, lambda db: db.execute("INSERT INTO log VALUES (1)") or 1)
    conn.execute("SELECT f()").fetchone()
    assert not conn.in_transaction
    assert conn.execute("SELECT count(*) FROM log").fetchone() == (1,)
