"""What a saved index leaves out is made anew from the vectors, and comes out the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.vectors.index import index, saved
from sqlite_utils_muninn.vectors.index.engine import FLOATS, Graph
from sqlite_utils_muninn.vectors.options import METRICS

from .conftest import sqlite_module
from .test_engine import clustered, graph_of, nearest
from .test_saved import (
    ROWS,
    _small_tables_have_graphs,
    agree,
    command,
    fill,
    forget_indexes,
    fresh,
    make,
    matrix,
    sealed,
    shared_index,
)
from .test_saved import nearest as ask

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

__all__ = ["_small_tables_have_graphs"]


def snapshot(graph: Graph) -> bytes:
    return graph.core.snapshot_read(0, graph.core.snapshot_size())


def reread(graph: Graph, rows: Any, lost: Any = (), step: int = 997) -> Graph:
    """The graph again, from its snapshot and the vectors of the ids 0, 1, ..."""
    core, again = graph.core, Graph(graph.dimensions, graph.options, graph.shape)
    data = snapshot(graph)
    again.core.snapshot_start(core.nodes, core.linked, core.dead, 0, len(data))
    for at in range(0, len(data), step):
        again.core.snapshot_write(at, data[at : at + step])
    again.core.snapshot_check()
    again.core.snapshot_lose(np.asarray(lost, "<i8").tobytes())
    there = graph.ids()
    unknown = again.fill(there, rows[there])
    assert sorted(there[unknown].tolist()) == sorted(lost)
    again.core.snapshot_finish()
    return again


def copies(graph: Graph) -> bytes:
    """All that a graph is made of: the dead are saved with their copies."""
    for id_ in graph.ids().tolist():
        graph.drop(id_)
    return snapshot(graph)


@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
def test_copies_come_out_the_same(kind: str, codes: int) -> None:
    """A copy that differs by one bit would show other distances than those it was linked by."""
    rows = clustered(600, 24)
    graph, _ = graph_of(kind, rows, codes, m=6)
    graph.link(500)
    for id_ in (*range(0, 60, 2), *range(560, 600, 5)):
        graph.drop(id_)
    again = reread(graph, rows)
    assert (again.core.nodes, again.linked, again.dead) == (600, 500, 38)
    assert len(again) == len(graph)
    for query in rows[:50]:
        found = again.search(query.tobytes(), 10)
        assert found is not None
        assert found == graph.search(query.tobytes(), 10)
    assert snapshot(again) == snapshot(graph)
    assert copies(again) == copies(graph)


def recall(graph: Graph, rows: Any) -> float:
    hits = 0
    for query in clustered(200, rows.shape[1], seed=2):
        found = graph.search(query.tobytes(), 10)
        assert found is not None
        best = nearest("cosine", rows, query, np.arange(len(rows)), 10)[0]
        hits += len(set(best.tolist()) & set(np.frombuffer(found, "<i8").tolist()))
    return hits / 2_000


@pytest.mark.parametrize("how", ["anywhere", "neighbours"])
def test_searches_pass_through_what_is_lost(how: str) -> None:
    """Nodes without their copies must not cut others off, nor stand in the way of them."""
    rows = clustered(4_000, 48)
    graph, _ = graph_of("cosine", rows)
    graph.link(4_000)
    if how == "anywhere":
        lost = np.random.default_rng(1).permutation(4_000)[:1_000]
    else:
        lost = nearest("cosine", rows, rows[3], np.arange(4_000), 1_000)[0]
    again = reread(graph, rows, np.sort(lost))
    assert (again.dead, len(again)) == (1_000, 3_000)
    rows[lost] = clustered(1_000, 48, seed=3)
    for each in (graph, again):
        for id_ in lost.tolist():
            each.drop(id_)
        each.add(lost, rows[lost])
    assert recall(again, rows) > recall(graph, rows) - 0.01
    # The next save has numbers for all of them.
    assert reread(again, rows).dead == 1_000


def test_lost_rows_that_no_list_leads_to_get_numbers() -> None:
    rows = clustered(300, 8)
    graph, _ = graph_of("l2", rows)
    graph.link(200)
    again = reread(graph, rows, np.arange(300))
    assert (len(again), again.dead) == (0, 300)
    assert again.search(rows[0].tobytes(), 5) is not None
    again.link(100)
    assert reread(again, rows).linked == 300


def test_calls_out_of_order_are_refused() -> None:
    graph, _ = graph_of("l2", clustered(80, 8))
    fresh_one = Graph(8, graph.options, graph.shape)
    for call in (
        lambda: fresh_one.fill(np.arange(3), np.zeros((3, 8), "<f4")),
        fresh_one.core.snapshot_finish,
        lambda: fresh_one.core.snapshot_lose(b""),
    ):
        with pytest.raises(RuntimeError, match="in use"):
            call()
    size = graph.core.snapshot_size()
    for claim in (
        (80, 81, 0, 0, size),
        (80, 0, 81, 0, size),
        (-1, 0, 0, 0, size),
        (80, 0, -1, 0, size),
        (80, 0, 0, -1, size),
        (80, 0, 0, 0, size + 1),
        (2**62, 0, 0, 0, 2**63 - 1),
        (2**29, 2**29, 2**29, 2**62, 2**63 - 1),
    ):
        with pytest.raises(ValueError, match="not its size"):
            fresh_one.core.snapshot_start(*claim)
    fresh_one.core.snapshot_start(80, 0, 0, 0, size)
    with pytest.raises(RuntimeError, match="not whole"):
        fresh_one.search(bytes(32), 1)
    fresh_one.core.snapshot_write(0, snapshot(graph))
    fresh_one.core.snapshot_check()
    with pytest.raises(ValueError, match="80 rows that have no vector"):
        fresh_one.core.snapshot_finish()


# ---- In a file ----


def edges_size(conn: Any) -> int:
    (size,) = conn.execute("SELECT sum(length(data)) FROM v_edges").fetchone()
    return int(size)


def test_only_the_dead_are_saved_with_their_copies(connect: Connect, path: Path) -> None:
    """A vector's place in the index costs 8 bytes a neighbour and some 20 more."""
    conn = make(connect, path)
    command(conn, "optimize")
    head = 200
    assert edges_size(conn) <= ROWS * (8 * 8 + 30) + head
    nearest_before = [ask(conn, probe) for probe in matrix(20, seed=9)]
    conn.execute("DELETE FROM v WHERE rowid < 30")
    ask(conn, matrix()[50])
    command(conn, "optimize")
    assert shared_index().graph.dead == 30
    assert edges_size(conn) <= ROWS * (8 * 8 + 30) + 30 * (64 + 12) + head
    other = fresh(connect, path)
    for probe, before in zip(matrix(20, seed=9), nearest_before, strict=True):
        kept = [id_ for id_ in before if id_ >= 30]
        assert ask(other, probe)[: len(kept)] == kept
    assert (shared_index().saved is not None, shared_index().graph.dead) == (True, 30)


def test_vectors_that_the_log_does_not_tell_of_are_found(connect: Connect, path: Path) -> None:
    """A vector written, or removed, behind the log: the saved index is of other vectors."""
    conn = make(connect, path)
    rows = dict(enumerate(matrix()))
    command(conn, "optimize")
    for sql, parameters, message in (
        ("INSERT INTO v(rowid, vector) VALUES (900, ?)", (bytes(matrix()[3]),), "not know .*900"),
        ("DELETE FROM v WHERE rowid = 7", (), "1 rows that have no vector"),
    ):
        conn.execute("SAVEPOINT s")
        conn.execute(sql, parameters)
        conn.execute("DELETE FROM v_log WHERE seq = (SELECT max(seq) FROM v_log)")
        conn.execute("RELEASE s")
        with pytest.raises(sqlite_module().DatabaseError, match=f"no whole index: .*{message}"):
            command(conn, "integrity-check")
        if "900" in sql:
            rows[900] = matrix()[3]
        else:
            del rows[7]
        conn = fresh(connect, path)
        agree(conn, rows)
        assert shared_index().saved is None
        command(conn, "optimize")
        command(conn, "integrity-check")
        agree(fresh(connect, path), rows)
        assert shared_index().saved is not None


def test_rows_that_are_refused_must_be_there(connect: Connect, path: Path) -> None:
    """A refused id that is in the graph too would be found twice."""
    conn = make(connect, path, "l2")
    command(conn, "optimize")
    (first,) = conn.execute("SELECT data FROM v_edges WHERE id = 0").fetchone()
    head = saved.Head(*saved._HEAD.unpack_from(first))
    for id_ in (3, 5_000):
        with_one = head._replace(refused=1)
        forged = sealed(with_one, first[:-8] + id_.to_bytes(8, "little") + first[-8:])
        conn.execute("UPDATE v_edges SET data = ? WHERE id = 0", (forged,))
        with pytest.raises(sqlite_module().DatabaseError, match=f"have no vector: {id_}"):
            command(conn, "integrity-check")
        agree(fresh(connect, path), dict(enumerate(matrix())), "l2")


def test_an_older_format_is_passed_over(connect: Connect, path: Path) -> None:
    conn = make(connect, path)
    command(conn, "optimize")
    sql = "UPDATE v_edges SET data = CAST(x'6d756e696e6e0002' || substr(data, 9) AS BLOB)"
    conn.execute(f"{sql} WHERE id = 0")
    other = fresh(connect, path)
    agree(other, dict(enumerate(matrix())))
    assert shared_index().saved is None
    command(other, "optimize")
    agree(fresh(connect, path), dict(enumerate(matrix())))
    assert shared_index().saved is not None


def test_an_interrupt_while_it_is_restored_leaves_nothing_half_done(
    connect: Connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlite_utils_muninn.vectors.storage import storage

    monkeypatch.setattr(storage, "BLOCK", 4)
    conn = make(connect, path)
    command(conn, "optimize")
    fill(conn, range(0, 40, 3), matrix(14, seed=4))
    rows = dict(enumerate(matrix()))
    rows.update(zip(range(0, 40, 3), matrix(14, seed=4), strict=True))
    ticks = interrupted_after(connect, path, 10**9)  # all that it takes
    assert shared_index().saved is not None
    for left in sorted(random.Random(1).sample(range(1, ticks), 30)):
        assert interrupted_after(connect, path, left) == left
        agree(connect(path), rows)


def interrupted_after(connect: Connect, path: Path, most: int) -> int:
    """Ask in a fresh process's place, for so many steps at most. Returns how many there were."""
    forget_indexes()
    conn, steps = connect(path), 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return int(steps == most)

    conn.set_progress_handler(count, 100)
    try:
        ask(conn, matrix()[3])
    except sqlite_module().OperationalError as error:
        interrupted = str(error)
    else:
        interrupted = "not"
    conn.set_progress_handler(None, 0)
    assert interrupted == ("interrupted" if steps == most else "not")
    return steps


def test_an_old_snapshot_is_answered_right_after_a_restart(connect: Connect, path: Path) -> None:
    """Rows that changed since the save are lost to the index: who still sees them reads them."""
    conn = make(connect, path)
    conn.execute("PRAGMA journal_mode = wal")
    command(conn, "optimize")
    reader = connect(path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM v").fetchone()
    fill(conn, range(50), matrix(50, seed=8))
    conn.execute("DELETE FROM v WHERE rowid BETWEEN 50 AND 59")
    forget_indexes()
    now = dict(enumerate(matrix()))
    now.update(zip(range(50), matrix(50, seed=8), strict=True))
    for id_ in range(50, 60):
        del now[id_]
    other = connect(path)
    agree(other, now)
    assert shared_index().saved is not None
    agree(reader, dict(enumerate(matrix())))
    reader.execute("COMMIT")
    agree(reader, now)
    assert index.followed(ROWS) > 60
