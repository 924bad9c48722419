"""Windows of time against SQLite's own comparisons."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sqlite_utils_muninn.bridge import Dictionary, find
from sqlite_utils_muninn.graph.edge_table import affinity_of
from sqlite_utils_muninn.search.times import times_of

VALUES = [None, 1, 2.5, 10, -3, "1", "10", "9", "2020-01-01", "", "é", b"1", b"", 2**60, 2**60 + 1]
BOUNDS = [None, 1, 2, 2.5, "1", "2.5", "2020", "z", b"1", "", -3, 2**60 + 1]
BOUNDS += [" 10", "1_0", "inf", "1e1", "+2."]


@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "TEXT", "NUMERIC", "BLOB", "DATETIME", ""])
def test_a_window_is_what_sql_says(conn: Any, declared: str) -> None:
    conn.execute(f"CREATE TABLE t (at {declared})")
    conn.executemany("INSERT INTO t VALUES (?)", [(value,) for value in VALUES])
    db = find(conn)
    assert db is not None
    seen = Dictionary()
    (codes,) = db.columns("SELECT at FROM t", (), ("code",), dictionary=seen)
    times = times_of(codes, seen.take(range(len(seen))), [affinity_of(declared)])
    for start, end in itertools.product(BOUNDS, BOUNDS):
        if start is end is None:
            continue
        given = [("at >= ?", start), ("at <= ?", end)]
        conditions = " AND ".join(sql for sql, bound in given if bound is not None)
        bounds = [bound for _, bound in given if bound is not None]
        wanted = [bool(row[0]) for row in conn.execute(f"SELECT {conditions} FROM t", bounds)]
        assert times.within([0, len(VALUES)], start, end).tolist() == wanted, (start, end)


def test_tables_without_times_are_of_all_times() -> None:
    import numpy as np

    times = times_of(np.array([0, 1, -1, -1]), ["2020", "2021"], ["TEXT", None])
    assert times.within([0, 3, 4], "2021", None).tolist() == [False, True, False, True]
