"""sqlite-utils muninn graph, as a user runs it."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from click.testing import CliRunner
from sqlite_utils.cli import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "lineage.db"
    conn = sqlite3.connect(path)
    conn.executescript(
        """
        CREATE TABLE model (id TEXT PRIMARY KEY, label TEXT);
        CREATE TABLE refs (note TEXT, up TEXT REFERENCES model, down TEXT REFERENCES model,
                           cost REAL);
        INSERT INTO model VALUES ('raw', 'Raw'), ('stg', 'Staged'), ('mart', NULL), ('alone', 'A');
        INSERT INTO refs VALUES ('x', 'raw', 'stg', 2), (NULL, 'stg', 'mart', 3),
                                ('y', 'raw', 'mart', 9), ('z', NULL, 'mart', 1);
        """
    )
    conn.close()
    return path


def run(*arguments: Any, code: int = 0) -> str:
    result = CliRunner().invoke(cli, ["muninn", "graph", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_columns_are_found_from_foreign_keys(db: Path) -> None:
    assert json.loads(run("bfs", db, "refs", "raw")) == [
        {"node": "raw", "depth": 0, "parent": None},
        {"node": "stg", "depth": 1, "parent": "raw"},
        {"node": "mart", "depth": 1, "parent": "raw"},
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("path", "mart", "raw"), "no path leads from 'mart' to 'raw'"),
        (("bfs", "nowhere"), "no edge names 'nowhere'"),
    ],
)
def test_what_no_rows_mean_is_said(db: Path, arguments: tuple[str, ...], said: str) -> None:
    """The fault: [] alone, where a name was misspelt."""
    command, *nodes = arguments
    result = CliRunner().invoke(cli, ["muninn", "graph", command, str(db), "refs", *nodes])
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert result.stderr == f"Note: {said}\n"


def test_path_by_weight(db: Path) -> None:
    output = run("path", db, "refs", "raw", "mart", "--weight", "cost", "--csv")
    assert output.split() == ["node,distance,path_order", "raw,0.0,0", "stg,2.0,1", "mart,5.0,2"]


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (["components", "DB", "refs"], {"node", "component_id", "component_size"}),
        (["pagerank", "DB", "refs", "-n", "2"], {"node", "rank"}),
        (["communities", "DB", "refs"], {"node", "community_id", "modularity"}),
        (["centrality", "DB", "refs"], {"node", "centrality"}),
        (
            ["centrality", "DB", "refs", "--kind", "closeness", "--normalized"],
            {"node", "centrality"},
        ),
        (["centrality", "DB", "refs", "--kind", "edge-betweenness"], {"src", "dst", "centrality"}),
        (["select", "DB", "refs", "+mart"], {"node", "depth", "direction"}),
        (
            ["bfs", "DB", "refs", "mart", "--direction", "reverse", "--depth-first"],
            {"node", "depth", "parent"},
        ),
    ],
)
def test_every_command(db: Path, arguments: list[str], columns: set[str]) -> None:
    rows = json.loads(run(*[str(db) if part == "DB" else part for part in arguments]))
    assert rows
    assert all(set(row) == columns for row in rows)


def test_save_makes_a_table_and_makes_it_anew(db: Path) -> None:
    for _ in range(2):
        assert run("pagerank", db, "refs", "--save", "page rank") == "page rank: 3 rows\n"
    conn = sqlite3.connect(db)
    assert conn.execute('SELECT count(*), sum(rank) FROM "page rank"').fetchone() == (
        3,
        pytest.approx(1),
    )
    conn.close()


def query(db: Path, sql: str) -> list[Any]:
    conn = sqlite3.connect(db)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def test_save_as_columns_of_the_table_of_nodes(db: Path) -> None:
    """Its key is found, as both foreign keys refer to it."""
    assert run("components", db, "refs", "--save", "model") == "model: 3 rows\n"
    found = query(db, "SELECT id, label, component_id, component_size FROM model ORDER BY rowid")
    assert found == [
        ("raw", "Raw", 0, 3),
        ("stg", "Staged", 0, 3),
        ("mart", None, 0, 3),
        ("alone", "A", None, None),  # it is in no edge
    ]
    types = query(db, "SELECT type FROM pragma_table_info('model') WHERE name LIKE 'comp%'")
    assert types == [("INTEGER",), ("INTEGER",)]


def test_columns_that_are_there_are_not_written_over(db: Path) -> None:
    run("pagerank", db, "refs", "--save", "model")
    before = query(db, "SELECT * FROM model")
    output = run("pagerank", db, "refs", "--save", "model", code=1)
    assert "has a column 'rank' already: --replace writes over it" in output
    assert query(db, "SELECT * FROM model") == before
    run("pagerank", db, "refs", "-n", "1", "--save", "model", "--replace")
    found = query(db, "SELECT id FROM model WHERE rank IS NOT NULL")
    assert found == [("mart",)]  # what was there before is gone
    run("pagerank", db, "refs", "--save", "model", "--prefix", "page_")
    assert query(db, "SELECT count(*) FROM model WHERE page_rank > 0") == [(3,)]


def test_save_as_columns_by_a_key_that_is_said(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute("CREATE TABLE plain (a TEXT, b TEXT)")
    conn.execute('CREATE TABLE thing ("the number" INTEGER, Name)')
    conn.executemany("INSERT INTO plain VALUES (?, ?)", [("1", "2"), ("2", "3")])
    conn.executemany("INSERT INTO thing VALUES (?, ?)", [(1, "x"), (2, "y"), (9, "z")])
    conn.commit()
    conn.close()
    assert "say which of its columns holds the nodes: --key" in run(
        "bfs", db, "plain", "1", "--save", "thing", code=1
    )
    message = "'thing' has no column 'nope'; it has the number, Name"
    assert message in run("bfs", db, "plain", "1", "--save", "thing", "--key", "nope", code=1)
    # Ids are compared as SQLite compares the column: '1' is 1 where that is an integer.
    # (An id among the results keeps its own type, also in a table that is strict.)
    run("bfs", db, "plain", "1", "--save", "thing", "--key", "The Number")
    assert query(db, "SELECT * FROM thing") == [
        (1, "x", 0, None),
        (2, "y", 1, "1"),
        (9, "z", None, None),
    ]


def test_results_of_edges_as_columns_of_the_edge_table(db: Path) -> None:
    run("centrality", db, "refs", "--kind", "edge-betweenness", "--save", "refs")
    found = query(db, "SELECT up, down, centrality FROM refs ORDER BY rowid")
    assert found == [
        ("raw", "stg", 1),
        ("stg", "mart", 1),
        ("raw", "mart", 1),
        (None, "mart", None),
    ]
    output = run("centrality", db, "refs", "--kind", "edge-betweenness", "--save", "model", code=1)
    assert "results of edges can be columns of 'refs' or a new table" in output
    # An undirected edge may be stored the other way round, too.
    conn = sqlite3.connect(db)
    conn.execute("INSERT INTO refs (up, down) VALUES ('stg', 'raw')")
    conn.commit()
    conn.close()
    run("centrality", db, "refs", "--kind", "edge-betweenness", "--save", "refs", "--replace")
    found = query(db, "SELECT DISTINCT centrality FROM refs WHERE up IN ('raw', 'stg')")
    assert found == [(1.0,)]


def test_save_replaces_nothing_else(db: Path) -> None:
    conn = sqlite3.connect(db)
    conn.execute("CREATE TABLE other (a, b)")
    conn.execute("INSERT INTO other VALUES (1, 2)")
    conn.commit()
    conn.close()
    assert "already a table 'other'" in run("pagerank", db, "refs", "--save", "other", code=1)
    assert query(db, "SELECT * FROM other") == [(1, 2)]


@pytest.mark.parametrize("how", [["--save", "model"], ["--save", "model", "--replace"]])
def test_a_save_that_fails_leaves_nothing(db: Path, how: list[str]) -> None:
    """The column is there when the row that may not be written is met."""
    conn = sqlite3.connect(db)
    conn.execute(
        "CREATE TRIGGER never BEFORE UPDATE ON model WHEN old.id = 'mart' "
        "BEGIN SELECT raise(ABORT, 'mart stays'); END"
    )
    conn.commit()
    before = conn.execute("SELECT sql FROM sqlite_master").fetchall()
    conn.close()
    assert "mart stays" in run("pagerank", db, "refs", *how, code=1)
    assert query(db, "SELECT sql FROM sqlite_master") == before
    assert query(db, "SELECT count(*) FROM model") == [(4,)]


def test_options_about_saving_need_it(db: Path) -> None:
    output = run("pagerank", db, "refs", "--replace", code=2)
    assert "--key, --prefix and --replace are about --save" in output


@pytest.mark.parametrize("suffix", ["graphml", "gexf", "json"])
def test_export(db: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"graph.{suffix}"
    output = run("export", db, "refs", path, "--nodes", "model", "--weight", "cost")
    assert "4 nodes, 3 edges" in output
    readers = {
        "graphml": nx.read_graphml,
        "gexf": nx.read_gexf,
        "json": lambda p: nx.node_link_graph(json.loads(p.read_text()), edges="edges"),
    }
    graph = readers[suffix](path)
    assert set(graph) == {"raw", "stg", "mart", "alone"}
    assert graph.nodes["raw"]["label"] in ("Raw", "raw")  # GEXF has a label of its own
    weights = sorted(data["weight"] for _, _, data in graph.edges(data=True))
    assert weights == [2, 3, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bfs", "DB", "refs", "raw", "--source", "nope"], "argument 'src_col' must be a column"),
        (["bfs", "DB", "nothing", "raw"], "there is no table or view called 'nothing'"),
        (["select", "DB", "refs", "zzz"], "node 'zzz' not found"),
        (["export", "DB", "refs", "graph.xls"], "unknown format 'xls'"),
        (["export", "DB", "refs", "no/graph.json"], "there is no directory no"),
        (
            ["pagerank", "DB", "refs", "--weight", "note"],
            "weight of an edge must be a finite number",
        ),
    ],
)
def test_errors_are_one_sentence(db: Path, arguments: list[str], message: str) -> None:
    output = run(*[str(db) if part == "DB" else part for part in arguments], code=1)
    assert message in output
    assert output.startswith("Error: ")


def test_ends_that_cannot_be_found(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE e (one, two, three)")
    conn.execute("CREATE TABLE two (a, b)")
    conn.execute("INSERT INTO two VALUES (1, 2)")
    conn.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name)")  # rows, not pairs
    conn.execute("CREATE TABLE named (id, Target, Source)")
    conn.execute("INSERT INTO named VALUES (1, 'b', 'a')")
    conn.commit()
    conn.close()
    assert "Say --source and --target; it has one, two, three" in run(
        "components", path, "e", code=1
    )
    assert "it has id, name" in run("pagerank", path, "things", code=1)
    assert len(json.loads(run("components", path, "two"))) == 2
    assert json.loads(run("bfs", path, "named", "a"))[1]["node"] == "b"
