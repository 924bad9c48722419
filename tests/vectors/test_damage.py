"""Damaged and hostile files: found, named, mended where the vectors are whole, never a crash."""

from __future__ import annotations

import contextlib
import random
import struct
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import sqlite_module

if TYPE_CHECKING:
    from .conftest import Connect

ROWS = 100


def blob(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def v(conn: Any) -> Any:
    make(conn)
    return conn


def make(conn: Any) -> None:
    conn.execute("CREATE TABLE secret(a)")
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2, metric=l2)")
    conn.execute("BEGIN")
    for i in range(ROWS):
        conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (i, blob(i, 1)))
    conn.execute("COMMIT")


def nearest(conn: Any, at: float = 50) -> list[int]:
    sql = "SELECT rowid FROM v WHERE vector MATCH ? AND k = 3"
    return [row[0] for row in conn.execute(sql, (blob(at, 1),))]


def problem(conn: Any) -> str | None:
    try:
        conn.execute("INSERT INTO v(v) VALUES ('integrity-check')")
    except Exception as error:
        return str(error)
    return None


DAMAGE = [
    ("DELETE FROM v_log", "v_log is empty"),
    ("DELETE FROM v_log WHERE seq = 50", "v_log has gaps"),
    ("UPDATE v_log SET seq = 9223372036854775807 WHERE seq = 101", "v_log ends in a row that is"),
    ("UPDATE v_log SET tag = 'x' WHERE seq = 101", "v_log ends in a row that is none"),
    ("UPDATE v_log SET tag = 'x' WHERE seq = 50", "v_log has 1 rows of the wrong type"),
    ("DELETE FROM v_rows WHERE id IN (3, 4)", "vectors without a row in v_rows: 3, 4"),
    ("INSERT INTO v_rows(id) VALUES (500)", "rows of v_rows without a vector: 500"),
    ("DELETE FROM v_nodes WHERE id = 7", "rows of v_rows without a vector: 7"),
    ("INSERT INTO v_nodes VALUES (-2, x'0000803f0000803f')", "without a row in v_rows: -2"),
    ("UPDATE v_nodes SET vector = x'00' WHERE id IN (7, 8)", "not their size, or hold NaN"),
    ("UPDATE v_nodes SET vector = NULL WHERE id = 7", "vectors that have not their size"),
    ("UPDATE v_nodes SET vector = '12345678' WHERE id = 7", "vectors that have not their size"),
    ("UPDATE v_nodes SET vector = zeroblob(16) WHERE id = 7", "or hold NaN or infinity: 7"),
    ("UPDATE v_nodes SET vector = x'0000c07f00000000' WHERE id = 7", "NaN or infinity: 7"),
    ("UPDATE v_nodes SET vector = x'000000000000807f' WHERE id = 7", "NaN or infinity: 7"),
]


@pytest.mark.parametrize(("sql", "message"), DAMAGE)
def test_damage_is_found_and_mended(v: Any, sql: str, message: str) -> None:
    assert problem(v) is None
    v.execute(sql)
    found = problem(v)
    assert found
    assert message in found
    v.execute("INSERT INTO v(v) VALUES ('rebuild')")
    assert problem(v) is None
    rows = dict(v.execute("SELECT rowid, vector FROM v"))
    assert all(vector == blob(i, 1) for i, vector in rows.items() if i >= 0)
    assert len(rows) >= ROWS - 2
    nearby = sorted(rows, key=lambda i: (abs(i - 50), i))[:3]
    assert nearest(v) == nearby
    v.execute("INSERT INTO v(rowid, vector) VALUES (1000, ?)", (blob(50, 1),))
    assert 1000 in nearest(v)


def test_an_empty_log_only_costs_time(v: Any) -> None:
    v.execute("DELETE FROM v_log")
    assert nearest(v) == [50, 49, 51]
    v.execute("DELETE FROM v WHERE rowid = 50")
    assert nearest(v) == [49, 51, 48]


def test_a_log_without_numbers_left_only_costs_time(v: Any) -> None:
    """The fault: SQLite then numbers rows at random, and no change was seen any more."""
    v.execute("UPDATE v_log SET seq = 9223372036854775807 WHERE seq = 101")
    for i in range(5):
        assert nearest(v)[0] == 50 - i
        v.execute("UPDATE v SET vector = ? WHERE rowid = ?", (blob(-1000, 1), 50 - i))
        v.execute("DELETE FROM v WHERE rowid = ?", (51 + i,))
    assert nearest(v) == [45, 44, 56]


def test_a_vector_of_another_size_is_an_error(v: Any, sqlite: Any) -> None:
    v.execute("UPDATE v_nodes SET vector = x'00' WHERE id = 2")
    message = r"table 'v' is damaged: v_nodes holds a vector that .*'rebuild'\) may mend"
    with pytest.raises(sqlite.DatabaseError, match=message):
        nearest(v)
    with pytest.raises(sqlite.DatabaseError, match="holds a vector that has not its size"):
        v.execute("SELECT vector FROM v").fetchall()


def test_a_format_that_is_not_known_is_no_damage(v: Any, sqlite: Any) -> None:
    """The fault: a file of another version fails with "no such table", or is "mended"."""
    v.execute("UPDATE v_config SET value = '1' WHERE key = 'format'")
    v.execute("ALTER TABLE v RENAME TO w")  # forget what was read of its config
    for sql in ("SELECT rowid FROM w WHERE vector MATCH '[1, 1]' AND k = 1", "DELETE FROM w"):
        with pytest.raises(sqlite.DatabaseError, match="another version of this program"):
            v.execute(sql).fetchall()
    v.execute("DROP TABLE w")


@pytest.mark.parametrize("id_", ["x", '"; DROP TABLE secret; --', "", None, 5, "../../x", "A" * 16])
def test_an_id_is_no_way_into_sql(v: Any, sqlite: Any, id_: Any) -> None:
    v.execute("UPDATE v_config SET value = ? WHERE key = 'id'", (id_,))
    v.execute("ALTER TABLE v RENAME TO w")
    for sql in (
        "SELECT * FROM w WHERE vector MATCH '[1, 1]' AND k = 1",
        "INSERT INTO w(vector) VALUES ('[1, 1]')",
        "DELETE FROM w",
        "INSERT INTO w(w) VALUES ('integrity-check')",
    ):
        with pytest.raises(sqlite.DatabaseError, match="w_config has no valid id"):
            v.execute(sql).fetchall()
    v.execute("INSERT INTO w(w) VALUES ('rebuild')")  # which the message names
    v.execute("INSERT INTO w(w) VALUES ('integrity-check')")
    (near,) = v.execute("SELECT rowid FROM w WHERE vector MATCH '[1, 1]' AND k = 1").fetchall()
    assert near == (1,)
    assert v.execute("SELECT count(*) FROM secret").fetchone() == (0,)
    v.execute("DROP TABLE w")


@pytest.mark.parametrize(
    ("key", "value"), [("dimensions", "9"), ("metric", "zz"), ("metric", None)]
)
def test_settings_that_are_wrong_are_found_and_mended(
    v: Any, sqlite: Any, key: str, value: Any
) -> None:
    """The fault: 'rebuild' left them, and nobody noticed another metric."""
    v.execute("UPDATE v_config SET value = ? WHERE key = ?", (value, key))
    message = f"^hnsw_index: v_config has {key} .*, the table has"
    with pytest.raises(sqlite.DatabaseError, match=message):
        v.execute("INSERT INTO v(v) VALUES ('integrity-check')")
    v.execute("INSERT INTO v(v) VALUES ('rebuild')")
    v.execute("INSERT INTO v(v) VALUES ('integrity-check')")


@pytest.mark.parametrize("suffix", ["config", "rows", "nodes", "edges", "log"])
def test_a_table_with_a_part_missing_can_be_dropped(v: Any, suffix: str) -> None:
    v.execute(f"DROP TABLE v_{suffix}")
    assert f"v_{suffix} is missing" in (problem(v) or "")
    v.execute("DROP TABLE v")
    names = [row[0] for row in v.execute("SELECT name FROM sqlite_master")]
    assert not [name for name in names if name.startswith("v")]


def test_a_copied_id_does_not_share_vectors_of_another_size(connect: Connect, path: Any) -> None:
    conn = connect(path)
    make(conn)
    nearest(conn)
    conn.execute("CREATE VIRTUAL TABLE w USING hnsw_index(dimensions=3, metric=l2)")
    conn.execute("INSERT INTO w(vector) VALUES ('[1, 2, 3]')")
    conn.execute(
        "UPDATE w_config SET value = (SELECT value FROM v_config WHERE key = 'id') WHERE key = 'id'"
    )
    conn.execute("DELETE FROM w_log")
    conn.execute("INSERT INTO w_log SELECT * FROM v_log")
    conn.execute("ALTER TABLE w RENAME TO w2")  # forget what was read of its config
    found = conn.execute("SELECT rowid FROM w2 WHERE vector MATCH '[1, 2, 3]' AND k = 1").fetchall()
    assert found == [(1,)]
    assert nearest(conn) == [50, 49, 51]


# ---- At random ----

VALUES: list[Any] = [
    None,
    0,
    1,
    -1,
    31,
    32,
    2**31,
    2**63 - 1,
    -(2**63),
    0.5,
    "",
    "x",
    b"",
    b"\0" * 7,
]


def mutate(conn: Any, chance: random.Random) -> str:
    """Change one cell, or lose or double one row, of some table behind v."""
    names = [
        row[0]
        for row in conn.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%' "
            "AND name NOT IN ('secret', 'docs')"
        )
        if not row[0].startswith("sqlite_")
    ]
    table = chance.choice(names)
    columns = [row[1] for row in conn.execute(f'PRAGMA table_info("{table}")')]
    column = chance.choice(columns)
    rows = conn.execute(f'SELECT _rowid_, "{column}" FROM "{table}"').fetchall()
    if not rows:
        return table
    number, value = chance.choice(rows)
    if chance.random() < 0.1:
        conn.execute(f'DELETE FROM "{table}" WHERE _rowid_ = ?', (number,))
        return f"{table} lost row {number}"
    if isinstance(value, bytes) and value and chance.random() < 0.7:
        at = chance.randrange(len(value))
        value = value[:at] + bytes([chance.randrange(256)]) + value[at + 1 :]
        value = value[: chance.choice([len(value), at])]
    else:
        value = chance.choice(VALUES)
    sql = f'UPDATE OR IGNORE "{table}" SET "{column}" = ? WHERE _rowid_ = ?'
    with contextlib.suppress(sqlite_module().IntegrityError):  # a type that cannot stand there
        conn.execute(sql, (value, number))
    return f"{table}.{column}"


def use(conn: Any) -> None:
    """All that users do; errors of SQLite are fine, others and crashes are not."""
    for sql in (
        "SELECT rowid, distance FROM v WHERE vector MATCH '[50, 1]' AND k = 3",
        "SELECT rowid FROM v WHERE vector MATCH '[50, 1]' AND rowid IN (3, 4, 5) AND k = 2",
        "SELECT rowid, vector FROM v",
        "SELECT vector FROM v WHERE rowid = 7",
        "INSERT INTO v(rowid, vector) VALUES (7, '[1, 2]')",
        "INSERT OR REPLACE INTO v(rowid, vector) VALUES (8, '[1, 2]')",
        "UPDATE v SET vector = '[2, 3]' WHERE rowid = 9",
        "DELETE FROM v WHERE rowid = 10",
        "INSERT INTO v(v) VALUES ('integrity-check')",
        "INSERT INTO v(v) VALUES ('optimize')",
        "INSERT INTO v(v) VALUES ('rebuild')",
        "SELECT rowid FROM v WHERE vector MATCH '[50, 1]' LIMIT 60",
    ):
        with contextlib.suppress(sqlite_module().Error):
            conn.execute(sql).fetchall()


def fuzz(connect: Connect, cases: int, seed: int) -> None:
    chance = random.Random(seed)
    conn = connect()
    make(conn)
    for _ in range(cases):
        conn.execute("BEGIN")
        conn.execute("SAVEPOINT s")
        for _ in range(chance.randint(1, 3)):
            mutate(conn, chance)
        use(conn)
        if conn.in_transaction:
            conn.execute("ROLLBACK")
    assert problem(conn) is None
    assert len(conn.execute("SELECT vector FROM v").fetchall()) == ROWS


def test_random_damage_does_not_crash(connect: Connect) -> None:
    fuzz(connect, cases=150, seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_much_random_damage_does_not_crash(connect: Connect) -> None:
    for seed in range(5):
        fuzz(connect, cases=1000, seed=seed)
