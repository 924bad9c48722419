"""Stopping: conn.interrupt(), progress handlers and Ctrl-C end Python callbacks too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from sqlite_utils_muninn.bridge import Function, Parameter, TableFunction, attach
from tests.interruption import interrupted

BUSY = 60.0  # seconds, unless it is stopped


def busy(db: Any) -> None:
    """Work that takes a minute unless it is stopped."""
    until = time.monotonic() + BUSY
    while time.monotonic() < until:
        time.sleep(0.001)
        db.check()


def rows(db: Any, given: Any) -> Any:
    busy(db)
    return ([given],)


DECLARATIONS = [
    Function("busy", (Parameter("x"),), lambda db, x: busy(db)),
    TableFunction("busy_rows", ("y",), (Parameter("x"),), rows),
]
STATEMENTS = ["SELECT busy(begun(1))", "SELECT * FROM busy_rows(begun(1))"]


@pytest.mark.parametrize("sql", STATEMENTS)
def test_a_progress_handler_stops_python(conn: Any, sqlite: Any, sql: str) -> None:
    """Datasette's time limit is a progress handler, and it knows only the text "interrupted"."""
    attach(conn, DECLARATIONS)
    started = time.monotonic()
    conn.set_progress_handler(lambda: time.monotonic() - started > 0.1, 1000)
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute(sql.replace("begun", "abs")).fetchall()
    assert caught.value.args == ("interrupted",)
    assert time.monotonic() - started < BUSY / 2


@pytest.mark.parametrize("sql", STATEMENTS)
def test_interrupt_from_another_thread_stops_python(connect: Any, sqlite: Any, sql: str) -> None:
    conn = connect(check_same_thread=False)
    attach(conn, DECLARATIONS)
    started = time.monotonic()
    with interrupted(conn, 0.1), pytest.raises(sqlite.OperationalError) as caught:
        conn.execute(sql).fetchall()
    assert caught.value.args == ("interrupted",)
    assert time.monotonic() - started < BUSY / 2
    assert conn.execute("SELECT 1").fetchone() == (1,)


SCRIPT = """
import importlib, os, signal, sys, threading, time
sqlite = importlib.import_module(sys.argv[1])
from sqlite_utils_muninn.bridge import Function, TableFunction, attach
signal.signal(signal.SIGINT, signal.default_int_handler)
def spin(db):
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        time.sleep(0.001)
conn = sqlite.connect(":memory:")
attach(conn, [Function("spin", (), spin), TableFunction("spin_rows", ("x",), (), spin)])
def note():
    print("cleaned up")
try:
    try:
        conn.execute(sys.argv[2]).fetchall()
    finally:
        note()
except KeyboardInterrupt as error:
    answer = conn.execute("SELECT 1").fetchone()
    print("KeyboardInterrupt", type(error.__context__).__name__, answer)
"""


def run_script(sqlite: Any, sql: str, script: str = SCRIPT) -> Any:
    return subprocess.run(
        [sys.executable, "-c", script, sqlite.__name__, sql],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("sql", ["SELECT spin()", "SELECT * FROM spin_rows"])
def test_control_c_stops_python_as_keyboard_interrupt(sqlite: Any, sql: str) -> None:
    """The fault: SQLite turns it into an OperationalError, and the program goes on."""
    done = run_script(sqlite, sql)
    assert done.stdout == "KeyboardInterrupt OperationalError (1,)\n", done.stderr


def test_control_c_that_nobody_catches_ends_the_program_with_a_traceback(sqlite: Any) -> None:
    script = SCRIPT.partition("def note")[0] + "conn.execute(sys.argv[2])"
    done = run_script(sqlite, "SELECT spin()", script)
    assert done.returncode != 0
    assert "interrupted" in done.stderr
    assert "lost sys.stderr" not in done.stderr


def test_control_c_while_an_error_is_worded_is_not_lost(sqlite: Any) -> None:
    """The fault: what comes up in an exception's own __str__ is dropped, Ctrl-C too."""
    worded = """class Stop(ValueError):
    def __str__(self):
        raise KeyboardInterrupt
def spin(db):
    raise Stop
conn = """
    script = SCRIPT.replace("conn = ", worded, 1)
    done = run_script(sqlite, "SELECT spin()", script)
    assert done.stdout == "KeyboardInterrupt OperationalError (1,)\n", done.stderr


def test_check_is_quiet_and_cheap_when_nothing_stops(conn: Any) -> None:
    counts = []

    def many(db: Any) -> int:
        for _ in range(1000):
            db.check()
        counts.append(1)
        return 1

    attach(conn, [Function("many", (), many)])
    assert conn.execute("SELECT many()").fetchone() == (1,)
    assert counts == [1]
