"""Connections, threads, libraries and the process: begun and ended in any order."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Function, Parameter, SQLError, TableFunction, attach, find

SERIES = TableFunction(
    "series",
    ("n INTEGER", "label TEXT"),
    (Parameter("count", kind="integer"),),
    lambda db, count: (np.arange(count), [f"n{i}" for i in range(count)]),
)
ADD = Function("add_one", (Parameter("x", kind="integer"),), lambda db, x: x + 1)


def resident_kilobytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_thousand_connections_leave_nothing_behind(sqlite: Any) -> None:
    def open_and_use(times: int) -> None:
        for i in range(times):
            conn = sqlite.connect(":memory:")
            attach(conn, [SERIES, ADD])
            conn.execute("SELECT sum(add_one(n)), max(label) FROM series(50)").fetchone()
            if i % 2:
                conn.close()

    open_and_use(200)
    gc.collect()
    before = resident_kilobytes()
    open_and_use(1000)
    gc.collect()
    assert resident_kilobytes() - before < 2000


def test_what_a_callback_holds_is_released_with_the_connection(sqlite: Any) -> None:
    class Held:
        pass

    import weakref

    held = Held()
    gone = weakref.ref(held)
    conn = sqlite.connect(":memory:")
    attach(conn, [Function("f", (), lambda db, held=held: 1), SERIES])
    conn.execute("SELECT f() FROM series(3)").fetchone()
    del held
    gc.collect()
    assert gone() is not None
    conn.close()
    gc.collect()
    assert gone() is None


def test_a_failed_callback_holds_nothing_of_its_frames(conn: Any, sqlite: Any) -> None:
    class Held:
        pass

    import weakref

    alive = []

    def fail(db: Any) -> None:
        held = Held()
        alive.append(weakref.ref(held))
        raise ValueError("no")

    attach(conn, [Function("f", (), fail)])
    with pytest.raises(sqlite.OperationalError):
        conn.execute("SELECT f()").fetchone()
    gc.collect()
    assert alive[0]() is None


def test_attaching_again_replaces_and_keeps_the_handle(conn: Any) -> None:
    first = attach(conn, [ADD])
    first.state["kept"] = 1
    second = attach(conn, [Function("add_one", (Parameter("x"),), lambda db, x: x + 100)])
    assert second is first
    assert conn.execute("SELECT add_one(1)").fetchone() == (101,)


def test_attaching_again_while_a_cursor_is_open(conn: Any) -> None:
    attach(conn, [SERIES])
    cursor = conn.execute("SELECT n FROM series(1000)")
    assert cursor.fetchone() == (0,)
    attach(conn, [SERIES])
    assert len(cursor.fetchall()) == 999


def test_a_handle_is_found_again_and_gone_when_closed(sqlite: Any) -> None:
    conn = sqlite.connect(":memory:")
    assert find(conn) is None
    db = attach(conn)
    assert find(conn) is db
    conn.close()
    assert db.closed


def test_a_handle_outlives_its_connection_as_closed(sqlite: Any) -> None:
    conn = sqlite.connect(":memory:")
    db = attach(conn, [ADD])
    conn.close()
    assert db.closed
    for use in (lambda: db.execute("SELECT 1"), db.check, lambda: db.in_transaction):
        with pytest.raises(SQLError, match="the connection is closed"):
            use()


def test_a_connection_closed_with_an_open_cursor(sqlite: Any) -> None:
    conn = sqlite.connect(":memory:")
    db = attach(conn, [SERIES])
    cursor = conn.execute("SELECT n FROM series(10)")
    cursor.fetchone()
    conn.close()
    del cursor
    gc.collect()
    assert db.closed


def test_a_closed_connection_is_refused(sqlite: Any) -> None:
    conn = sqlite.connect(":memory:")
    conn.close()
    with pytest.raises(sqlite.ProgrammingError):
        attach(conn, [ADD])


@pytest.mark.parametrize("thing", [None, "data.db", object()])
def test_what_is_no_connection_is_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="expected a connection of sqlite3 or pysqlite3, got"):
        attach(thing, [ADD])


def test_a_subclass_of_connection_is_accepted(sqlite: Any) -> None:
    class Mine(sqlite.Connection):
        extra = 1

    conn = sqlite.connect(":memory:", factory=Mine)
    attach(conn, [ADD])
    assert conn.execute("SELECT add_one(1)").fetchone() == (2,)
    conn.close()


def test_the_users_setting_of_extension_loading_is_kept(conn: Any, sqlite: Any) -> None:
    if not hasattr(conn, "enable_load_extension"):
        pytest.skip(f"this {sqlite.__name__} cannot load extensions: nothing to keep")

    def is_on() -> bool:
        try:
            conn.load_extension("/nonexistent")
        except sqlite.OperationalError as error:
            return "not authorized" not in str(error)
        raise AssertionError

    for state in (False, True):
        conn.enable_load_extension(state)
        attach(conn, [ADD])
        assert is_on() == state


def test_threads_with_a_connection_each(sqlite: Any, tmp_path: Any) -> None:
    errors = []

    def work() -> None:
        try:
            for _ in range(20):
                conn = sqlite.connect(tmp_path / "t.db")
                attach(conn, [SERIES, ADD])
                total = conn.execute("SELECT sum(add_one(n)) FROM series(200)").fetchone()[0]
                conn.close()
                assert total == 200 * 201 // 2
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)


def test_one_connection_used_by_many_threads_in_turn(connect: Any) -> None:
    """In turn: sqlite3 itself takes SQLite's mutex with the GIL held, which deadlocks with any
    Python callback, create_function's too, when two threads use a connection at once.
    """
    conn = connect(check_same_thread=False)
    attach(conn, [SERIES, ADD])
    turn = threading.Lock()
    results = []

    def work() -> None:
        for _ in range(50):
            with turn:
                row = conn.execute("SELECT sum(add_one(n)) FROM series(50)").fetchone()
            results.append(row[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert results == [1275] * 200


def test_two_sqlite_libraries_in_one_process() -> None:
    """The fault: a file-scope API pointer serves one library with the other's routines."""
    pysqlite3 = pytest.importorskip(
        "pysqlite3", reason="pysqlite3, the second library, is not installed"
    )
    stdlib = importlib.import_module("sqlite3")
    conns = [module.connect(":memory:") for module in (stdlib, pysqlite3) * 2]
    for conn in conns:
        attach(conn, [SERIES, ADD])
    if stdlib.sqlite_version != pysqlite3.sqlite_version:
        versions = {conn.execute("SELECT sqlite_version()").fetchone() for conn in conns}
        assert len(versions) == 2
    for conn in (conns[2], conns[1], conns[0], conns[3]):
        found = conn.execute("SELECT sum(add_one(n)), max(label) FROM series(10)").fetchone()
        assert found == (55, "n9")
        conn.close()


EXIT = """
import importlib, sys, threading, time
import numpy as np
sqlite = importlib.import_module(sys.argv[1])
from sqlite_utils_muninn.bridge import Function, TableFunction, attach, find
def batches(db):
    for i in range(1000):
        yield ([i] * 10,)
conn = sqlite.connect(":memory:", check_same_thread=False)
attach(conn, [TableFunction("f", ("x",), (), batches)])
cursor = conn.execute("SELECT x FROM f")
cursor.fetchone()
conn.execute("CREATE TEMP TABLE t AS SELECT 1")
if sys.argv[2] == "thread":
    other = sqlite.connect(":memory:", check_same_thread=False)
    attach(other, [Function("nap", (), lambda db: time.sleep(5))])
    threading.Thread(target=lambda: other.execute("SELECT nap()"), daemon=True).start()
    time.sleep(0.2)
if sys.argv[2] == "cycle":
    class Cycle: pass
    a = Cycle(); a.self = a; a.cursor = cursor; a.conn = conn
    del a, cursor, conn
if sys.argv[2] == "builtins":
    import builtins
    builtins.kept = (cursor, conn)
print("end")
"""


@pytest.mark.parametrize("how", ["plain", "cycle", "builtins", "thread"])
def test_the_process_ends_cleanly_with_open_cursors(sqlite: Any, how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", EXIT, sqlite.__name__, how],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "Fatal" not in done.stderr


def test_query_only_connections_can_be_attached(conn: Any) -> None:
    conn.execute("PRAGMA query_only = 1")
    attach(conn, [SERIES, ADD])
    assert conn.execute("SELECT sum(n) FROM series(4)").fetchone() == (6,)
