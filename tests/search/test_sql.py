"""knowledge_graph_search: the same engine and the same numbers as Python's, as a table."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import Host, search
from sqlite_utils_muninn.search import define, propose, sql
from sqlite_utils_muninn.search.options import Options

from .conftest import ATTACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUERY = "crack password service"


def rows(conn: Any, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    cursor = conn.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def test_only_the_query_is_required_and_the_numbers_are_pythons(attack: Any) -> None:
    found = rows(attack, "SELECT * FROM knowledge_graph_search(?)", QUERY)
    wanted = search(attack, QUERY).rows
    assert list(found[0]) == [
        *("node", "label", "text", "score", "rank", "hop", "fts_rank", "bm25", "distance"),
        *("fused", "rerank_score", "ppr", "via", "table", "type", "reason", "name_match"),
        *("relevance", "explanation"),
    ]
    assert len(found) == len(wanted) == 5
    for row, same in zip(found, wanted, strict=True):
        for name in ("node", "label", "text", "score", "rank", "hop", "fts_rank", "bm25", "ppr"):
            assert row[name] == getattr(same, name)
        assert json.loads(row["via"]) == json.loads(json.dumps(asdict(same.via)))
        assert row["reason"] == same.via.sentence()
        assert row["explanation"] is None


def test_arguments_by_position_as_the_signature_has_them(attack: Any) -> None:
    sql = "SELECT label FROM knowledge_graph_search(?, NULL, 2, NULL, 0, 'relationships', 'score')"
    assert [row["label"] for row in rows(attack, sql, QUERY)] == ["Kerberoasting", "Alone"]


def test_arguments_by_name_in_any_order(attack: Any) -> None:
    define(attack, propose(attack, "one"))
    define(attack, propose(attack, "two"))
    sql = (
        "SELECT label FROM knowledge_graph_search WHERE top_k = 3 AND graph = 'two' "
        "AND edge_types = 'mitigates' AND query = ? AND type_weights = '{\"mitigates\": 2}'"
    )
    found = [row["label"] for row in rows(attack, sql, QUERY)]
    assert found == ["Kerberoasting", "Encrypt Sensitive Information", "Alone"]


def test_explain_tells_the_stages_and_what_was_missing(attack: Any) -> None:
    sql = "SELECT explanation FROM knowledge_graph_search WHERE query = ? AND explain = 1"
    told = json.loads(rows(attack, sql, QUERY)[0]["explanation"])
    assert told["graph"] == "knowledge"
    assert [stage["name"] for stage in told["stages"]] == [
        *("graph", "names", "fulltext", "fusion", "walk", "rank", "reasons", "rows"),
    ]
    counts = {stage["name"]: stage["count"] for stage in told["stages"]}
    assert counts["graph"] == 4
    assert counts["fulltext"] == 2
    assert all(stage["milliseconds"] >= 0 for stage in told["stages"])
    assert told["missing"][1] == "there are no vectors: searched by full text alone"


def test_it_joins_like_a_table(attack: Any) -> None:
    sql = (
        "SELECT o.description FROM knowledge_graph_search(?) s JOIN objects o ON o.id = s.node "
        "WHERE s.type = 'mitigation' ORDER BY s.rank LIMIT 1"
    )
    assert rows(attack, sql, QUERY) == [{"description": "Enable AES instead of RC4"}]
    union = (
        "SELECT q.column1 AS q, label FROM (VALUES ('phishing'), ('apt29')) q "
        "JOIN knowledge_graph_search(q.column1) ON rank = 1"
    )
    assert rows(attack, union) == [
        {"q": "phishing", "label": "Phishing"},
        {"q": "apt29", "label": "APT29"},
    ]


def test_ids_keep_their_type(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE n (id BLOB PRIMARY KEY, name TEXT);"
        "CREATE TABLE e (source BLOB, target BLOB);"
        "INSERT INTO n VALUES (x'00ff', 'apple'), ('t', 'two'), (2.5, 'real');"
        "INSERT INTO e VALUES (x'00ff', 't'), ('t', 2.5);"
    )
    sql = "SELECT node, via FROM knowledge_graph_search('apple')"
    found = rows(conn, sql)
    assert [row["node"] for row in found] == [b"\x00\xff", "t", 2.5]
    assert json.loads(found[1]["via"])["path"][0]["source"] == "00ff"


def test_nodes_of_a_table_without_rowid_or_of_a_view(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE n (id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;"
        "CREATE TABLE m (id TEXT, name TEXT);"
        "INSERT INTO n VALUES ('a', 'apple'), ('b', 'bread');"
        "INSERT INTO m VALUES ('c', 'cider');"
        "CREATE TABLE e (source TEXT, target TEXT);"
        "INSERT INTO e VALUES ('a', 'b'), ('a', 'c');"
        "CREATE VIEW drinks AS SELECT * FROM m;"
    )
    from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable

    graph = KnowledgeGraph(
        "g",
        (NodeTable("n", label="name"), NodeTable("drinks", id="id", label="name")),
        (EdgeTable("e", "source", "target"),),
    )
    define(conn, graph)
    found = rows(conn, "SELECT node, label, \"table\" FROM knowledge_graph_search('apple')")
    assert {(row["node"], row["label"], row["table"]) for row in found} == {
        *((("a", "apple", "n")), ("b", "bread", "n"), ("c", "cider", "drinks")),
    }
    filtered = search(conn, "apple", where="name LIKE 'c%'")
    assert [row.node for row in filtered.rows] == ["c"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("knowledge_graph_search", "knowledge_graph_search: missing required argument 'query'"),
        ("knowledge_graph_search(NULL)", "argument 'query' must be text, got NULL"),
        ("knowledge_graph_search(x'00')", "argument 'query' must be text, got blob of 1 bytes"),
        (
            "knowledge_graph_search('x', NULL, 'ten')",
            "argument 'top_k' must be an integer, got text 'ten'",
        ),
        (
            "knowledge_graph_search WHERE query = 'x' AND rank_by = 'fame'",
            "knowledge_graph_search: argument 'rank_by' must be one of",
        ),
        (
            "knowledge_graph_search WHERE query = 'x' AND type_weights = '[1]'",
            "'type_weights' must be a JSON object of edge types and weights, got '[1]'",
        ),
        (
            "knowledge_graph_search WHERE query = 'x' AND query_vector = x'00' AND model = 'm'",
            "ok",
        ),
    ],
)
def test_errors_name_the_function_and_the_argument(attack: Any, sql: str, words: str) -> None:
    if words == "ok":  # a file without vectors wants no vector
        assert rows(attack, f"SELECT * FROM {sql}") == []
        return
    with pytest.raises(attack.OperationalError) as caught:
        rows(attack, f"SELECT * FROM {sql}")
    assert words in str(caught.value)


def test_a_public_connection_takes_no_condition(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    connect(tmp_path / "a.db").executescript(ATTACK)
    public = connect(tmp_path / "a.db", public=True)
    assert rows(public, "SELECT * FROM knowledge_graph_search(?)", QUERY)
    with pytest.raises(public.OperationalError, match="'where' is SQL, which may not be given"):
        rows(public, "SELECT * FROM knowledge_graph_search WHERE query = 'x' AND \"where\" = '1'")


def test_a_read_only_connection_will_do(
    connect: Callable[..., Any], sqlite: Any, tmp_path: Path
) -> None:
    from sqlite_utils_muninn import load

    connect(tmp_path / "a.db").executescript(ATTACK)
    conn = sqlite.connect(f"file:{tmp_path / 'a.db'}?mode=ro", uri=True)
    load(conn)
    assert search(conn, QUERY).rows == search(connect(tmp_path / "a.db"), QUERY).rows
    conn.close()


def test_a_statement_that_writes_sees_its_own_rows(attack: Any) -> None:
    attack.execute("CREATE TABLE found AS SELECT node FROM knowledge_graph_search(?)", (QUERY,))
    assert len(rows(attack, "SELECT * FROM found")) == 5
    attack.execute(
        "DELETE FROM relationships WHERE source IN (SELECT node FROM knowledge_graph_search(?))",
        (QUERY,),
    )
    assert len(search(attack, QUERY).rows) == 2


def test_every_setting_of_the_engine_is_an_argument(conn: Any) -> None:
    """The fault: `specificity` was one of Python and of the page alone."""
    (declared,) = sql.surface(Host(threads=1))
    assert {setting.name for setting in fields(Options)} <= {p.name for p in declared.parameters}
