"""Lost tables whenever and wherever: undone, seen by others, attached, with a graph, at random."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.vectors.options import SHADOW

from .conftest import sqlite_module
from .embedders import Words
from .lost_tables import (
    MADE,
    MATRIX,
    TEXTS,
    command,
    harm,
    is_exact,
    make,
)
from .test_damage import mutate

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Connect

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model() -> Words:
    return Words(dimensions=64, context=16)


def test_a_rebuild_can_be_undone(lose: Callable[..., Any], path: Path) -> None:
    conn = lose("index", "log", "config")
    conn.execute("BEGIN")
    assert command(conn, "rebuild") is None
    assert is_exact(conn, "l2")
    conn.execute("ROLLBACK")
    assert "v_config is missing" in str(command(conn, "integrity-check"))
    assert command(conn, "rebuild") is None
    assert command(conn, "integrity-check") is None
    assert is_exact(conn, "l2")


def test_who_has_the_file_open_sees_what_was_rebuilt(open_text: Connect, path: Path) -> None:
    """The fault: an index in memory goes on by a log that was made anew."""
    reader = open_text()
    make(reader, "index")
    assert is_exact(reader, "l2")
    harm(path, "DROP TABLE v_log")
    conn = open_text()
    assert command(conn, "rebuild") is None
    for i in range(40):  # past the place where the old log ended
        conn.execute("UPDATE v SET vector = ? WHERE rowid = ?", (MATRIX[0].tobytes(), 1 + i % 5))
        assert is_exact(reader, "l2")
    assert is_exact(conn, "l2")


def test_a_table_with_a_part_missing_is_renamed_and_mended(lose: Callable[..., Any]) -> None:
    conn = lose("own passages", "log", "passages")
    conn.execute("ALTER TABLE v RENAME TO w")
    conn.execute("INSERT INTO w(w) VALUES ('rebuild')")
    conn.execute("INSERT INTO w(w) VALUES ('integrity-check')")
    sql = "SELECT rowid FROM w WHERE content MATCH ? AND k = 1"
    assert conn.execute(sql, (TEXTS[12],)).fetchall() == [(12,)]


def test_pragma_integrity_check_says_it(lose: Callable[..., Any], sqlite: Any) -> None:
    conn = lose("index", "rows", "log")
    rows = [row[0] for row in conn.execute("PRAGMA integrity_check")]
    said = (
        "v_rows is missing: 'rebuild' makes it anew, without the values of year; "
        "v_log is missing: 'rebuild' makes it anew"
    )
    # SQLite asks virtual tables since 3.44.
    assert rows == [said if sqlite.sqlite_version_info >= (3, 44) else "ok"]


def test_tables_of_an_attached_file_are_mended(
    lose: Callable[..., Any], connect: Connect, path: Path
) -> None:
    """The fault: they are made in the main database."""
    lose("index", "log", "config", "rows", "edges").close()
    conn = connect()
    conn.execute("ATTACH ? AS other", (str(path),))
    conn.execute("INSERT INTO other.v(v) VALUES ('rebuild')")
    conn.execute("INSERT INTO other.v(v) VALUES ('integrity-check')")
    assert conn.execute("SELECT * FROM main.sqlite_master").fetchall() == []
    assert is_exact(conn, "l2")


@pytest.mark.parametrize("suffix", SHADOW)
def test_a_saved_graph_is_made_anew(linked: tuple[Any, Any], suffix: str) -> None:
    conn, made = linked
    ((size,),) = conn.execute("SELECT sum(length(data)) FROM v_edges")
    conn.execute(f"DROP TABLE v_{suffix}")
    if suffix == "nodes":
        assert "nothing else holds the vectors" in str(command(conn, "rebuild"))
        return
    assert command(conn, "rebuild") is None
    assert command(conn, "integrity-check") is None
    assert conn.execute("SELECT sum(length(data)) > ? FROM v_edges", (size // 2,)).fetchone() == (
        1,
    )
    far = ((made.astype(float) - made[7]) ** 2).sum(axis=1)
    every = "rowid IN (SELECT id FROM v_rows)"
    sql = f"SELECT rowid FROM v WHERE vector MATCH ? AND {every} AND k = 9"
    rows = [row[0] for row in conn.execute(sql, (made[7].tobytes(),))]
    assert rows == np.argsort(far)[:9].tolist()


IN_ANOTHER = """
import sys
from sqlite_utils_muninn import connect

conn = connect(sys.argv[1])
for suffix in sys.argv[2:]:
    table = f"t_{suffix}"
    for command in ("integrity-check", "rebuild", "integrity-check"):
        try:
            conn.execute(f"INSERT INTO {table}({table}) VALUES (?)", (command,))
        except Exception as error:
            assert command == "integrity-check", error
            print(error)
    sql = f"SELECT rowid FROM {table} WHERE vector MATCH '[3, 1]' AND k = 2"
    print(conn.execute(sql).fetchall())
conn.commit()
conn.close()
"""


def test_another_process_mends_what_was_lost(open_text: Connect, path: Path) -> None:
    lost = [suffix for suffix in SHADOW if suffix != "nodes"]
    conn = open_text()
    for suffix in lost:
        conn.execute(f"CREATE VIRTUAL TABLE t_{suffix} USING hnsw_index(dimensions=2)")
        rows = [(i, f"[{i}, 1]") for i in range(9)]
        conn.executemany(f"INSERT INTO t_{suffix}(rowid, vector) VALUES (?, ?)", rows)
    conn.close()
    harm(path, ";".join(f"DROP TABLE t_{suffix}_{suffix}" for suffix in lost))
    program = [sys.executable, "-c", IN_ANOTHER, str(path), *lost]
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stderr == ""
    said = [
        line
        for suffix in lost
        for line in (
            f"hnsw_index: t_{suffix}_{suffix} is missing: 'rebuild' makes it anew",
            "[(3,), (4,)]",
        )
    ]
    assert done.stdout.splitlines() == said


# ---- At random ----


def damage(conn: Any, chance: random.Random) -> str:
    """Change or lose a cell or a row of a table behind v, or the table."""
    if chance.random() < 0.7:
        return mutate(conn, chance)
    sql = "SELECT name FROM sqlite_master WHERE name GLOB 'v_*' AND type = 'table'"
    name = chance.choice([row[0] for row in conn.execute(sql)])
    conn.execute(chance.choice([f'DROP TABLE "{name}"', f'DELETE FROM "{name}"']))
    return name


def mends_or_refuses(open_text: Connect, kind: str, cases: int, seed: int) -> int:
    """How many of some files, damaged in a few places each, were mended; others were refused."""
    chance, count = random.Random(seed), 0
    conn = open_text(":memory:")
    make(conn, kind)
    for _ in range(cases):
        conn.execute("BEGIN")
        harmed = [damage(conn, chance) for _ in range(chance.randint(1, 3))]
        look_at_all(conn)
        said = command(conn, "rebuild")
        assert said is None or any(word in said for word in REFUSALS), (harmed, said)
        if said is None:
            conn.execute("SELECT rowid, vector FROM v").fetchall()  # what waits gets its vector
            assert command(conn, "integrity-check") is None, harmed
            assert is_exact(conn, "l2" if kind == "index" else "cosine"), harmed
            count += 1
        if conn.in_transaction:
            conn.execute("ROLLBACK")
    assert command(conn, "integrity-check") is None
    return count


REFUSALS = ("cannot be rebuilt", "which model made", "another version", "holds a blob")


def look_at_all(conn: Any) -> None:
    """Whatever happens, it is an error of SQLite."""
    for sql in (
        "SELECT rowid, distance, vector FROM v WHERE vector MATCH '[1, 1, 1, 1, 1, 1, 1, 1]'",
        "SELECT * FROM v",
        "INSERT INTO v(v) VALUES ('integrity-check')",
    ):
        with contextlib.suppress(sqlite_module().Error):
            conn.execute(sql).fetchall()


@pytest.mark.parametrize("kind", MADE)
def test_whatever_is_damaged_is_mended_or_refused(open_text: Connect, kind: str) -> None:
    assert mends_or_refuses(open_text, kind, cases=60, seed=1) > 20


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", MADE)
def test_much_damage_is_mended_or_refused(open_text: Connect, kind: str) -> None:
    assert mends_or_refuses(open_text, kind, cases=2_000, seed=2) > 500
