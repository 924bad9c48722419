"""graph_adjacency: arrays in the file that are used while they are true, and never else."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlite_utils_muninn.graph.cache import CACHE

if TYPE_CHECKING:
    from pathlib import Path

CREATE = "CREATE VIRTUAL TABLE g USING graph_adjacency(edge_table='e', src_col=s, dst_col='t', "
CREATE += "weight_col='w')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "adjacency.db"


@pytest.fixture
def conn(connect: Any, path: Path) -> Any:
    conn = connect(path)
    conn.execute("CREATE TABLE e (s, t, w)")
    rows = [("a", "b", 2), ("b", "c", 3), ("a", "c", 9), (None, "x", 1), ("c", "c", 1)]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
    conn.execute(CREATE)
    return conn


def rows_of(conn: Any, table: str) -> list[Any]:
    queries = (
        "SELECT * FROM graph_bfs(?, 's', 't', 'a')",
        "SELECT * FROM graph_pagerank(?, 's', 't')",
        "SELECT * FROM graph_shortest_path(?, 's', 't', 'a', 'c', 'w')",
        "SELECT * FROM graph_degree(?, 's', 't', 'w')",
        "SELECT * FROM graph_leiden(?, 's', 't')",
    )
    return [conn.execute(sql, (table,)).fetchall() for sql in queries]


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


def test_a_new_connection_is_warm(conn: Any, connect: Any, path: Path) -> None:
    """The edge table is not read: other arrays in the shadow tables would be believed."""
    from sqlite_utils_muninn.graph import adjacency

    CACHE.clear()
    other = connect(path)

    def never(*arguments: Any) -> Any:
        raise AssertionError("the edge table was read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adjacency, "read", never)
        warm = rows_of(other, "g")
    assert warm == rows_of(other, "e")


ID = st.sampled_from("abcdef")
COMMANDS = [
    "INSERT INTO g(g) VALUES ('rebuild')",
    "INSERT INTO g(g) VALUES ('incremental_rebuild')",
]
CHANGES = st.lists(
    st.one_of(
        st.tuples(
            st.just("INSERT INTO e VALUES (?, ?, 1)"),
            ID,
            ID,
        ),
        st.tuples(st.just("DELETE FROM e WHERE s = ?"), ID),
        st.tuples(
            st.just("UPDATE e SET t = ? WHERE s = ?"),
            ID,
            ID,
        ),
        st.tuples(
            st.sampled_from(
                [
                    "INSERT INTO g(g) VALUES ('rebuild')",
                    "INSERT INTO g(g) VALUES ('incremental_rebuild')",
                ]
            )
        ),
        st.tuples(st.sampled_from(["BEGIN", "COMMIT", "ROLLBACK"])),
    ),
    max_size=12,
)


@pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.long)])
def test_it_is_always_what_the_edge_table_holds(
    conn: Any, connect: Any, path: Path, sqlite: Any, examples: int
) -> None:
    other = connect(path, timeout=0)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(CHANGES)
    def holds(changes: Any) -> None:
        for sql, *values in changes:
            try:
                conn.execute(sql, values)
            except sqlite.OperationalError:
                continue  # no transaction, or one within another
            assert rows_of(conn, "g") == rows_of(conn, "e")
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        CACHE.clear()
        assert rows_of(other, "g") == rows_of(other, "e")

    holds()


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
    "damage",
    [
        "UPDATE g_csr_fwd SET data = zeroblob(length(data)) WHERE name = 'edges'",
        "UPDATE g_csr_fwd SET data = substr(data, 2) WHERE name = 'targets'",
        "UPDATE g_csr_rev SET data = x'ffffff7f' || substr(data, 5) WHERE name = 'targets'",
        "UPDATE g_csr_fwd SET data = x'ffffffffffffff7f' || substr(data, 9) WHERE name = 'offsets'",
        "UPDATE g_csr_fwd SET data = 'text'",
        "DELETE FROM g_csr_rev",
        "DELETE FROM g_nodes WHERE idx = 1",
        "UPDATE g_nodes SET id = 'a'",
    ],
)
def test_damaged_arrays_are_not_believed(conn: Any, connect: Any, path: Path, damage: str) -> None:
    conn.execute(damage)
    CACHE.clear()
    other = connect(path)
    assert rows_of(other, "g") == rows_of(other, "e")


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


def test_node2vec_puts_neighbours_together(sqlite: Any) -> None:
    """Two cliques with one bridge: vectors of one clique are nearer than those of two."""
    import numpy as np

    import sqlite_utils_muninn

    conn = sqlite.connect(":memory:")
    sqlite_utils_muninn.load(conn)
    graph = nx.barbell_graph(8, 0)
    conn.execute("CREATE TABLE e (s, t)")
    conn.executemany("INSERT INTO e VALUES (?, ?)", graph.edges)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=16, metric='cosine')")
    sql = "SELECT node2vec_train('e', 's', 't', 'v', 16, 1, 0.5, 20, 20, 4)"
    assert conn.execute(sql).fetchone() == (16,)
    found = conn.execute("SELECT rowid, vector FROM v ORDER BY rowid").fetchall()
    assert [row[0] for row in found] == list(range(1, 17))
    vectors = np.array([np.frombuffer(row[1], "<f4") for row in found])
    nodes = list(dict.fromkeys(node for edge in graph.edges for node in edge))
    side = np.array(nodes) < 8
    near = vectors @ vectors.T
    inside = near[np.equal.outer(side, side)].mean()
    across = near[~np.equal.outer(side, side)].mean()
    assert inside > across + 0.2
    for bad in ("0", "16, 0", "16, 1, 1, 0"):
        with pytest.raises(sqlite.OperationalError, match="node2vec_train: argument"):
            conn.execute(f"SELECT node2vec_train('e', 's', 't', 'v', {bad})").fetchone()
    conn.close()
