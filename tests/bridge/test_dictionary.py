"""Columns of codes: distinct values of any type, numbered in order of first appearance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlite_utils_muninn.bridge import Dictionary, attach

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12),
    st.sampled_from([0, 0.0, -0.0, 1, 1.0, "1", b"1", "", b"", "a\0b", 2**53, float(2**53)]),
)


@pytest.fixture
def db(conn: Any) -> Any:
    return attach(conn)


@given(st.lists(st.tuples(VALUES, VALUES)))
def test_codes_stand_for_values(rows: list[tuple[Any, Any]]) -> None:
    import sqlite3

    conn = sqlite3.connect(":memory:")
    db = attach(conn)
    conn.execute("CREATE TABLE t (a, b)")
    conn.executemany("INSERT INTO t VALUES (?, ?)", rows)
    dictionary = Dictionary()
    codes = db.columns("SELECT a, b FROM t", (), ("code", "code"), dictionary=dictionary)
    expected: dict[Any, int] = {}
    for row in rows:
        for value in row:
            if value is not None:
                expected.setdefault(value, len(expected))
    assert len(dictionary) == len(expected)
    assert dictionary.take(np.arange(len(expected))) == list(expected)
    for column, array in enumerate(codes):
        wanted = [-1 if row[column] is None else expected[row[column]] for row in rows]
        assert array.dtype == np.int32
        assert array.tolist() == wanted
    for value, code in expected.items():
        assert dictionary.find(value) == code
    conn.close()


@given(st.lists(VALUES.filter(lambda value: value is not None), unique=True), st.randoms())
def test_some_values_are_kept_in_another_order(values: list[Any], chance: Any) -> None:
    import sqlite3

    conn = sqlite3.connect(":memory:")
    db = attach(conn)
    conn.execute("CREATE TABLE t (v)")
    conn.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
    every = Dictionary()
    db.columns("SELECT v FROM t", (), ("code",), dictionary=every)
    codes = chance.sample(range(len(every)), chance.randint(0, len(every)))
    kept = every.keep(codes)
    assert list(map(repr, kept.take(range(len(kept))))) == list(map(repr, every.take(codes)))
    assert all(kept.find(value) == code for code, value in enumerate(every.take(codes)))
    left_out = set(range(len(every))) - set(codes)
    assert all(kept.find(value) == -1 for value in every.take(left_out))
    # Codes that come later are new ones.
    db.columns("SELECT v FROM t", (), ("code",), dictionary=kept)
    assert len(kept) == len(every)
    # The checksum is that of the values, in whatever way they came here.
    other = Dictionary()
    db.columns("SELECT v FROM t", (), ("code",), dictionary=other)
    assert other.checksum == every.checksum == every.keep(range(len(every))).checksum
    if len(every) > 1:
        assert every.keep(range(len(every) - 1)).checksum != every.checksum
        assert every.keep(range(len(every) - 1, -1, -1)).checksum != every.checksum
    conn.close()


@pytest.mark.parametrize(
    ("codes", "error"),
    [([0, 0], ValueError), ([2], IndexError), ([-1], IndexError), (["a"], TypeError)],
)
def test_codes_that_cannot_be_kept(db: Any, codes: Any, error: Any) -> None:
    dictionary = Dictionary()
    db.columns("VALUES (1), ('a')", (), ("code",), dictionary=dictionary)
    with pytest.raises(error):
        dictionary.keep(codes)
    assert len(dictionary) == 2


def test_types_are_kept_as_stored(db: Any) -> None:
    dictionary = Dictionary()
    db.columns("VALUES (1.0), (1), ('1'), (x'31')", (), ("code",), dictionary=dictionary)
    assert [repr(value) for value in dictionary.take([0, 1, 2])] == ["1.0", "'1'", "b'1'"]
    assert dictionary.find(1) == 0
    assert dictionary.find(2) == dictionary.find(None) == dictionary.find([]) == -1
    assert dictionary.take([-1]) == [None]
    with pytest.raises(IndexError, match="no value has the code 3"):
        dictionary.take([3])


def test_dictionaries_are_compared_by_value(db: Any) -> None:
    def filled(sql: str) -> Dictionary:
        dictionary = Dictionary()
        db.columns(sql, (), ("code",), dictionary=dictionary)
        return dictionary

    assert filled("VALUES ('a'), (1)").equals(filled("VALUES ('a'), (1), ('a')"))
    assert not filled("VALUES ('a'), (1)").equals(filled("VALUES ('a'), (1.0)"))
    assert not filled("VALUES ('a'), ('b')").equals(filled("VALUES ('ab')"))


def test_a_column_of_codes_needs_a_dictionary(db: Any) -> None:
    with pytest.raises(ValueError, match="needs a dictionary"):
        db.columns("SELECT 1", (), ("code",))
    with pytest.raises(TypeError, match="codes need a Dictionary"):
        db.columns("SELECT 1", (), ("code",), dictionary={})


def test_each_column_of_codes_may_have_its_own_dictionary(db: Any) -> None:
    ids, types = Dictionary(), Dictionary()
    given = (ids, types, ids)
    sql = "SELECT * FROM (VALUES (7, 'a', 8), (8, 'b', 9), (7, 'a', NULL))"
    columns = db.columns(sql, (), ("code", "code", "code"), dictionary=given)
    assert [column.tolist() for column in columns] == [[0, 1, 0], [0, 1, 0], [1, 2, -1]]
    assert ids.take([0, 1, 2]) == [7, 8, 9]
    assert types.take([0, 1]) == ["a", "b"]
    with pytest.raises(ValueError, match="needs a dictionary"):
        db.columns(sql, (), ("code", "code", "code"), dictionary=(ids, types))
    db.columns(sql, (), ("code", "code", "code"), dictionary=given)  # ready again


def test_columns_stay_within_their_limit(db: Any) -> None:
    sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100000) SELECT n, n"
    with pytest.raises(MemoryError, match="more than 100000 bytes after"):
        db.columns(sql + " FROM c", (), ("code", "real"), dictionary=Dictionary(), limit=100_000)
    assert len(db.columns(sql + " FROM c", (), ("integer", "real"), limit=10**7)[0]) == 100_000
