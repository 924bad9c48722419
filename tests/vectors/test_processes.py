"""Other processes, and processes that die."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import sqlite_module

if TYPE_CHECKING:
    from .conftest import Connect

ROOT = Path(__file__).parents[2]

WRITER = """
import random, struct, sys
from tests.vectors.conftest import open_connection

conn = open_connection(sys.argv[1], timeout=30)
random.seed(int(sys.argv[2]))
SEARCH = "SELECT rowid FROM v WHERE vector MATCH ? AND k = 5"

def blob(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)

# Every transaction adds a set of ten rows that belong together, or takes one away.
while True:
    conn.execute("BEGIN IMMEDIATE")
    (count,) = conn.execute("SELECT count(*) FROM v").fetchone()
    if count > 200 or (count and random.random() < 0.3):
        (row,) = conn.execute("SELECT rowid FROM v LIMIT 1 OFFSET ?", (random.randrange(count),))
        first = row[0] // 10 * 10
        conn.execute("DELETE FROM v WHERE rowid BETWEEN ? AND ?", (first, first + 9))
    else:
        (last,) = conn.execute("SELECT ifnull(max(rowid), -1) FROM v").fetchone()
        first = (last // 10 + 1) * 10
        for i in range(first, first + 10):
            conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (i, blob(i, first)))
    conn.execute(SEARCH, (blob(random.random() * 100, 0),)).fetchall()
    conn.execute("COMMIT")
    if random.random() < 0.05:
        conn.execute("INSERT INTO v(v) VALUES (?)", (random.choice(["optimize", "rebuild"]),))
    print(first, flush=True)
"""


def start(path: Path, seed: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def make(connect: Connect, path: Path, journal: str) -> None:
    conn = connect(path)
    conn.execute(f"PRAGMA journal_mode = {journal}")
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    conn.close()


def check(conn: Any) -> None:
    """Sets are whole, and every search agrees with the rows."""
    conn.execute("BEGIN")
    rows = {i: struct.unpack("<2f", v) for i, v in conn.execute("SELECT rowid, vector FROM v")}
    for i, vector in rows.items():
        assert vector == (i, i // 10 * 10)
        assert all(i // 10 * 10 + j in rows for j in range(10))
    at = random.random() * 500
    probe = struct.pack("<2f", at, at)
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 7"
    found = conn.execute(sql, (probe,)).fetchall()
    (at,) = struct.unpack("<f", probe[:4])
    expected = sorted((x - at) ** 2 + (y - at) ** 2 for x, y in rows.values())[:7]
    assert [far for _, far in found] == pytest.approx(expected)
    assert all(i in rows for i, _ in found)
    conn.execute("COMMIT")


def kill_and_check(connect: Connect, path: Path, times: int) -> None:
    reader = connect(path, timeout=30)  # its index lives through all of it
    for seed in range(times):
        writer = start(path, seed)
        assert writer.stdout
        writer.stdout.readline()
        deadline = time.monotonic() + random.random() * 0.15
        while time.monotonic() < deadline:
            check(reader)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        check(reader)
        fresh = connect(path, timeout=30)
        check(fresh)
        fresh.execute("INSERT INTO v(v) VALUES ('integrity-check')")
        assert fresh.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        fresh.close()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_killed_writer_leaves_whole_transactions(
    connect: Connect, path: Path, journal: str
) -> None:
    make(connect, path, journal)
    kill_and_check(connect, path, times=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_two_hundred_killed_writers(connect: Connect, path: Path, journal: str) -> None:
    make(connect, path, journal)
    kill_and_check(connect, path, times=100)


def test_processes_see_what_others_committed(connect: Connect, path: Path) -> None:
    make(connect, path, "wal")
    writers = [start(path, seed) for seed in (1, 2)]
    reader = connect(path, timeout=30)
    deadline = time.monotonic() + 60  # starting a process may take long on a busy machine
    seen = set()
    try:
        while len(seen) < 50 and time.monotonic() < deadline:
            check(reader)
            seen.add(reader.execute("SELECT max(seq) FROM v_log").fetchone()[0])
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert len(seen) == 50
    check(reader)


def test_both_sqlite_libraries_in_one_process(connect: Connect, path: Path) -> None:
    """The fault: sqlite-vec, which can serve one library of a process only, is needed."""
    pysqlite3 = pytest.importorskip(
        "pysqlite3", reason="pysqlite3, the second library, is not installed"
    )
    import sqlite3

    from sqlite_utils_muninn.bridge import attach
    from sqlite_utils_muninn.settings import Host
    from sqlite_utils_muninn.vectors.sql import surface

    make(connect, path, "wal")
    conn = connect(path)
    conn.execute("INSERT INTO v(rowid, vector) VALUES (1, '[1, 1]')")
    other_module = sqlite3 if sqlite_module() is pysqlite3.dbapi2 else pysqlite3
    other = other_module.connect(str(path), isolation_level=None)
    attach(other, surface(Host()))
    sql = "SELECT rowid FROM v WHERE vector MATCH '[0, 0]' AND k = 1"
    assert other.execute(sql).fetchall() == [(1,)]
    other.execute("INSERT INTO v(rowid, vector) VALUES (2, '[0, 1]')")
    other.close()
    assert conn.execute(sql).fetchall() == [(2,)]


FORKED = """
import os, struct, sys
from tests.vectors.conftest import open_connection
from sqlite_utils_muninn.vectors.storage import shared

path = sys.argv[1]
conn = open_connection(path)
search = "SELECT rowid FROM v WHERE vector MATCH '[0, 0]' AND k = 1"
conn.execute(search).fetchall()
(index,) = list(shared._indexes.values())
with index.hold():  # as another thread may
    child = os.fork()
    if not child:
        fresh = open_connection(path)
        found = conn.execute(search).fetchall() + fresh.execute(search).fetchall()
        os._exit(0 if found == [(1,), (1,)] else 1)
    sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_wait_for_threads_it_has_not(connect: Connect, path: Path) -> None:
    make(connect, path, "wal")
    conn = connect(path)
    conn.execute("INSERT INTO v(rowid, vector) VALUES (1, '[1, 1]')")
    conn.close()
    command = [sys.executable, "-c", FORKED, str(path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
