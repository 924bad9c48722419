"""Several connections to one file, and files that change under an index."""

from __future__ import annotations

import gc
import shutil
import struct
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.vectors.index import building, index
from sqlite_utils_muninn.vectors.index.recent import RECENT
from sqlite_utils_muninn.vectors.storage import shared

from .conftest import open_connection, sqlite_module

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

SEARCH = "SELECT rowid FROM v WHERE vector MATCH ? AND k = ?"


def blob(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def fill(conn: Any, rows: range | list[int]) -> None:
    conn.execute("BEGIN IMMEDIATE")
    sql = "INSERT INTO v(rowid, vector) VALUES (?, ?)"
    for i in rows:
        conn.execute(sql, (i, blob(i, 1)))
    conn.execute("COMMIT")


def make(connect: Connect, path: Path, rows: range, journal: str = "wal") -> Any:
    conn = connect(path)
    conn.execute(f"PRAGMA journal_mode = {journal}")
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    fill(conn, rows)
    return conn


def nearest(conn: Any, at: float = 0, k: int = 3) -> list[int]:
    return [row[0] for row in conn.execute(SEARCH, (blob(at, 1), k))]


def shared_index() -> index.Index:
    (found,) = list(shared._indexes.values())
    return found


@pytest.fixture(autouse=True)
def _no_index_left() -> None:
    RECENT.forget()
    gc.collect()
    shared._indexes.clear()


def test_a_process_has_one_index_however_many_connections(connect: Connect, path: Path) -> None:
    first = make(connect, path, range(100))
    second = connect(path)
    assert nearest(first) == nearest(second) == [0, 1, 2]
    held = shared_index()
    fill(first, [-1])
    assert nearest(second) == [0, -1, 1]
    assert shared_index() is held


def test_an_index_follows_the_log_instead_of_loading_again(
    connect: Connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(connect, path, range(100))
    second = connect(path)
    nearest(second)
    loads = []
    load = index.Index.load
    monkeypatch.setattr(index.Index, "load", lambda *a: (loads.append(1), load(*a)))
    for i in range(100, 150):
        fill(first, [-i])
        first.execute("DELETE FROM v WHERE rowid = ?", (i - 100,))
        assert nearest(second, -i, 1) == [-i]
    assert not loads
    assert nearest(second, 0, 1) == [50]


def test_what_is_not_committed_is_seen_by_its_writer_only(connect: Connect, path: Path) -> None:
    writer = make(connect, path, range(10))
    reader = connect(path)
    writer.execute("BEGIN")
    writer.execute("DELETE FROM v WHERE rowid < 5")
    writer.execute("INSERT INTO v(rowid, vector) VALUES (-1, ?)", (blob(0, 1),))
    assert nearest(reader) == [0, 1, 2]
    held = shared_index()
    before = held.position
    assert nearest(writer) == [-1, 5, 6]
    assert held.position == before
    assert nearest(reader) == [0, 1, 2]
    writer.execute("ROLLBACK")
    assert nearest(writer) == nearest(reader) == [0, 1, 2]


def test_a_query_under_way_keeps_its_snapshot(connect: Connect, path: Path) -> None:
    writer = make(connect, path, range(2000))
    reader = connect(path)
    cursor = reader.execute("SELECT rowid FROM v WHERE vector MATCH ?", (blob(0, 1),))
    seen = [next(cursor)[0] for _ in range(5)]
    writer.execute("DELETE FROM v")
    seen += [row[0] for row in cursor]
    assert seen == list(range(2000))
    assert nearest(reader) == []


@pytest.mark.parametrize("options", ["mode=ro", "immutable=1"])
def test_reading_needs_no_writing(connect: Connect, path: Path, options: str) -> None:
    make(connect, path, range(50), journal="delete").close()
    before = path.read_bytes()
    path.chmod(0o444)
    conn = connect(f"file:{path}?{options}", uri=True)
    assert nearest(conn, 20) == [20, 19, 21]
    assert conn.execute("SELECT count(*), length(vector) FROM v").fetchone() == (50, 8)
    assert conn.execute("SELECT vector FROM v WHERE rowid = 7").fetchone() == (blob(7, 1),)
    with pytest.raises(sqlite_module().OperationalError, match="readonly"):
        conn.execute("DELETE FROM v WHERE rowid = 7")
    with pytest.raises(sqlite_module().OperationalError, match="no such function"):
        conn.execute("SELECT vec_version()")  # sqlite-vec is loaded to write only
    conn.close()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_restored_backup_is_another_history(connect: Connect, path: Path) -> None:
    conn = make(connect, path, range(10))
    other = connect(path)
    backup = connect(path.with_name("backup.db"))
    conn.backup(backup)
    fill(conn, range(-5, 0))
    conn.execute("DELETE FROM v WHERE rowid = 0")
    assert nearest(conn) == nearest(other) == [-1, 1, -2]
    backup.backup(conn)
    for _ in range(2 * index.PATIENCE):
        assert nearest(conn) == nearest(other) == [0, 1, 2]
    fill(conn, [-9, -8, -7, -6, -5, -4])  # as many log rows as before, with other tags
    assert nearest(other, -9) == nearest(conn, -9) == [-9, -8, -7]


def test_a_file_put_in_the_place_of_another(connect: Connect, path: Path) -> None:
    conn = make(connect, path, range(10), journal="delete")
    assert nearest(conn) == [0, 1, 2]
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    conn.execute("DELETE FROM v WHERE rowid = 0")
    assert nearest(conn) == [1, 2, 3]
    conn.close()
    shutil.copyfile(copy, path)  # the same inode
    conn = connect(path)
    assert nearest(conn) == [0, 1, 2]
    twin = connect(copy)  # the same id, another file
    twin.execute("DELETE FROM v WHERE rowid = 1")
    assert (nearest(conn), nearest(twin)) == ([0, 1, 2], [0, 2, 3])


def test_vacuum_after_deletions(connect: Connect, path: Path) -> None:
    conn = make(connect, path, range(500))
    conn.execute("DELETE FROM v WHERE rowid % 3 <> 0")
    conn.execute("DELETE FROM v WHERE rowid BETWEEN 100 AND 300")
    conn.execute("VACUUM")
    conn.execute("INSERT INTO v(v) VALUES ('integrity-check')")
    fill(conn, [1])
    expected = [1, *(i for i in range(500) if i % 3 == 0 and not 100 <= i <= 300)]
    rows = conn.execute("SELECT rowid, vector FROM v").fetchall()
    assert rows == [(i, blob(i, 1)) for i in sorted(expected)]
    assert nearest(connect(path), 99) == [99, 96, 93]


def test_optimize_shortens_the_log(connect: Connect, path: Path) -> None:
    conn = make(connect, path, range(5000), journal="delete")
    conn.execute("DELETE FROM v WHERE rowid % 20 <> 0")
    conn.execute("INSERT INTO v(v) VALUES ('optimize')")
    assert conn.execute("SELECT count(*) FROM v_log").fetchone() == (1,)
    assert nearest(conn, 100) == [100, 80, 120]
    conn.execute("INSERT INTO v(v) VALUES ('integrity-check')")


def test_threads_read_while_one_writes(path: Path, connect: Connect) -> None:
    make(connect, path, range(200)).close()
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            conn = open_connection(path, timeout=10)
            while not stop.is_set():
                found = nearest(conn, 0, 5)
                # Rows come and go in pairs, in one transaction.
                assert len([i for i in found if i < 0]) % 2 == 0, found
            conn.close()
        except BaseException as error:
            failures.append(error)

    def write() -> None:
        try:
            conn = open_connection(path, timeout=10)
            for _ in range(150):
                fill(conn, [-1, -2])
                conn.execute("DELETE FROM v WHERE rowid < 0")
            conn.close()
        except BaseException as error:
            failures.append(error)
        finally:
            stop.set()

    threads = [threading.Thread(target=read) for _ in range(3)] + [threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_long_search_can_be_interrupted(connect: Connect, path: Path) -> None:
    conn = make(connect, path, range(20_000))
    conn.close()
    conn = connect(path)
    conn.set_progress_handler(lambda: 1, 1000)
    with pytest.raises(sqlite_module().OperationalError, match=r"^interrupted$"):
        nearest(conn)
    conn.set_progress_handler(None, 0)
    assert nearest(conn) == [0, 1, 2]


def test_a_large_table_gets_a_graph_with_the_same_answers(
    connect: Connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SCANNED_FLOATS", 16_000)
    random = np.random.default_rng(3)
    basis = random.standard_normal((6, 24))
    vectors = (random.standard_normal((3000, 6)) @ basis).astype("<f4")
    conn = connect(path)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=24, metric=cosine)")
    conn.execute("BEGIN")
    for i, row in enumerate(vectors):
        conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (i, row.tobytes()))
    conn.execute("COMMIT")
    nearest_of(conn, vectors[0])
    held = shared_index()
    assert building.wait(held, 60)
    assert (held.graph.linked, held.graph.unlinked) == (3000, 0)
    conn.execute("UPDATE v SET vector = ? WHERE rowid = 5", (vectors[6].tobytes(),))
    conn.execute("DELETE FROM v WHERE rowid = 7")
    vectors[5], alive = vectors[6], np.arange(3000) != 7
    hits = 0
    for probe in (random.standard_normal((50, 6)) @ basis).astype("<f4"):
        found = nearest_of(conn, probe)
        cosines = vectors @ probe / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(probe))
        exact = 1 - cosines
        assert [far for _, far in found] == pytest.approx([exact[i] for i, _ in found], abs=1e-6)
        best = np.argsort(np.where(alive, exact, 9))[:10]
        hits += len({i for i, _ in found} & set(best.tolist()))
    assert hits >= 0.99 * 500
    assert nearest_of(conn, vectors[6])[:2] == [(5, 0.0), (6, 0.0)]
    # More rows than a graph is good for, and rows in order without end.
    assert len(conn.execute(SEARCH, (vectors[0].tobytes(), 2900)).fetchall()) == 2900
    sql = "SELECT distance FROM v WHERE vector MATCH ?"
    assert len(conn.execute(sql, (vectors[0].tobytes(),)).fetchall()) == 2999


def nearest_of(conn: Any, probe: Any) -> list[tuple[int, float]]:
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 10"
    rows: list[tuple[int, float]] = conn.execute(sql, (probe.tobytes(),)).fetchall()
    return rows
