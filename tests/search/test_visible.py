"""What the caller may not see does not exist: not as a row, a step, an edge, a number or a word."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable, define, graphs, propose

SECRET = "Xyzzy"
SCHEMA = f"""
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, about TEXT);
CREATE TABLE secrets (id INTEGER PRIMARY KEY, name TEXT, about TEXT);
CREATE TABLE knows (a INTEGER REFERENCES people, b INTEGER REFERENCES people, type TEXT);
CREATE TABLE keeps (a INTEGER REFERENCES people, b INTEGER REFERENCES secrets);
CREATE TABLE whispers (a INTEGER REFERENCES people, b INTEGER REFERENCES people, type TEXT);
INSERT INTO people VALUES (1, 'Ann', 'sails a red boat'), (2, 'Bob', 'bakes bread'),
    (3, 'Cyd', 'paints walls'), (4, 'Dan', 'sleeps');
INSERT INTO secrets VALUES (1, '{SECRET}', 'a red boat is hidden'), (2, '{SECRET}2', 'bread');
INSERT INTO knows VALUES (1, 2, 'friend');
INSERT INTO keeps VALUES (1, 1), (3, 1), (4, 2);
INSERT INTO whispers VALUES (2, 3, '{SECRET}');
CREATE VIRTUAL TABLE people_fts USING fts5(name, about, content=people, content_rowid=id);
CREATE VIRTUAL TABLE secrets_fts USING fts5(name, about, content=secrets, content_rowid=id);
INSERT INTO people_fts(people_fts) VALUES ('rebuild');
INSERT INTO secrets_fts(secrets_fts) VALUES ('rebuild');
"""


@pytest.fixture
def town(conn: Any) -> Any:
    conn.executescript(SCHEMA)
    return conn


def told(answer: Any) -> str:
    return json.dumps(asdict(answer))


GRAPH = KnowledgeGraph(
    "town",
    (
        NodeTable("people", label="name", text=("about",), fts="people_fts"),
        NodeTable("secrets", label="name", text=("about",), fts="secrets_fts"),
    ),
    (
        EdgeTable("knows", "a", "b", type="type", source_table="people", target_table="people"),
        EdgeTable("keeps", "a", "b", source_table="people", target_table="secrets"),
        EdgeTable("whispers", "a", "b", type="type", source_table="people", target_table="people"),
    ),
)


@pytest.mark.parametrize("how", ["declared", "given", "proposed"])
def test_nothing_shows_through_a_hidden_table(town: Any, how: str) -> None:
    if how == "declared":
        define(town, GRAPH)
    graph = {"declared": "town", "given": GRAPH, "proposed": None}[how]
    everything = search(town, "red boat", graph=graph)
    assert SECRET in told(everything)
    assert {row.label for row in everything.rows} == {"Ann", "Bob", "Cyd", SECRET}
    visible = {"people", "knows"}
    answer = search(town, "red boat", graph=graph, visible=visible)
    assert [row.label for row in answer.rows] == ["Ann", "Bob"]
    for word in (SECRET, "secrets", "keeps", "whispers"):
        assert word not in told(answer)


def test_scores_are_those_of_a_file_without_the_hidden_tables(
    town: Any, sqlite: Any, connect: Any
) -> None:
    """Not even a number may differ: ranks, idf and degrees come from what may be seen."""
    answer = search(town, "red boat", graph=GRAPH, visible={"people", "knows"})
    other = connect()
    other.executescript(SCHEMA)
    other.executescript("DROP TABLE secrets_fts; DROP TABLE secrets; DROP TABLE keeps;")
    other.executescript("DROP TABLE whispers;")
    small = KnowledgeGraph("town", GRAPH.nodes[:1], GRAPH.edges[:1])
    wanted = search(other, "red boat", graph=small)
    assert answer.rows == wanted.rows
    assert answer.edges == wanted.edges
    assert answer.missing == wanted.missing


def test_ids_of_a_hidden_table_do_not_show_through_edges_that_may_be_seen(town: Any) -> None:
    answer = search(town, "red boat", graph=GRAPH, visible={"people", "knows", "keeps"})
    assert [row.label for row in answer.rows] == ["Ann", "Bob"]
    assert {edge.table for edge in answer.edges} == {"knows"}


def test_a_hidden_tables_words_cannot_be_borrowed(town: Any) -> None:
    """A full-text table of another table would tell which rows of that one match."""
    spy = KnowledgeGraph("spy", (NodeTable("people", label="name", fts="secrets_fts"),))
    answer = search(town, "hidden", graph=spy, visible={"people"})
    assert "is_hidden" not in told(answer)
    assert answer.rows == []
    assert "secrets" not in told(answer)


def test_a_full_text_table_without_a_source_must_be_visible_itself(town: Any) -> None:
    town.execute("CREATE VIRTUAL TABLE own USING fts5(x)")
    town.execute("INSERT INTO own(rowid, x) VALUES (2, 'zebra')")
    graph = KnowledgeGraph("g", (NodeTable("people", label="name", fts="own"),))
    found = search(town, "zebra", graph=graph, visible={"people", "own"})
    assert [row.label for row in found.rows] == ["Bob"]
    assert search(town, "zebra", graph=graph, visible={"people"}).rows == []


def test_vectors_of_a_hidden_table_cannot_be_borrowed(town: Any) -> None:
    town.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=2)")
    town.execute("INSERT INTO v(rowid, vector) VALUES (2, '[1, 0]')")
    graph = KnowledgeGraph("g", (NodeTable("people", label="name", vectors="v"),))
    vector = b"\x00\x00\x80?\x00\x00\x00\x00"
    found = search(town, "x", graph=graph, query_vector=vector, visible={"people", "v"})
    assert [row.label for row in found.rows] == ["Bob"]
    hidden = search(town, "qqq", graph=graph, query_vector=vector, visible={"people"})
    assert hidden.rows == []


def test_names_of_hidden_graphs_and_tables_are_not_told(town: Any) -> None:
    define(town, KnowledgeGraph("hidden", GRAPH.nodes[1:]))
    define(town, GRAPH)
    seen = {"PEOPLE", "knows"}
    assert [graph.name for graph in graphs(town, visible=seen)] == ["town"]
    assert search(town, "boat", visible=seen).graph == "town"
    with pytest.raises(
        ValueError, match=r"no knowledge graph is called 'hidden'; declared: 'town'$"
    ):
        search(town, "boat", graph="hidden", visible=seen)
    with pytest.raises(
        ValueError, match=r"edge table of the graph 'town' \('knows'\), got 'keeps'"
    ):
        search(town, "boat", graph="town", edge_table="keeps", visible=seen)
    with pytest.raises(ValueError, match="no table with texts to search"):
        propose(town, visible=set())
    town.execute("DROP TABLE _muninn_graphs")
    assert {node.table for node in propose(town, visible=seen).nodes} == {"people"}


def test_a_stale_hidden_table_is_not_told(town: Any) -> None:
    define(town, GRAPH)
    town.executescript("DROP TABLE secrets_fts; DROP TABLE secrets;")
    answer = search(town, "boat", visible={"people", "knows"})
    assert "secrets" not in told(answer)
    assert answer.rows
