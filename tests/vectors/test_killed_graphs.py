"""Processes that die while a neighbour graph is there, is built, or is saved.

The tables of test_processes.py are too small for a graph. Here one is built from 100 rows on, in
the writer and in whoever looks afterwards, and 'optimize' saves it.
"""

from __future__ import annotations

import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.vectors.index import index

if TYPE_CHECKING:
    from .conftest import Connect

ROOT = Path(__file__).parents[2]
DIMENSIONS, SET = 8, 20
LEAST = 100 * DIMENSIONS  # numbers from which a graph is built

WRITER = """
import random, sys, time
from tests.vectors import test_killed_graphs as killed
from tests.vectors.conftest import open_connection
from sqlite_utils_muninn.vectors.index import index

index.SCANNED_FLOATS = killed.LEAST
random.seed(int(sys.argv[2]))
conn = open_connection(sys.argv[1], timeout=30)
while True:
    killed.write(conn)
    killed.look(conn)
    if random.random() < 0.2:
        conn.execute("INSERT INTO v(v) VALUES (?)", (random.choice(["optimize", "rebuild"]),))
    print("one more", flush=True)
"""


def vector(id_: int) -> list[float]:
    """A row's vector; near ids are not near."""
    chance = random.Random(id_)
    numbers = [chance.uniform(-1, 1) for _ in range(DIMENSIONS)]
    return list(struct.unpack(f"<{DIMENSIONS}f", struct.pack(f"<{DIMENSIONS}f", *numbers)))


def blob(numbers: list[float]) -> bytes:
    return struct.pack(f"<{DIMENSIONS}f", *numbers)


def write(conn: Any) -> None:
    """A set of rows comes or goes; now and then the transaction is taken back."""
    conn.execute("BEGIN IMMEDIATE")
    (count,) = conn.execute("SELECT count(*) FROM v").fetchone()
    if count > 400 or (count > 200 and random.random() < 0.4):
        (some,) = conn.execute(
            "SELECT rowid FROM v LIMIT 1 OFFSET ?", (random.randrange(count),)
        ).fetchone()
        first = some // SET * SET
        conn.execute("DELETE FROM v WHERE rowid BETWEEN ? AND ?", (first, first + SET - 1))
    else:
        (last,) = conn.execute("SELECT ifnull(max(rowid), -1) FROM v").fetchone()
        first = (last // SET + 1) * SET
        for id_ in range(first, first + SET):
            sql = "INSERT INTO v(rowid, vector) VALUES (?, ?)"
            conn.execute(sql, (id_, blob(vector(id_))))
    look(conn)
    conn.execute(random.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]))


def look(conn: Any) -> float:
    """Sets are whole, distances exact. Returns the share of the true neighbours that are found."""
    conn.execute("SAVEPOINT looking")
    ids = {row[0] for row in conn.execute("SELECT rowid FROM v")}
    assert all(id_ // SET * SET + i in ids for id_ in ids for i in range(SET))
    probe = vector(-random.randrange(1, 10**6))
    far = {id_: sum((a - b) ** 2 for a, b in zip(vector(id_), probe, strict=True)) for id_ in ids}
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 7"
    found = conn.execute(sql, (blob(probe),)).fetchall()
    conn.execute("RELEASE looking")
    assert len({id_ for id_, _ in found}) == len(found) == min(7, len(ids))
    assert all(distance == pytest.approx(far[id_], rel=1e-6) for id_, distance in found)
    true = sorted(far.values())[:7]
    return sum(distance <= true[-1] * (1 + 1e-9) for _, distance in found) / max(1, len(true))


def kill_and_look(connect: Connect, path: Path, times: int) -> None:
    conn = connect(path)
    conn.execute("PRAGMA journal_mode = wal")
    conn.execute(f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={DIMENSIONS}, metric=l2)")
    for _ in range(12):
        write(conn)
    conn.close()
    shares = []
    for seed in range(times):
        command = [sys.executable, "-c", WRITER, str(path), str(seed)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        assert writer.stdout.readline()
        time.sleep(random.random() * 0.3)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        # Nobody here has an index of this table: it comes from the file.
        fresh = connect(path, timeout=30)
        shares += [look(fresh) for _ in range(5)]
        fresh.execute("INSERT INTO v(v) VALUES ('integrity-check')")
        write(fresh)
        shares.append(look(fresh))
        fresh.close()
    assert sum(shares) / len(shares) > 0.97


@pytest.fixture(autouse=True)
def graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "SCANNED_FLOATS", LEAST)


def test_a_killed_process_leaves_a_graph_that_answers(connect: Connect, path: Path) -> None:
    kill_and_look(connect, path, times=4)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_killed_processes_leave_graphs_that_answer(
    connect: Connect, path: Path
) -> None:
    kill_and_look(connect, path, times=200)
