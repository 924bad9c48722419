"""Indexes that outlive their last connection: for a while, within bounds, and only with a file."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.index import index, recent
from sqlite_utils_muninn.vectors.index.recent import RECENT
from sqlite_utils_muninn.vectors.sql import surface
from sqlite_utils_muninn.vectors.storage import shared

from .conftest import open_connection

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SEARCH = "SELECT rowid FROM v WHERE vector MATCH '[0, 1]' AND k = 3"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Seconds are hundredths, and nothing is left over."""
    RECENT.forget()
    gc.collect()
    monkeypatch.setattr(recent, "TICK", 0.02)
    monkeypatch.setattr(recent, "NOTED", 0.0)
    limit = RECENT.limit
    yield
    RECENT.limit = limit
    RECENT.forget()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that an index is loaded."""
    found: list[int] = []
    load = index.Index.load

    def counted(self: Any, *given: Any) -> None:
        found.append(1)
        load(self, *given)

    monkeypatch.setattr(index.Index, "load", counted)
    return found


@pytest.fixture
def file(path: Path) -> Path:
    conn = open_connection(path)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    rows = [(i, f"[{i}, 1]") for i in range(20)]
    conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", rows)
    conn.close()
    return path


def search(path: Path) -> tuple[list[int], weakref.ref[Any]]:
    """What a connection of its own finds, and the index that it used."""
    conn = open_connection(path)
    found = [row[0] for row in conn.execute(SEARCH)]
    (used,) = shared.connection(attach(conn)).indexes.values()
    conn.close()
    return found, weakref.ref(used)


def is_gone(reference: weakref.ref[Any], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while reference() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    return reference() is None


def watcher() -> threading.Thread | None:
    return RECENT._thread


def test_a_connection_for_each_request_loads_the_index_once(file: Path, loads: list[int]) -> None:
    """Each loaded it anew: 25 to 65 ms for 100,000 rows."""
    for _ in range(5):
        assert search(file)[0] == [0, 1, 2]
    assert len(loads) == 1
    conn = open_connection(file)
    conn.execute("UPDATE v SET vector = '[0, 1]' WHERE rowid = 9")
    conn.close()
    assert search(file)[0] == [0, 9, 1]
    assert len(loads) == 1


def test_an_index_that_is_not_used_goes_and_its_watcher_ends(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, used = search(file)
    assert used() is not None
    first = watcher()
    assert first is not None
    assert first.daemon
    monkeypatch.setattr(recent, "SECONDS", 0.0)
    assert is_gone(used)
    first.join(60)
    assert not first.is_alive()
    assert watcher() is None
    monkeypatch.setattr(recent, "SECONDS", 60.0)
    _, again = search(file)  # and another one begins
    assert again() is not None
    assert watcher() is not None
    monkeypatch.setattr(recent, "SECONDS", 0.0)
    assert is_gone(again)


def test_a_search_begins_the_time_anew(file: Path) -> None:
    conn = open_connection(file)
    conn.execute(SEARCH).fetchall()
    ((used, first),) = RECENT._uses.items()
    conn.execute(SEARCH).fetchall()
    ((same, second),) = RECENT._uses.items()
    assert same is used
    assert second.when > first.when
    conn.close()


def test_a_connection_keeps_its_index_however_long_it_waits(
    file: Path, monkeypatch: pytest.MonkeyPatch, loads: list[int]
) -> None:
    conn = open_connection(file)
    conn.execute(SEARCH).fetchall()
    first = watcher()
    assert first is not None
    monkeypatch.setattr(recent, "SECONDS", 0.0)
    first.join(60)
    assert not first.is_alive()
    assert search(file)[0] == [0, 1, 2]
    assert len(loads) == 1
    conn.close()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_an_index_goes_with_its_file(file: Path, tmp_path: Path, how: str) -> None:
    _, used = search(file)
    assert used() is not None
    if how == "replaced":
        shutil.copy(file, tmp_path / "copy.db")
        os.replace(tmp_path / "copy.db", file)
    else:
        file.unlink()
    assert is_gone(used)


def test_the_index_of_a_database_in_memory_goes_with_its_connection() -> None:
    conn = open_connection()
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    conn.execute("INSERT INTO v(vector) VALUES ('[0, 1]')")
    conn.execute(SEARCH).fetchall()
    (used,) = map(weakref.ref, shared.connection(attach(conn)).indexes.values())
    conn.close()
    del conn
    gc.collect()
    assert used() is None
    assert watcher() is None


def test_the_index_of_a_dropped_table_goes_with_it(file: Path) -> None:
    _, used = search(file)
    conn = open_connection(file)
    conn.execute(SEARCH).fetchall()
    conn.execute("DROP TABLE v")
    conn.close()
    gc.collect()
    assert used() is None


def test_no_more_is_kept_than_the_host_allows(tmp_path: Path) -> None:
    """The one that was searched last stays."""
    used = []
    for number in range(3):
        conn = open_connection(tmp_path / f"{number}.db")
        conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
        rows = [(i, f"[{i}, 1]") for i in range(500)]
        conn.execute("BEGIN")
        conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", rows)
        conn.execute("COMMIT")
        conn.close()
        used.append(search(tmp_path / f"{number}.db")[1])
    sizes = [kept_one.bytes for reference in used if (kept_one := reference())]
    assert len(sizes) == 3
    assert min(sizes) > 10_000
    RECENT.limit = sizes[2] + sizes[1] // 2
    assert is_gone(used[0])
    assert is_gone(used[1])
    assert used[2]() is not None


def test_a_host_may_allow_none(file: Path) -> None:
    conn = open_connection(file)
    attach(conn, surface(Host(index_cache=0)))
    conn.execute(SEARCH).fetchall()
    (used,) = map(weakref.ref, shared.connection(attach(conn)).indexes.values())
    conn.close()
    del conn
    gc.collect()
    assert used() is None
    assert watcher() is None


FORKED = """
import os, sys
from tests.vectors.conftest import open_connection
from sqlite_utils_muninn.vectors.index import recent
from sqlite_utils_muninn.vectors.index.recent import RECENT

recent.TICK = 3600.0

def search():
    conn = open_connection(sys.argv[1])
    found = conn.execute("SELECT rowid FROM v WHERE vector MATCH '[0, 1]' AND k = 1").fetchall()
    conn.close()
    return found

search()
assert RECENT._uses and RECENT._thread.is_alive()
with RECENT._lock:  # as another thread may hold it
    child = os.fork()
    if not child:
        assert not RECENT._uses
        assert search() == [(0,)]
        assert RECENT._uses and RECENT._thread.is_alive()
        os._exit(0)
code = os.waitpid(child, 0)[1]
print("ends", flush=True)
sys.exit(code)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_begins_with_none_and_no_exit_waits(file: Path) -> None:
    command = [sys.executable, "-c", FORKED, str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ends\n"
        assert process.wait(60) == 0  # a tick takes an hour
