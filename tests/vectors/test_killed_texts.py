"""Processes killed while texts wait for their vectors, get them, or are committed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import text_module

from .conftest import open_connection
from .embedders import Shelf, Words

ROOT = Path(__file__).parents[2]

WRITER = """
import random, sys
from tests.vectors.test_killed_texts import connection

conn = connection(sys.argv[1])
random.seed(int(sys.argv[2]))
turn = 0
while True:
    turn += 1
    conn.execute("BEGIN IMMEDIATE")
    for table in ("docs", "books"):
        (last,) = conn.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
        rows = [(i, f"word{i} thing{i % 7}. Other words of row {i} are here.", i) for i in
                range(last + 1, last + 31)]
        conn.executemany(f"INSERT INTO {table}(rowid, content, n) VALUES (?, ?, ?)", rows)
        if turn % 3 == 0:
            conn.execute(f"UPDATE {table} SET content = content || ' More.' WHERE n % 5 = 0")
            conn.execute(f"DELETE FROM {table} WHERE n % 11 = 0")
        if turn % 4 == 0:
            conn.execute(f"SELECT * FROM {table} WHERE content MATCH 'word' AND k = 3").fetchall()
    conn.execute("COMMIT")
    print(turn, flush=True)
"""


def connection(path: Any) -> Any:
    conn = open_connection(path, timeout=30)
    shelf = Shelf({"words": Words(context=20, dimensions=16)})
    attach(conn, [text_module(Host(), shelf)])
    return conn


def check(path: Path) -> int:
    """Each text has the vectors of that text, in both tables the same rows. Returns how many."""
    conn = connection(path)
    model = Words(context=20, dimensions=16)
    rows = conn.execute("SELECT rowid, content, vector FROM docs").fetchall()
    assert rows == [
        (id_, text, model.embed_report([text]).vectors[0].tobytes()) for id_, text, _ in rows
    ]
    assert conn.execute("SELECT rowid, content FROM books").fetchall() == [row[:2] for row in rows]
    for table in ("docs", "books"):
        conn.execute(f"INSERT INTO {table}({table}) VALUES ('integrity-check')")
        sql = f"SELECT count(*) FROM {table} WHERE content MATCH 'word' AND k = 100000"
        assert conn.execute(sql).fetchone() == (len(rows),)
    assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    conn.close()
    return len(rows)


def kill_and_check(path: Path, times: int) -> None:
    conn = connection(path)
    conn.execute("PRAGMA journal_mode = WAL")
    for table, more in (("docs", ""), ("books", ", chunk=true, max_tokens=16")):
        conn.execute(f"CREATE VIRTUAL TABLE {table} USING hnsw_text(model=words, +n INT{more})")
    conn.close()
    for seed in range(times):
        command = [sys.executable, "-c", WRITER, str(path), str(seed)]
        writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(random.random() * 0.2)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert check(path) > 0


def test_a_killed_writer_leaves_texts_with_their_vectors(path: Path) -> None:
    kill_and_check(path, times=3)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_killed_writers(tmp_path: Path) -> None:
    for number in range(10):
        kill_and_check(tmp_path / f"{number}.db", times=10)
