"""Blobs are read by key, many in one call."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from sqlite_utils_muninn.bridge import Interrupted, SQLError, attach

FIND = "SELECT data FROM b WHERE id = ?"
SIZE = 2_000
FIRST, SECOND = bytes(SIZE), bytes(range(250)) * 8


@pytest.fixture
def db(connect: Any) -> Any:
    conn = connect(isolation_level=None)
    conn.execute("CREATE TABLE b(id INTEGER PRIMARY KEY, data)")
    others = [(3, "text"), (4, 5), (5, None), (6, FIRST[1:]), (7, "x" * SIZE)]
    conn.executemany("INSERT INTO b VALUES (?, ?)", [(-1, FIRST), (2, SECOND), *others])
    handle = attach(conn)
    handle.state["conn"] = conn
    return handle


def keys(*ids: int) -> bytes:
    return struct.pack(f"<{len(ids)}q", *ids)


def test_blobs_are_those_of_the_keys(db: Any) -> None:
    found, data = db.read_blobs(FIND, keys(2, 99, -1, 2), SIZE)
    assert found == keys(2, -1, 2)  # 99 is not there
    assert data == SECOND + FIRST + SECOND
    assert db.read_blobs(FIND, b"", SIZE) == (b"", b"")


@pytest.mark.parametrize("id_", [3, 4, 5, 6, 7])
def test_what_is_no_such_blob_is_an_error(db: Any, id_: int) -> None:
    with pytest.raises(TypeError, match="no blob of 2000 bytes"):
        db.read_blobs(FIND, keys(2, id_), SIZE)
    assert db.read_blobs(FIND, keys(2), SIZE)[1] == SECOND


def test_wrong_calls_are_refused(db: Any) -> None:
    for call in (
        lambda: db.read_blobs(FIND, b"1234567", SIZE),
        lambda: db.read_blobs(FIND, b"12345678", 0),
        lambda: db.read_blobs("SELECT 1, ?", b"12345678", SIZE),
    ):
        with pytest.raises(ValueError, match=r"needed|keys are int64"):
            call()
    for sql in ("SELECT 1", "SELECT data FROM nothing WHERE id = ?"):
        with pytest.raises(SQLError):
            db.read_blobs(sql, keys(2), SIZE)


def test_it_can_be_interrupted_and_leaves_no_transaction_open(db: Any) -> None:
    conn = db.state["conn"]
    conn.set_progress_handler(lambda: 1, 10)
    with pytest.raises(Interrupted):
        db.read_blobs(FIND, keys(2) * 10_000, SIZE)
    conn.set_progress_handler(None, 0)
    db.read_blobs(FIND, keys(2), SIZE)
    assert db.transaction_state() == "none"
    conn.execute("DROP TABLE b")
