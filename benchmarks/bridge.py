"""How fast rows cross the bridge, against a plain table and json_each.

python -m benchmarks.bridge
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module, util
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Parameter, TableFunction, attach

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 100_000
CALLS = 2_000
ROUNDS = 9


def best(work: Callable[[], object]) -> float:
    """Least CPU time of several rounds, in seconds."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def connection(module: str) -> Any:
    """A connection with a plain table, and the same rows from a table function."""
    columns = (np.arange(ROWS), np.arange(ROWS) / 2, [f"node {i}" for i in range(ROWS)])
    ten = tuple(column[:10] for column in columns)
    conn = import_module(module).connect(":memory:")
    declared = ("i INTEGER", "r REAL", "t TEXT")
    text = Parameter("a", kind="text")
    attach(
        conn,
        [
            TableFunction("many", declared, (), lambda db: columns),
            TableFunction("ten", declared, (text, Parameter("b", 1)), lambda db, a, b: ten),
        ],
    )
    conn.execute("CREATE TABLE plain (i INTEGER, r REAL, t TEXT)")
    conn.executemany("INSERT INTO plain VALUES (?, ?, ?)", zip(*columns, strict=True))
    return conn


def measure(module: str) -> None:
    """Print the two ratios for one SQLite library."""
    conn = connection(module)

    def fetch(sql: str, *parameters: str) -> list[Any]:
        return conn.execute(sql, parameters).fetchall()

    def repeat(sql: str, parameter: str) -> None:
        for _ in range(CALLS):
            conn.execute(sql, (parameter,)).fetchall()

    plain = best(lambda: fetch("SELECT i, r, t FROM plain"))
    ours = best(lambda: fetch("SELECT i, r, t FROM many"))
    array = json.dumps(list(range(10)))
    each = best(lambda: repeat("SELECT key, value, type FROM json_each(?)", array))
    ten = best(lambda: repeat("SELECT i, r, t FROM ten(?)", "x"))
    print(
        f"{module}, SQLite {import_module(module).sqlite_version}, Python {sys.version.split()[0]}"
    )
    print(f"  {ROWS:,} rows of 3 columns: {ours / plain:.2f} x a plain table", end="")
    print(f" ({ours / ROWS * 1e9:.0f} and {plain / ROWS * 1e9:.0f} ns a row)")
    print(f"  a call that gives 10 rows: {ten / each:.2f} x json_each", end="")
    print(f" ({ten / CALLS * 1e6:.1f} and {each / CALLS * 1e6:.1f} us)")


if __name__ == "__main__":
    for name in ("sqlite3", "pysqlite3"):
        if util.find_spec(name):
            measure(name)
