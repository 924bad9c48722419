"""Four processes that write and read one table at once.

Each owns the ids that leave its own remainder, so it knows exactly what its rows must be, while
the others change theirs. A row's vector says whose it is and which version: a mixture of two
versions, or a row that a search finds and a read does not, shows at once.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Connect

ROOT = Path(__file__).parents[2]
DIMENSIONS = 8

WORKER = """
import json, random, sys, time
from tests.vectors import test_four_processes as four
from tests.vectors.conftest import open_connection

path, me, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
four.limit(json.loads(sys.argv[4]))
random.seed(me)
conn, late = open_connection(path, timeout=60), open_connection(path, timeout=60)
mine, steps = {}, 0
end = time.monotonic() + seconds
while steps < 2 or time.monotonic() < end:
    # One connection lags behind, in the snapshot that it began with.
    late.execute("BEGIN")
    late.execute("SELECT count(*) FROM v_rows").fetchone()
    then = dict(mine)
    for _ in range(3):
        four.write(conn, me, mine)
        four.look(conn, me, mine)
    four.check(late, me, then)
    late.execute("COMMIT")
    steps += 1
print(json.dumps(mine))
"""


def limit(limits: dict[str, int]) -> None:
    """Make a small table go the ways of a large one."""
    from sqlite_utils_muninn.vectors.index import index
    from sqlite_utils_muninn.vectors.storage import storage

    for name, value in limits.items():
        module = index if hasattr(index, name) else storage
        assert hasattr(module, name)
        setattr(module, name, value)


def blob(id_: int, version: int) -> bytes:
    """A vector that no other version of no other row has; near ids are near."""
    return struct.pack(f"<{DIMENSIONS}f", id_, version, *[id_ % 7] * (DIMENSIONS - 2))


def write(conn: Any, me: int, mine: dict[int, int]) -> None:
    """One transaction: some rows are added, changed, deleted; some of it is taken back."""
    import random

    after = dict(mine)
    conn.execute("BEGIN IMMEDIATE")
    for _ in range(random.randrange(1, 20)):
        id_ = random.randrange(400) * 4 + me
        if id_ not in after:
            after[id_] = 1
            conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (id_, blob(id_, 1)))
        elif random.random() < 0.5:
            after[id_] += 1
            sql = "UPDATE v SET vector = ? WHERE rowid = ?"
            conn.execute(sql, (blob(id_, after[id_]), id_))
        else:
            del after[id_]
            conn.execute("DELETE FROM v WHERE rowid = ?", (id_,))
    if random.random() < 0.2:
        check(conn, me, after)
    if random.random() < 0.2:
        conn.execute("ROLLBACK")
        return
    conn.execute("COMMIT")
    mine.clear()
    mine.update(after)


def look(conn: Any, me: int, mine: dict[int, int]) -> None:
    """In one snapshot and outside of any."""
    conn.execute("BEGIN")
    check(conn, me, mine)
    check(conn, me, mine)
    conn.execute("COMMIT")


def check(conn: Any, me: int, mine: dict[int, int]) -> None:
    """Rows and searches agree, and my own rows are as I left them."""
    import random

    rows = dict(conn.execute("SELECT rowid, vector FROM v").fetchall())
    versions = {id_: struct.unpack(f"<{DIMENSIONS}f", vector)[1] for id_, vector in rows.items()}
    assert all(rows[id_] == blob(id_, int(version)) for id_, version in versions.items())
    assert {id_: version for id_, version in versions.items() if id_ % 4 == me} == mine
    probe = [random.uniform(0, 1600), random.uniform(0, 5), *[3.0] * (DIMENSIONS - 2)]
    packed = struct.pack(f"<{DIMENSIONS}f", *probe)
    probe = list(struct.unpack(f"<{DIMENSIONS}f", packed))
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 10"
    found = conn.execute(sql, (packed,)).fetchall()
    far = {
        id_: sum(
            (a - b) ** 2
            for a, b in zip(struct.unpack(f"<{DIMENSIONS}f", vector), probe, strict=True)
        )
        for id_, vector in rows.items()
    }
    assert all(distance == pytest.approx(far[id_], rel=1e-6) for id_, distance in found)
    assert len({id_ for id_, _ in found}) == len(found) == min(10, len(rows))
    # Among rows that are named every search is exact.
    named = random.sample(sorted(rows), min(len(rows), 50))
    within = f"{sql} AND rowid IN (SELECT value FROM json_each(?))"
    exact = [row[1] for row in conn.execute(within, (packed, json.dumps(named))).fetchall()]
    assert exact == pytest.approx(sorted(far[id_] for id_ in named)[:10], rel=1e-6)


def run(connect: Connect, path: Path, seconds: float, limits: dict[str, int]) -> None:
    conn = connect(path, timeout=60)
    conn.execute("PRAGMA journal_mode = wal")
    conn.execute(f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={DIMENSIONS}, metric=l2)")
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(me), str(seconds), json.dumps(limits)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for me in range(4)
    ]
    expected: dict[int, int] = {}
    for worker in workers:
        output, _ = worker.communicate(timeout=seconds + 120)
        assert worker.returncode == 0
        mine = json.loads(output)
        expected |= {int(id_): version for id_, version in mine.items()}
    rows = dict(conn.execute("SELECT rowid, vector FROM v").fetchall())
    assert rows == {id_: blob(id_, version) for id_, version in expected.items()}
    conn.execute("INSERT INTO v(v) VALUES ('integrity-check')")


# A graph from 100 rows on, and a log that is soon too short for those who are behind.
SMALL = {"SCANNED_FLOATS": 800, "FOLLOWED": 50, "LOG_KEPT": 60, "PRUNED_EVERY": 16}


@pytest.mark.parametrize("limits", [{}, SMALL], ids=["usual", "small"])
def test_four_processes_agree(connect: Connect, path: Path, limits: dict[str, int]) -> None:
    run(connect, path, 2, limits)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("limits", [{}, SMALL], ids=["usual", "small"])
def test_four_processes_agree_for_a_minute(
    connect: Connect, path: Path, limits: dict[str, int]
) -> None:
    run(connect, path, 60, limits)
