"""The end of the log is remembered with the version of the file: it must never be an old one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sqlite_utils_muninn.bridge import Function, attach
from sqlite_utils_muninn.vectors.storage.storage import Storage

from .conftest import Connect, sqlite_module

VECTOR = b"\0\0\x80?\0\0\0\0"
CREATE = "CREATE VIRTUAL TABLE {}v USING hnsw_index(dimensions=2)"
INSERT = f"INSERT INTO {{}}v(vector) VALUES (x'{VECTOR.hex()}')"


def watch(conn: Any, schema: str = "main") -> Any:
    """Have a table's storage asked while a statement reads: (what it says, what the log says)."""
    db = attach(conn)
    storage = Storage(db, schema, "v", "hnsw_index", 2)
    seen: list[Any] = []

    def ends(_: Any) -> int:
        log = f"SELECT seq, tag FROM {schema}.v_log ORDER BY seq DESC LIMIT 1"
        seen[:] = [storage.position(), db.execute(log)[0]]
        return 1

    attach(conn, [Function(f"ends_{schema}", (), ends)])

    def look() -> Any:
        conn.execute(f"SELECT ends_{schema}() FROM {schema}.v_config LIMIT 1").fetchall()
        outside = storage.position()
        assert seen[0] == seen[1]
        return outside

    return look


@pytest.mark.parametrize("mode", ["delete", "wal", "persist"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_done_the_end_of_the_log_is_the_statements_own(
    connect: Connect, tmp_path: Any, mode: str, seed: int
) -> None:
    chosen = random.Random(seed)
    conns = [connect(tmp_path / "p.db", timeout=0) for _ in range(2)]
    conns[0].execute(f"PRAGMA journal_mode={mode}")
    conns[0].execute(CREATE.format(""))
    looks = [watch(conn) for conn in conns]
    steps = (
        *(INSERT.format(""), "DELETE FROM v WHERE rowid = (SELECT max(id) FROM v_rows)"),
        *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"),
        *("SELECT count(*) FROM v_log", "PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM"),
        "CREATE TABLE IF NOT EXISTS other (x)",
    )
    done = 0
    for _ in range(250):
        who = chosen.randrange(2)
        try:
            conns[who].execute(chosen.choice(steps)).fetchall()
            done += 1
        except sqlite_module().OperationalError:
            pass  # locked, or no transaction is open
        for look in looks:
            try:
                look()
            except sqlite_module().OperationalError:  # the other one is committing
                assert mode != "wal"
    assert done > 50


def test_a_file_that_takes_anothers_place_under_the_same_name_has_its_own_log(
    connect: Connect, tmp_path: Any
) -> None:
    conn = connect()
    ends = []
    for name in ("one", "two"):
        conn.execute("ATTACH ? AS other", (str(tmp_path / name),))
        conn.execute(CREATE.format("other."))
        conn.execute(INSERT.format("other."))
        ends.append(watch(conn, "other")())
        conn.execute("DETACH other")
    assert ends[0] != ends[1]


def test_a_backup_over_the_open_file_is_noticed(connect: Connect, tmp_path: Any) -> None:
    conn, other = connect(tmp_path / "kept.db"), connect(tmp_path / "open.db")
    for one in (conn, other):
        one.execute(CREATE.format(""))
        one.execute(INSERT.format(""))
    look = watch(other)
    before = look()
    conn.backup(other)
    assert look() == watch(conn)() != before


def test_a_memory_database_has_versions_too(connect: Connect) -> None:
    conn = connect()
    conn.execute(CREATE.format(""))
    look = watch(conn)
    ends = [look()]
    for statement in (INSERT.format(""), "BEGIN", INSERT.format(""), "ROLLBACK", INSERT.format("")):
        conn.execute(statement)
        ends.append(look())
    assert [end.seq for end in ends] == [1, 2, 2, 3, 2, 3]
    assert len(set(ends)) == 4
