"""graph_adjacency: arrays in the file that are damaged are noticed, and not believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.adjacency_tables import CREATE, all_of, followed, rows_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def conn(connect: Any, path: Path) -> Any:
    return followed(connect(path))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE g_csr_fwd SET data = zeroblob(length(data)) WHERE name = 'edges'",
        "UPDATE g_csr_fwd SET data = substr(data, 2) WHERE name = 'targets'",
        "UPDATE g_csr_rev SET data = x'ffffff7f' || substr(data, 5) WHERE name = 'targets'",
        "UPDATE g_csr_fwd SET data = x'ffffffffffffff7f' || substr(data, 9) WHERE name = 'offsets'",
        "UPDATE g_csr_fwd SET data = 'text'",
        "DELETE FROM g_csr_rev",
        "DELETE FROM g_nodes WHERE idx = 1",
        "UPDATE g_nodes SET id = 'a'",
        "UPDATE g_config SET value = 2000000000 WHERE key LIKE '%count'",  # no memory has room
    ],
)
def test_damaged_arrays_are_not_believed(conn: Any, connect: Any, path: Path, damage: str) -> None:
    conn.execute(damage)
    other = connect(path)
    assert rows_of(other, "g") == rows_of(other, "e")


@pytest.mark.parametrize("examples", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_whatever_is_damaged_is_noticed(
    connect: Any, path: Path, sqlite: Any, full_reads: list[Any], examples: int
) -> None:
    """Any byte of the arrays, any id, any entry of the configuration."""
    conn = connect(path)
    conn.execute("CREATE TABLE e (s, t, w)")
    rows = [(f"n{i % 7}", f"n{i * i % 11}", 1 + i % 3) for i in range(30)]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
    conn.execute(CREATE)
    conn.execute("INSERT INTO e VALUES ('tail', 'n0', 1)")
    truth = all_of(conn, "e")
    cells = [
        (table, column, rowid)
        for table, columns in (
            ("g_csr_fwd", ("name", "data")),
            ("g_csr_rev", ("name", "data")),
            ("g_nodes", ("id",)),
            ("g_config", ("value",)),
        )
        for column in columns
        for (rowid,) in conn.execute(f"SELECT rowid FROM {table}").fetchall()
        if (table, rowid) not in untold(conn)
    ]
    hints = [
        ("g_config", "value", rowid)
        for (rowid,) in conn.execute("SELECT rowid FROM g_config WHERE key LIKE '%count'")
    ]

    @settings(max_examples=examples, deadline=None, database=None)
    @given(st.sampled_from(cells + hints), st.randoms(use_true_random=False))
    def holds(cell: Any, chance: Any) -> None:
        table, column, rowid = cell
        conn.execute("SAVEPOINT whole")
        place = f"{table} WHERE rowid = {rowid}"
        (old,) = conn.execute(f"SELECT {column} FROM {place}").fetchone()
        conn.execute(
            f"UPDATE {table} SET {column} = ? WHERE rowid = {rowid}", (other(old, chance),)
        )
        full_reads.clear()
        try:
            assert all_of(conn, "g") == truth
            assert full_reads or cell in hints
            conn.execute("INSERT INTO g(g) VALUES ('incremental_rebuild')")
            assert all_of(conn, "g") == truth
        finally:
            conn.execute("ROLLBACK TO whole")
            conn.execute("RELEASE whole")

    holds()


def untold(conn: Any) -> set[Any]:
    """What the arrays do not depend on: entries of the configuration that say how it is made."""
    keys = (
        "edge_table",
        "src_col",
        "dst_col",
        "weight_col",
        "generation",
        "node_count",
        "edge_count",
    )
    sql = f"SELECT rowid FROM g_config WHERE key IN ({', '.join('?' * len(keys))})"
    return {("g_config", rowid) for (rowid,) in conn.execute(sql, keys)}


def other(value: Any, chance: Any) -> Any:
    """Something else in the place of a value: one byte changed, a bit cut off, another kind."""
    kind = chance.randrange(4)
    if isinstance(value, bytes) and value and kind < 3:
        place = chance.randrange(len(value))
        changed = bytes([value[place] ^ 1 << chance.randrange(8)])
        return value[:place] + (changed if kind else b"") + value[place + 1 :]
    if isinstance(value, str) and kind < 2:
        return value + "x"
    if isinstance(value, int) and kind < 2:
        return value ^ 1 << chance.randrange(40)
    return chance.choice([None, b"", "nothing", -1, 0.5])
