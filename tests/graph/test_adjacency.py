"""graph_adjacency: arrays in the file that are used while they are true, and never else."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.graph.adjacency_tables import CREATE, all_of, followed, rows_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def conn(connect: Any, path: Path) -> Any:
    return followed(connect(path))


def test_degrees(conn: Any) -> None:
    found = conn.execute("SELECT * FROM g").fetchall()
    assert found == [
        *[("a", 0, 0, 2, 0, 11), ("b", 1, 1, 1, 2, 3), ("c", 2, 3, 2, 13, 1)][:2],
        ("c", 2, 3, 1, 13, 1),
    ]
    config = dict(conn.execute("SELECT * FROM g_config"))
    assert (config["node_count"], config["edge_count"], config["generation"]) == (3, 4, 1)
    assert conn.execute("SELECT id FROM g_nodes ORDER BY idx").fetchall() == [
        ("a",),
        ("b",),
        ("c",),
    ]
    assert len(conn.execute("SELECT * FROM g_degree").fetchall()) == 3


def test_a_new_connection_is_warm(
    conn: Any, connect: Any, path: Path, full_reads: list[Any]
) -> None:
    other = connect(path)
    assert rows_of(other, "g") == rows_of(other, "e")
    assert full_reads == []


MAKE = {
    "plain": "CREATE TABLE e (s, t, w)",
    "integer primary key": "CREATE TABLE e (s, t, w, id INTEGER PRIMARY KEY)",
    "unique": "CREATE TABLE e (s, t, w, UNIQUE (s, t))",
    "without rowid": "CREATE TABLE e (s, t, w, PRIMARY KEY (s, t)) WITHOUT ROWID",
    "user's triggers": """
        CREATE TABLE e (s, t, w);
        CREATE TRIGGER a_first AFTER INSERT ON e WHEN new.s = 'f' BEGIN
            UPDATE e SET s = 'F' WHERE rowid = new.rowid; END;
    """,
}
LATE_TRIGGER = """CREATE TRIGGER z_last AFTER INSERT ON e WHEN new.t = 'f' BEGIN
    UPDATE e SET t = 'F' WHERE rowid = new.rowid; DELETE FROM e WHERE s = 'F' AND t = 'F'; END"""
"""Made after the table that follows: SQLite then runs it first."""
ID = st.sampled_from(["a", "b", "c", "d", "e", "f", 1, None])
ROW = st.integers(-3, 12)
WEIGHT = st.sampled_from([1, 2, 0.5])
CHANGES = st.one_of(
    st.tuples(st.just("INSERT INTO e (s, t, w) VALUES (?, ?, ?)"), ID, ID, WEIGHT),
    st.tuples(st.just("INSERT OR REPLACE INTO e (s, t, w) VALUES (?, ?, ?)"), ID, ID, WEIGHT),
    st.tuples(
        st.just("INSERT OR REPLACE INTO e (rowid, s, t, w) VALUES (?, ?, ?, 1)"), ROW, ID, ID
    ),
    st.tuples(st.just("INSERT OR IGNORE INTO e (rowid, s, t, w) VALUES (?, ?, ?, 1)"), ROW, ID, ID),
    st.tuples(st.just("INSERT INTO e (s, t, w) VALUES (?, 1.0, 1)"), ID),
    st.tuples(st.just("DELETE FROM e WHERE s = ?"), ID),
    st.tuples(st.just("DELETE FROM e WHERE rowid = ?"), ROW),
    st.tuples(st.just("DELETE FROM e")),
    st.tuples(st.just("UPDATE OR REPLACE e SET t = ? WHERE s = ?"), ID, ID),
    st.tuples(st.just("UPDATE OR IGNORE e SET rowid = ? WHERE rowid = ?"), ROW, ROW),
    st.tuples(st.just("UPDATE e SET w = w + 1 WHERE t = ?"), ID),
    st.tuples(st.just("INSERT INTO g(g) VALUES ('rebuild')")),
    st.tuples(st.just("INSERT INTO g(g) VALUES ('incremental_rebuild')")),
    st.tuples(st.just("INSERT INTO g(g) VALUES ('incremental_rebuild')")),
    st.tuples(
        st.sampled_from(
            ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "ROLLBACK TO x", "RELEASE x", "VACUUM"]
        )
    ),
    st.tuples(st.just("DROP TRIGGER g_au")),
)


def apply(conn: Any, sqlite: Any, change: Any) -> None:
    sql, *values = change
    # No transaction, or one within another; no rowids; a NULL in a key.
    with contextlib.suppress(sqlite.OperationalError, sqlite.IntegrityError):
        conn.execute(sql, values)


@pytest.mark.parametrize("kind", list(MAKE))
@pytest.mark.parametrize("examples", [15, pytest.param(300, marks=pytest.mark.long)])
def test_it_is_always_what_the_edge_table_holds(
    connect: Any, tmp_path: Path, sqlite: Any, examples: int, kind: str
) -> None:
    """Whatever is written, rolled back or vacuumed, and whatever triggers are not told."""
    numbers = itertools.count()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(CHANGES, max_size=14), st.lists(CHANGES, max_size=6), st.booleans())
    def holds(changes: Any, first: Any, late: bool) -> None:
        path = tmp_path / f"{next(numbers)}.db"
        conn, other = connect(path), connect(path, timeout=0)
        conn.execute("PRAGMA synchronous = OFF")
        conn.executescript(MAKE[kind])
        for change in first:
            if "INTO e " in change[0]:
                apply(conn, sqlite, change)
        conn.execute(CREATE)
        if late:
            conn.execute(LATE_TRIGGER)
        for change in changes:
            apply(conn, sqlite, change)
            assert all_of(conn, "g") == all_of(conn, "e"), change
            assert conn.execute("SELECT node, in_degree FROM g").fetchall() == degrees_of(conn)
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        assert all_of(other, "g") == all_of(other, "e")
        # What is written down is what a new start writes.
        conn.execute("INSERT INTO g(g) VALUES ('incremental_rebuild')")
        assert conn.execute("SELECT count(*) FROM g_delta").fetchone() == (0,)
        written = shadow_tables(conn)
        conn.execute("INSERT INTO g(g) VALUES ('rebuild')")
        assert shadow_tables(conn) == written
        conn.close()
        other.close()
        path.unlink()

    holds()


def degrees_of(conn: Any) -> list[Any]:
    sql = "SELECT node, in_degree FROM graph_degree('e', 's', 't')"
    found = dict(conn.execute(sql).fetchall())
    order = conn.execute("SELECT node FROM g").fetchall()
    assert len(order) == len(found)
    return [(node, found[node]) for (node,) in order]


def shadow_tables(conn: Any) -> list[Any]:
    config = "SELECT * FROM g_config WHERE key <> 'generation' ORDER BY key"
    names = ("g_nodes", "g_degree", "g_csr_fwd", "g_csr_rev", "g_delta")
    return [conn.execute(config).fetchall()] + [
        conn.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names
    ]


@pytest.mark.parametrize(
    "changes",
    [
        ["INSERT INTO e VALUES ('c', 'new', 4)"],
        ["DELETE FROM e WHERE rowid = 1"],
        ["DELETE FROM e WHERE t = 'c'", "INSERT INTO e (rowid, s, t, w) VALUES (0, 'z', 'a', 1)"],
        ["UPDATE e SET s = NULL WHERE rowid = 2", "UPDATE e SET s = 'x' WHERE s IS NULL"],
        ["UPDATE e SET rowid = 99 WHERE rowid = 1"],
        ["INSERT OR REPLACE INTO e (rowid, s, t, w) VALUES (2, 'p', 'q', 1)"],
    ],
)
def test_a_tail_in_the_log_is_put_into_the_arrays(
    conn: Any, connect: Any, path: Path, full_reads: list[Any], changes: list[str]
) -> None:
    """A new process need not read the edge table because a few rows have changed."""
    more = [(f"n{i}", f"n{i * 7 % 50}", 1) for i in range(50)]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", more)
    conn.execute("INSERT INTO g(g) VALUES ('rebuild')")
    for sql in changes:
        conn.execute(sql)
    other = connect(path)
    assert rows_of(other, "g") == rows_of(other, "e")
    assert full_reads == []
    before = dict(conn.execute("SELECT * FROM g_config"))
    conn.execute("INSERT INTO g(g) VALUES ('incremental_rebuild')")
    after = dict(conn.execute("SELECT * FROM g_config"))
    assert after["generation"] == before["generation"] + 1
    assert conn.execute("SELECT count(*) FROM g_delta").fetchone() == (0,)
    assert rows_of(connect(path), "g") == rows_of(conn, "e")
    assert full_reads == []
    conn.execute("INSERT INTO g(g) VALUES ('incremental_rebuild')")  # there is nothing to do
    assert dict(conn.execute("SELECT * FROM g_config")) == after


@pytest.mark.parametrize(
    "unheard",
    [
        ["INSERT OR REPLACE INTO e VALUES ('b', 'c', 7)"],  # deletes a row that no trigger sees
        ["VACUUM", "INSERT INTO e VALUES ('x', 'y', 1)"],  # gives rows other rowids
        ["VACUUM", "UPDATE e SET w = 9 WHERE s = 'c'"],
        ["VACUUM", "DELETE FROM e WHERE s = 'c'"],
        ["DROP TRIGGER g_ai", "INSERT INTO e VALUES ('x', 'y', 1)"],
        ["DROP TRIGGER g_au", "UPDATE e SET t = 'x' WHERE s = 'c'"],
        ["DROP TRIGGER g_ad", "DELETE FROM e WHERE s = 'c'", "make g_ad"],
        ["DROP TABLE e", "CREATE TABLE e (s, t, w)", "INSERT INTO e VALUES ('a', 'z', 1)"],
    ],
)
def test_what_triggers_are_not_told(connect: Any, path: Path, unheard: list[str]) -> None:
    conn = connect(path)
    # No INTEGER PRIMARY KEY and no index: VACUUM numbers the rows anew.
    unique = ", UNIQUE (s, t)" if "REPLACE" in unheard[0] else ""
    conn.execute(f"CREATE TABLE e (s, t, w{unique})")
    rows = [("gone", "gone", 1), ("a", "b", 1), ("b", "c", 2), ("c", "d", 3), ("d", "a", 4)]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", [*rows, *((i, i, 1) for i in range(20))])
    conn.execute("DELETE FROM e WHERE s = 'gone'")
    conn.execute(CREATE)
    triggers = dict(conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    for sql in unheard:
        conn.execute(triggers[sql[5:]] if sql.startswith("make ") else sql)
    for each in (conn, connect(path)):
        assert all_of(each, "g") == all_of(each, "e")
    for command in ("incremental_rebuild", "rebuild"):
        conn.execute("INSERT INTO g(g) VALUES (?)", (command,))
        assert all_of(conn, "g") == all_of(conn, "e")
    conn.execute("INSERT INTO e VALUES ('after', 'all', 1)")
    assert all_of(conn, "g") == all_of(conn, "e")


def test_the_type_of_an_id_is_that_of_its_first_row(conn: Any) -> None:
    """1 and 1.0 are one node; which one it is called by changes when the first row goes."""
    rows = [("x", 1, 1), ("x", 1.0, 1), *((i, i, 1) for i in range(20, 40))]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
    for late in (True, False):
        conn.execute("INSERT INTO g(g) VALUES ('rebuild')")
        if late:
            conn.execute("DELETE FROM e WHERE typeof(t) = 'real'")
            conn.execute("INSERT INTO g(g) VALUES ('rebuild')")
            conn.execute("INSERT INTO e VALUES ('x', 1.0, 1)")
        conn.execute("DELETE FROM e WHERE t = 1 AND typeof(t) = 'integer'")
        assert all_of(conn, "g") == all_of(conn, "e")
        assert "1.0" in all_of(conn, "g")
        conn.execute("INSERT INTO e (rowid, s, t, w) VALUES (-1, 'x', 1, 1)")


def test_a_failed_statement_leaves_no_note_and_no_harm(conn: Any, sqlite: Any) -> None:
    conn.execute("CREATE UNIQUE INDEX once ON e (s, t)")
    with pytest.raises(sqlite.IntegrityError):
        conn.execute("INSERT INTO e VALUES ('new', 'new', 1), ('a', 'b', 1)")
    assert conn.execute("SELECT count(*) FROM g_delta").fetchone() == (0,)
    # The note of a row that is noted already must not fail, whatever the statement says.
    for clause in ("ABORT", "FAIL", "ROLLBACK", "REPLACE", "IGNORE"):
        conn.execute(f"INSERT OR {clause} INTO e (rowid, s, t, w) VALUES (50, ?, 1, 1)", (clause,))
        conn.execute("DELETE FROM e WHERE rowid = 50")
    assert conn.execute("SELECT edge FROM g_delta").fetchall() == [(50,)]
    assert rows_of(conn, "g") == rows_of(conn, "e")


def test_a_file_of_sqlite_muninn(connect: Any, sqlite: Any, path: Path) -> None:
    """Its shadow tables have the same names and other columns."""
    conn = connect(path)
    conn.execute("CREATE TABLE e (s, t, w)")
    conn.execute("INSERT INTO e VALUES ('a', 'b', 1.5), ('b', 'c', 2)")
    conn.execute(CREATE)
    for suffix in ("ai", "ad", "au"):
        conn.execute(f"DROP TRIGGER g_{suffix}")
    for suffix in ("config", "nodes", "degree", "csr_fwd", "csr_rev", "delta"):
        conn.execute(f"DROP TABLE g_{suffix}")
    blocks = "(block_id INTEGER PRIMARY KEY, offsets BLOB, targets BLOB, weights BLOB)"
    conn.executescript(
        f"""
        CREATE TABLE "g_config" (key TEXT PRIMARY KEY, value TEXT);
        CREATE TABLE "g_nodes" (idx INTEGER PRIMARY KEY, id TEXT UNIQUE);
        CREATE TABLE "g_degree" (idx INTEGER PRIMARY KEY, in_deg INTEGER, out_deg INTEGER,
                                 w_in_deg REAL, w_out_deg REAL);
        CREATE TABLE "g_csr_fwd" {blocks};
        CREATE TABLE "g_csr_rev" {blocks};
        CREATE TABLE "g_delta" (rowid INTEGER PRIMARY KEY, src TEXT, dst TEXT, weight REAL,
                                op INTEGER);
        CREATE TRIGGER "g_ai" AFTER INSERT ON "e" BEGIN
            INSERT INTO "g_delta"(src, dst, weight, op) VALUES (NEW."s", NEW."t", NEW."w", 1); END;
        INSERT INTO g_config VALUES ('edge_table', 'e'), ('src_col', 's'), ('dst_col', 't'),
            ('weight_col', 'w'), ('generation', '1'), ('node_count', '3'), ('edge_count', '2'),
            ('block_size', '4096');
        INSERT INTO g_nodes VALUES (0, 'a'), (1, 'b'), (2, 'c');
        """
    )
    conn.close()
    conn = connect(path)
    conn.execute("INSERT INTO e VALUES ('c', 'd', 1)")
    assert rows_of(conn, "g") == rows_of(conn, "e")
    assert len(conn.execute("SELECT * FROM g").fetchall()) == 4
    for command in ("rebuild", "incremental_rebuild"):
        with pytest.raises(sqlite.OperationalError, match=r"another program.*CREATE it"):
            conn.execute("INSERT INTO g(g) VALUES (?)", (command,))
    conn.execute("DROP TABLE g")
    left = conn.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    assert left == [("e",)]


def test_without_the_module_the_edge_table_can_be_written(conn: Any, path: Path) -> None:
    plain = sqlite3.connect(path)
    plain.execute("INSERT INTO e VALUES ('c', 'new', 1)")
    plain.execute("UPDATE e SET w = 5 WHERE t = 'new'")
    plain.execute("DELETE FROM e WHERE s = 'b'")
    plain.commit()
    plain.close()
    assert rows_of(conn, "g") == rows_of(conn, "e")


def test_without_weights_inserts_go_on_working(conn: Any) -> None:
    """sqlite-muninn's triggers break later INSERTs without weight_col."""
    conn.execute("CREATE TABLE plain (s, t)")
    conn.execute(
        "CREATE VIRTUAL TABLE h USING graph_adjacency(edge_table=plain, src_col=s, dst_col=t)"
    )
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    assert conn.execute("SELECT node FROM graph_bfs('h', 's', 't', 1)").fetchall() == [(1,), (2,)]
    conn.execute("INSERT INTO h(h) VALUES ('rebuild')")
    assert conn.execute("SELECT node, out_degree FROM h").fetchall() == [(1, 1), (2, 0)]


def test_rename_drop_and_renamed_edges(conn: Any) -> None:
    conn.execute("ALTER TABLE e RENAME TO edges")
    assert rows_of(conn, "g") == rows_of(conn, "edges")
    conn.execute('ALTER TABLE g RENAME TO "h h"')
    conn.execute("INSERT INTO edges VALUES ('c', 'd', 1)")
    assert rows_of(conn, '"h h"') == rows_of(conn, "edges")
    conn.execute("""INSERT INTO "h h"("h h") VALUES ('rebuild')""")
    assert rows_of(conn, "h h") == rows_of(conn, "edges")
    conn.execute('DROP TABLE "h h"')
    left = conn.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    assert left == [("edges",)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("edge_table=e, src_col=s", "'dst_col' parameter is required"),
        ("edge_table=nope, src_col=s, dst_col=t", "no table or view is called 'nope'"),
        ("edge_table=e, src_col=zz, dst_col=t", "must be a column of 'e'"),
        ("edge_table=v, src_col=s, dst_col=t", "edge_table must be a table .* is a view"),
        ("edge_table=e, src_col=s, dst_col=t, foo=1", "unknown parameter 'foo=1'"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    conn: Any, sqlite: Any, arguments: str, message: str
) -> None:
    conn.execute("CREATE VIEW v AS SELECT * FROM e")
    before = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute(f"CREATE VIRTUAL TABLE bad USING graph_adjacency({arguments})")
    assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == before


def test_rows_and_unknown_commands_are_refused(conn: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match="must be 'rebuild' or 'incremental_rebuild'"):
        conn.execute("INSERT INTO g(g) VALUES ('nonsense')")
    with pytest.raises(sqlite.OperationalError, match="rows follow 'e'"):
        conn.execute("DELETE FROM g")
