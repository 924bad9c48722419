"""What may be an edge table, how it is named, and what is said when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable

BFS = "SELECT node FROM graph_bfs({}, 's', 't', 'a')"


def found(conn: Any, table: str) -> list[Any]:
    return [n for (n,) in conn.execute("SELECT node FROM graph_bfs(?, 's', 't', 'a')", (table,))]


@pytest.mark.parametrize(
    ("created", "written"),
    [
        ('"my edges"', "my edges"),
        ('"my edges"', '"my edges"'),
        ('"my edges"', "[my edges]"),
        ('"a""b"', 'a"b'),
        ('"a""b"', '"a""b"'),
        ('"a.b"', "a.b"),
        ('"a.b"', 'main."a.b"'),
        ('"select"', "select"),
        ("Edges", "eDGES"),
        ("edges", "main.edges"),
        ("edges", ' "main" . "edges" '),
        ("temp.edges", "temp.edges"),
        ("temp.edges", "edges"),
        ('"größe"', "größe"),
    ],
)
def test_names(conn: Any, created: str, written: str) -> None:
    """sqlite-muninn refuses quoted names."""
    conn.execute(f"CREATE TABLE {created} (s, t)")
    conn.execute(f"INSERT INTO {created} VALUES ('a', 'b')")
    assert found(conn, written) == ["a", "b"]


def test_columns_with_odd_names(conn: Any) -> None:
    conn.execute('CREATE TABLE e ("from", "to ""x""", rowid, oid)')
    conn.execute("INSERT INTO e VALUES ('a', 'b', 2, 1), ('a', 'c', 1, 2)")
    sql = "SELECT node FROM graph_bfs('e', 'FROM', ?, 'a')"
    assert conn.execute(sql, ('to "x"',)).fetchall() == [("a",), ("b",), ("c",)]
    assert conn.execute(sql, ('"to ""x"""',)).fetchall() == [("a",), ("b",), ("c",)]


def test_views_attached_and_without_rowid(conn: Any, tmp_path: Any) -> None:
    conn.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    conn.execute("CREATE TABLE other.e (s, t, PRIMARY KEY (s, t)) WITHOUT ROWID")
    conn.execute("INSERT INTO other.e VALUES ('a', 'c'), ('a', 'b')")
    assert found(conn, "other.e") == found(conn, "e") == ["a", "b", "c"]
    conn.execute("CREATE TEMP VIEW v AS SELECT s, t FROM other.e WHERE t <> 'c'")
    assert found(conn, "v") == ["a", "b"]
    conn.execute("INSERT INTO other.e VALUES ('a', 'd')")
    assert found(conn, "v") == ["a", "b", "d"]


def test_temp_wins_over_main_as_everywhere_in_sqlite(conn: Any) -> None:
    conn.execute("CREATE TABLE e (s, t)")
    conn.execute("INSERT INTO e VALUES ('a', 'main')")
    conn.execute("CREATE TEMP TABLE e (s, t)")
    conn.execute("INSERT INTO temp.e VALUES ('a', 'temp')")
    assert found(conn, "e") == ["a", "temp"]
    assert found(conn, "main.e") == ["a", "main"]


def test_times_and_types(conn: Any) -> None:
    conn.execute("CREATE TABLE e (s, t, at TEXT, kind TEXT)")
    rows = [
        ("a", "b", "2024-01-01", "knows"),
        ("b", "c", "2024-06-01", "likes"),
        ("b", "d", None, "x"),
    ]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?, ?)", rows)
    sql = "SELECT node FROM graph_bfs WHERE edge_table='e' AND src_col='s' AND dst_col='t'"
    sql += " AND start_node='a'"

    def nodes(more: str) -> str:
        return "".join(n for (n,) in conn.execute(sql + more))

    assert nodes("") == "abcd"
    assert nodes(" AND timestamp_col='at'") == "abcd"
    assert (
        nodes(" AND timestamp_col='at' AND time_start='2024-01-01' AND time_end='2024-06-01'")
        == "abc"
    )
    assert nodes(" AND timestamp_col='at' AND time_end='2024-05-01'") == "ab"
    assert nodes(" AND edge_type_col='kind' AND edge_types='knows, x'") == "abd"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "graph_bfs('edgs', 's', 't', 1)",
            "graph_bfs: no table or view is called 'edgs'; did you mean 'edges'?",
        ),
        (
            "graph_bfs('edges', 'x', 't', 1)",
            "argument 'src_col' must be a column of 'edges' (s, t, w), got 'x'",
        ),
        (
            "graph_bfs('edges', 's', 't')",
            "graph_bfs: missing required argument 'start_node'",
        ),
        (
            "graph_bfs('edges', 's', 't', 1, -1)",
            "graph_bfs: argument 'max_depth' must be 0 or more, got -1",
        ),
        (
            "graph_bfs('edges', 's', 't', 1, 2, 'up')",
            "argument 'direction' must be forward, reverse or both, got 'up'",
        ),
        (
            "graph_pagerank('edges', 's', 't', 1.5)",
            "argument 'damping' must be from 0 to 1, got 1.5",
        ),
        (
            "graph_pagerank('edges', 's', 't', 0.5, 0)",
            "argument 'iterations' must be 1 or more, got 0",
        ),
        (
            "graph_pagerank('edges', 's', 't', 'much')",
            "argument 'damping' must be a number, got text 'much'",
        ),
        (
            "graph_pagerank('edges', 's', 't', 0.5, 9, 0, '{\"q\": 1}')",
            "must name a node of the graph",
        ),
        (
            "graph_leiden('edges', 's', 't', NULL, -1)",
            "argument 'resolution' must be 0 or more, got -1",
        ),
        (
            "graph_shortest_path('edges', 's', 't', 1, 3, 'w')",
            "weight of an edge must be a finite number, got text 'heavy' from 3 to 4",
        ),
        (
            "graph_closeness('negative', 's', 't', 'w')",
            "the weight of an edge must not be negative, got -2 from 1 to 2",
        ),
        (
            "graph_shortest_path('void', 's', 't', 1, 2, 'w')",
            "must be a finite number, got NULL from 1 to 2",
        ),
        (
            "graph_shortest_path('endless', 's', 't', 1, 2, 'w')",
            "must be a finite number, got real inf",
        ),
        (
            "graph_degree('edges', 's', 't', 'w')",
            "must be a finite number, got text 'heavy'",
        ),
        (
            "graph_conductance('edges', 's', 't')",
            "missing required argument 'membership_table'",
        ),
    ],
)
def test_errors_say_which_argument_and_why(conn: Any, sqlite: Any, sql: str, message: str) -> None:
    conn.execute("CREATE TABLE edges (s, t, w)")
    conn.execute("INSERT INTO edges VALUES (1, 2, 1), (2, 3, 2.5), (3, 4, 'heavy')")
    for table, weight in (("negative", -2), ("void", None), ("endless", float("inf"))):
        conn.execute(f"CREATE TABLE {table} (s, t, w)")
        conn.execute(f"INSERT INTO {table} VALUES (1, 2, ?)", (weight,))
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute(f"SELECT * FROM {sql}").fetchall()
    assert message in str(caught.value)
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_null_ends_are_skipped_and_kill_nobody(conn: Any) -> None:
    """A NULL neighbour ends sqlite-muninn's process."""
    conn.execute("CREATE TABLE e (s, t)")
    conn.executemany(
        "INSERT INTO e VALUES (?, ?)", [("a", None), (None, "b"), ("a", "b"), (None, None)]
    )
    assert found(conn, "e") == ["a", "b"]
    assert conn.execute("SELECT count(*) FROM graph_components('e', 's', 't')").fetchone() == (2,)


def test_memory_is_refused_before_it_is_taken(connect: Any, sqlite: Any) -> None:
    conn = connect(host=Host(graph_memory=2_000_000))
    conn.execute("CREATE TABLE e (s, t)")
    many = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT {}) "
    conn.execute("INSERT INTO e " + many.format(20_000) + "SELECT n, n + 1 FROM c")
    assert conn.execute("SELECT count(*) FROM graph_components('e', 's', 't')").fetchone() == (
        20_001,
    )
    with pytest.raises(
        sqlite.OperationalError, match=r"graph_leiden: the communities would take \d"
    ):
        conn.execute("SELECT * FROM graph_leiden('e', 's', 't')").fetchall()
    conn.execute("INSERT INTO e " + many.format(300_000) + "SELECT n, n + 2 FROM c")
    with pytest.raises(
        sqlite.OperationalError, match=r"graph_degree: the edge table .*at most 2.0 MB"
    ):
        conn.execute("SELECT * FROM graph_degree('e', 's', 't')").fetchall()


@pytest.mark.parametrize("limit", [0, 1, 3, 50])
def test_order_and_limit_are_pushed_down(edges: Callable[..., Any], limit: int) -> None:
    conn = edges(*((i % 37, i * i % 41, 1) for i in range(300)))
    for name, column in (
        ("pagerank", "rank"),
        ("degree", "centrality"),
        ("closeness", "centrality"),
    ):
        sql = f"SELECT node, {column} FROM graph_{name}('e', 's', 't') ORDER BY {column} DESC"
        every = conn.execute(sql).fetchall()
        assert conn.execute(f"{sql} LIMIT {limit}").fetchall() == every[:limit]
        assert conn.execute(f"{sql} LIMIT {limit} OFFSET 2").fetchall() == every[2 : 2 + limit]
        plan = conn.execute(f"EXPLAIN QUERY PLAN {sql} LIMIT 3").fetchall()
        assert not any("ORDER BY" in str(row) for row in plan)
        assert conn.execute(f"SELECT count(*) FROM graph_{name}('e', 's', 't')").fetchone() == (
            len(every),
        )


def test_functions_work_in_views_and_under_untrusted_schemas(edges: Callable[..., Any]) -> None:
    conn = edges(("a", "b"))
    conn.execute("PRAGMA trusted_schema = 0")
    conn.execute("CREATE VIEW reach AS SELECT node FROM graph_bfs('e', 's', 't', 'a')")
    assert conn.execute("SELECT * FROM reach").fetchall() == [("a",), ("b",)]
