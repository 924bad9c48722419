"""Kept graphs are valid exactly as long as the data is: a model-based test with several
connections, and the cases that version numbers get wrong.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODES = (
    "SELECT group_concat(node) FROM (SELECT node FROM graph_degree('e', 's', 't') ORDER BY node)"
)
TRUTH = (
    "SELECT group_concat(n) FROM (SELECT DISTINCT n FROM (SELECT s AS n FROM e UNION ALL "
    "SELECT t FROM e) ORDER BY n)"
)


@pytest.fixture
def reads(count_reads: Any) -> list[str]:
    """The statements that were really run on edge tables."""
    from sqlite_utils_muninn.graph import cache

    return count_reads(cache)


STEPS = st.one_of(
    st.sampled_from(
        ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "look", "look"]
    ),
    st.tuples(st.just("insert"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("delete"), st.integers(0, 9)),
    st.tuples(st.just("update"), st.integers(0, 9), st.integers(0, 9)),
    st.just("vacuum"),
    st.just("drop"),
    st.just("clear"),
    st.tuples(st.just("view"), st.integers(0, 9)),
)


SHAPE = ["CREATE TABLE base (s, t)", "CREATE VIEW e AS SELECT s, t FROM base"]


def run_step(conn: Any, sqlite: Any, step: Any) -> None:
    kind, *values = [step] if isinstance(step, str) else step
    statements = {
        "look": [],
        "vacuum": ["VACUUM"],
        "clear": ["DELETE FROM base"],
        "drop": ["DROP VIEW e", "DROP TABLE base", *SHAPE],
        "insert": ["INSERT INTO base VALUES (?, ?)"],
        "delete": ["DELETE FROM base WHERE s = ?"],
        "update": ["UPDATE base SET t = ? WHERE s = ?"],
        "view": ["DROP VIEW e", f"{SHAPE[1]} WHERE t <> {values[0] if values else 0}"],
    }.get(kind, [kind])
    # No transaction, or the file is locked: as it may be.
    with contextlib.suppress(sqlite.OperationalError):
        for sql in statements:
            conn.execute(sql, values if "?" in sql else ())


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("examples", [40, pytest.param(600, marks=pytest.mark.long)])
def test_what_is_seen_is_what_sqlite_shows(
    connect: Any, sqlite: Any, tmp_path: Any, mode: str, examples: int
) -> None:
    """After every step, each connection's functions see just what its own SELECT sees."""
    path = tmp_path / "cache.db"
    number = iter(range(10**9))

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.lists(st.tuples(st.integers(0, 2), STEPS), max_size=25))
    def holds(steps: Any) -> None:
        file = path.with_suffix(f".{next(number)}")
        conns = [connect(file, timeout=0) for _ in range(3)]
        conns[0].execute(f"PRAGMA journal_mode = {mode}")
        for conn in conns:
            conn.execute("PRAGMA synchronous = OFF")  # no test here is about the disk
        for sql in SHAPE:
            conns[0].execute(sql)
        for who, step in steps:
            run_step(conns[who], sqlite, step)
            for conn in conns:
                try:
                    truth = conn.execute(TRUTH).fetchone()
                except sqlite.OperationalError:  # a writer holds the file
                    continue
                assert conn.execute(NODES).fetchone() == truth
        for conn in conns:
            conn.close()
        file.unlink()

    holds()


def test_warm_calls_read_nothing(edges: Callable[..., Any], reads: list[str]) -> None:
    conn = edges((1, 2), (2, 3))
    for _ in range(3):
        assert conn.execute(NODES).fetchone() == ("1,2,3",)
        conn.execute("SELECT * FROM graph_pagerank('e', 's', 't')").fetchall()
    assert len(reads) == 1


def test_connections_share_one_graph(connect: Any, tmp_path: Any, reads: list[str]) -> None:
    path = tmp_path / "shared.db"
    one = connect(path)
    one.execute("CREATE TABLE e (s, t)")
    one.execute("INSERT INTO e VALUES (1, 2)")
    other = connect(f"file:{path}?mode=ro", uri=True)
    for conn in (one, other, one, other):
        assert conn.execute(NODES).fetchone() == ("1,2",)
    assert len(reads) == 2  # each looks once for itself
    assert len(CACHE) == 1
    one.execute("INSERT INTO e VALUES (1, 3)")
    for conn in (other, one, other, one):
        assert conn.execute(NODES).fetchone() == ("1,2,3",)
    assert len(reads) == 4


def test_a_statement_that_is_writing_sees_its_own_table(edges: Callable[..., Any]) -> None:
    """total_changes counts the rows of a statement only when it ends."""
    conn = edges((1, 2))
    conn.execute("CREATE TABLE log (n)")
    conn.execute(
        "CREATE TRIGGER watch AFTER INSERT ON e BEGIN INSERT INTO log "
        "SELECT count(*) FROM graph_degree WHERE edge_table='e' AND src_col='s' AND dst_col='t';"
        "END"
    )
    conn.execute(NODES).fetchone()
    conn.execute("INSERT INTO e SELECT 10 + value, 20 + value, 1 FROM json_each('[1, 2, 3]')")
    assert [n for (n,) in conn.execute("SELECT n FROM log")] == [4, 6, 8]


def test_a_rolled_back_change_is_seen_by_nobody(connect: Any, tmp_path: Any) -> None:
    path = tmp_path / "rolled.db"
    one, other = connect(path), connect(path)
    one.execute("PRAGMA journal_mode = wal")
    one.execute("CREATE TABLE e (s, t)")
    one.execute("INSERT INTO e VALUES (1, 2)")
    one.execute("BEGIN")
    one.execute("INSERT INTO e VALUES (1, 7)")
    assert one.execute(NODES).fetchone() == ("1,2,7",)
    assert other.execute(NODES).fetchone() == ("1,2",)
    one.execute("ROLLBACK")
    assert one.execute(NODES).fetchone() == ("1,2",)
    assert other.execute(NODES).fetchone() == ("1,2",)


def test_a_change_by_another_process_is_seen(connect: Any, tmp_path: Any) -> None:
    path = tmp_path / "process.db"
    conn = connect(path)
    conn.execute("CREATE TABLE e (s, t)")
    conn.execute("INSERT INTO e VALUES (1, 2)")
    assert conn.execute(NODES).fetchone() == ("1,2",)
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    code += "c.execute('INSERT INTO e VALUES (5, 6)'); c.commit()"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert conn.execute(NODES).fetchone() == ("1,2,5,6",)


# Each of these is noticed by one part of the token alone, and by no other.


def test_a_view_of_this_connection_that_is_made_anew(conn: Any, reads: list[str]) -> None:
    """schema_version: no row has changed, and nobody else has written."""
    conn.execute("CREATE TABLE base (s, t)")
    conn.execute("INSERT INTO base VALUES (1, 2), (3, 4)")
    for condition, nodes in (("s < 3", "1,2"), ("s > 2", "3,4")):
        conn.execute("DROP VIEW IF EXISTS e")
        conn.execute(f"CREATE VIEW e AS SELECT s, t FROM base WHERE {condition}")
        for _ in range(2):
            assert conn.execute(NODES).fetchone() == (nodes,)
    assert len(reads) == 2


def test_a_row_that_this_connection_adds(conn: Any, reads: list[str]) -> None:
    """total_changes: data_version leaves out what the connection itself has done."""
    conn.execute("CREATE TABLE e (s, t)")
    for node in range(1, 4):
        conn.execute("INSERT INTO e VALUES (?, ?)", (node, node))
        assert conn.execute(NODES).fetchone() == (",".join(map(str, range(1, node + 1))),)
    assert len(reads) == 3


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_row_that_another_connection_adds(connect: Any, tmp_path: Any, mode: str) -> None:
    """data_version: this connection has done nothing, and the schema is the same."""
    one, other = connect(tmp_path / "two.db"), connect(tmp_path / "two.db")
    one.execute(f"PRAGMA journal_mode = {mode}")
    one.execute("CREATE TABLE e (s, t)")
    for node in range(1, 4):
        one.execute("INSERT INTO e VALUES (?, ?)", (node, node))
        nodes = ",".join(map(str, range(1, node + 1)))
        assert other.execute(NODES).fetchone() == one.execute(NODES).fetchone() == (nodes,)


def test_another_file_under_the_same_name(connect: Any, tmp_path: Any) -> None:
    """The files: all version numbers are the same, as both were made in the same way."""
    for node in (1, 2):
        maker = connect(tmp_path / f"{node}.db")
        maker.execute("CREATE TABLE edges (s, t)")
        maker.execute("INSERT INTO edges VALUES (?, ?)", (node, node))
        maker.close()
    conn = connect()
    for node in (1, 2, 1):
        conn.execute("ATTACH ? AS other", (str(tmp_path / f"{node}.db"),))
        sql = "SELECT node FROM graph_degree('other.edges', 's', 't')"
        assert conn.execute(sql).fetchall() == [(node,)]
        conn.execute("DETACH other")


def test_nothing_is_kept_while_a_transaction_writes(connect: Any, tmp_path: Any) -> None:
    """The state of the transaction: total_changes does not go back when it is rolled back."""
    conn = connect(tmp_path / "back.db")
    conn.execute("CREATE TABLE e (s, t)")
    conn.execute("INSERT INTO e VALUES (1, 1)")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO e VALUES (2, 2)")
    assert conn.execute(NODES).fetchone() == ("1,2",)
    conn.execute("ROLLBACK")
    assert conn.execute(NODES).fetchone() == ("1",)
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO e VALUES (3, 3)")
    conn.execute("SAVEPOINT b")
    conn.execute("INSERT INTO e VALUES (4, 4)")
    assert conn.execute(NODES).fetchone() == ("1,3,4",)
    conn.execute("ROLLBACK TO b")
    assert conn.execute(NODES).fetchone() == ("1,3",)
    conn.execute("ROLLBACK TO a")
    conn.execute("RELEASE a")
    assert conn.execute(NODES).fetchone() == ("1",)


def test_memory_databases_are_each_their_own(connect: Any) -> None:
    for n in (2, 3):
        conn = connect()
        conn.execute("CREATE TABLE e (s, t)")
        conn.execute("INSERT INTO e VALUES (1, ?)", (n,))
        assert conn.execute(NODES).fetchone() == (f"1,{n}",)


@pytest.mark.parametrize(
    "view",
    [
        "SELECT s, t FROM base WHERE s < (SELECT abs(random()) % 1000000000)",
        "SELECT s, t FROM base WHERE t < strftime('%s', 'now')",
        "SELECT s, value AS t FROM base, json_each('[4]')",
    ],
)
def test_views_that_ask_more_than_the_file_are_read_again(
    conn: Any, reads: list[str], view: str
) -> None:
    conn.execute("CREATE TABLE base (s, t)")
    conn.execute("INSERT INTO base VALUES (1, 2)")
    conn.execute(f"CREATE VIEW e AS {view}")
    for _ in range(3):
        conn.execute(NODES).fetchone()
    assert len(reads) == 3


def test_memory_is_bounded(connect: Any) -> None:
    host = Host(graph_cache=400_000)
    conn = connect(host=host)
    for table in range(8):
        conn.execute(f"CREATE TABLE e{table} (s, t)")
        conn.executemany(f"INSERT INTO e{table} VALUES (?, ?)", [(i, i + 1) for i in range(2000)])
    for _ in range(2):
        for table in range(8):
            conn.execute(f"SELECT count(*) FROM graph_pagerank('e{table}', 's', 't')").fetchone()
            assert CACHE.nbytes <= 400_000 + 200_000  # one may grow before it is weighed again
    assert 1 <= len(CACHE) < 8


def test_threads_share_without_harm(connect: Any, tmp_path: Any) -> None:
    path = tmp_path / "threads.db"
    writer = connect(path)
    writer.execute("PRAGMA journal_mode = wal")
    writer.execute("CREATE TABLE e (s, t)")
    writer.execute("INSERT INTO e VALUES (0, 1)")
    wrong: list[Any] = []
    done = threading.Event()

    def look() -> None:
        conn = connect(path, check_same_thread=False)
        while not done.is_set():
            conn.execute("BEGIN")
            if conn.execute(TRUTH).fetchone() != conn.execute(NODES).fetchone():
                wrong.append(conn.execute(NODES).fetchone())
            conn.execute("COMMIT")

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(60):
        writer.execute("INSERT INTO e VALUES (?, ?)", (n, n + 1))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_temporary_table_beside_it_does_not_keep_connections_from_sharing(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    """Every connection with the whole surface on it has temporary tables of its own."""
    one, two = connect(tmp_path / "a.db"), connect(tmp_path / "a.db")
    one.execute("CREATE TABLE e (s, t)")
    one.execute("INSERT INTO e VALUES (1, 2)")
    for conn in (one, two):
        conn.execute("CREATE TEMP TABLE own (s, t)")
        conn.execute("INSERT INTO own VALUES (3, 4)")
        assert conn.execute("SELECT node FROM graph_degree('e', 's', 't')").fetchall()
    assert len(CACHE) == 1
    for conn in (one, two):
        assert conn.execute("SELECT node FROM graph_degree('own', 's', 't')").fetchall()
    assert len(CACHE) == 3
