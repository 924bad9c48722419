"""Parts of blobs are read where they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Interrupted, SQLError, attach

PLACES = "SELECT row, slice FROM places WHERE id = ?"
BLOBS = ("main", "b", "data")


@pytest.fixture
def db(connect: Any) -> Any:
    conn = connect(isolation_level=None)
    conn.execute("CREATE TABLE b(id INTEGER PRIMARY KEY, data)")
    conn.execute("CREATE TABLE places(id INTEGER PRIMARY KEY, row, slice)")
    blob = bytes(range(256)) * 100  # over several pages
    conn.execute("INSERT INTO b VALUES (1, ?), (2, ?), (3, 'text'), (4, 5)", (blob, blob[::-1]))
    places = [(10, 1, 0), (11, 1, 3199), (12, 2, 5), (13, 2, 3200), (14, 9, 0), (15, 1, -1)]
    conn.executemany("INSERT INTO places VALUES (?, ?, ?)", [*places, (16, 4, 0)])
    handle = attach(conn)
    handle.state["conn"] = conn
    return handle


def test_slices_are_those_of_the_blobs(db: Any) -> None:
    blob = bytes(range(256)) * 100
    found, data = db.slices(PLACES, np.array([12, 99, 11, 10, 12]), BLOBS, 8)
    assert found.tolist() == [12, 11, 10, 12]  # 99 has no place
    backwards = blob[::-1][40:48]
    assert data == backwards + blob[-8:] + blob[:8] + backwards
    found, data = db.slices(PLACES, np.empty(0, np.int64), BLOBS, 8)
    assert (found.tolist(), data) == ([], b"")


@pytest.mark.parametrize("id_", [13, 14, 15, 16])
def test_what_is_not_there_is_an_error(db: Any, id_: int) -> None:
    with pytest.raises(SQLError):
        db.slices(PLACES, np.array([10, id_]), BLOBS, 8)
    assert db.slices(PLACES, np.array([10]), BLOBS, 8)[1] == bytes(range(8))


def test_wrong_calls_are_refused(db: Any) -> None:
    for call in (
        lambda: db.read_slices(PLACES, b"1234567", *BLOBS, 8),
        lambda: db.read_slices(PLACES, b"12345678", *BLOBS, 0),
        lambda: db.read_slices("SELECT 1 WHERE ?", b"12345678", *BLOBS, 8),
    ):
        with pytest.raises(ValueError, match=r"needed|ids are int64"):
            call()
    for sql, blobs in (("SELECT 1, 2", BLOBS), (PLACES, ("main", "nothing", "data"))):
        with pytest.raises(SQLError):
            db.slices(sql, np.array([10]), blobs, 8)


def test_it_can_be_interrupted_and_leaves_no_transaction_open(db: Any) -> None:
    conn = db.state["conn"]
    conn.set_progress_handler(lambda: 1, 10)
    with pytest.raises(Interrupted):
        db.slices(PLACES, np.full(10_000, 10), BLOBS, 8)
    conn.set_progress_handler(None, 0)
    db.slices(PLACES, np.array([10]), BLOBS, 8)
    assert db.transaction_state() == "none"
    conn.execute("DROP TABLE b")  # no blob is open
