"""Declarations: what is written, what is read back, and what a hostile or stale one does."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import (
    EdgeTable,
    KnowledgeGraph,
    NodeTable,
    define,
    drop,
    from_json,
    graphs,
    propose,
)

GRAPH = KnowledgeGraph(
    "attack",
    (
        NodeTable(
            "objects", label="name", text=("name", "description"), type="type", fts="objects_fts"
        ),
    ),
    (EdgeTable("relationships", "source", "target", "type", timestamp="seen"),),
    {"uses": 2.0},
    {"uses": "used by"},
)


def test_a_declaration_is_read_back_as_it_was(attack: Any) -> None:
    define(attack, GRAPH)
    assert graphs(attack) == [GRAPH]
    assert from_json("attack", GRAPH.to_json()) == GRAPH


def test_a_column_of_other_names_is_declared_and_proposed(attack: Any) -> None:
    attack.execute("ALTER TABLE objects ADD COLUMN aliases TEXT")
    (proposed,) = propose(attack).nodes
    assert proposed.aliases == "aliases"
    nodes = (dataclasses.replace(GRAPH.nodes[0], aliases="Aliases"),)
    define(attack, dataclasses.replace(GRAPH, nodes=nodes))
    assert graphs(attack)[0].nodes == nodes
    wrong = (dataclasses.replace(GRAPH.nodes[0], aliases="nicknames"),)
    with pytest.raises(ValueError, match="'nicknames' as the aliases of 'objects', which has no"):
        define(attack, dataclasses.replace(GRAPH, nodes=wrong))


def test_it_is_a_plain_table_of_json(attack: Any) -> None:
    define(attack, GRAPH)
    ((name, definition),) = attack.execute("SELECT name, definition FROM _muninn_graphs").fetchall()
    assert name == "attack"
    assert json.loads(definition) == {
        "nodes": [
            {
                "table": "objects",
                "label": "name",
                "text": ["name", "description"],
                "type": "type",
                "fts": "objects_fts",
            }
        ],
        "edges": [
            {
                "table": "relationships",
                "source": "source",
                "target": "target",
                "type": "type",
                "timestamp": "seen",
            }
        ],
        "type_weights": {"uses": 2.0},
        "inverses": {"uses": "used by"},
    }


def test_defining_again_replaces_unless_told_not_to(attack: Any) -> None:
    define(attack, GRAPH)
    other = dataclasses.replace(GRAPH, type_weights={})
    with pytest.raises(ValueError, match="there is already a knowledge graph called 'attack'"):
        define(attack, other, replace=False)
    define(attack, other)
    assert graphs(attack) == [other]
    drop(attack, "attack")
    assert graphs(attack) == []
    with pytest.raises(ValueError, match="no knowledge graph is called 'attack'; declared: none"):
        drop(attack, "attack")


def test_a_declaration_belongs_to_the_callers_transaction(attack: Any) -> None:
    attack.execute("BEGIN")
    define(attack, GRAPH)
    attack.execute("ROLLBACK")
    assert graphs(attack) == []
    assert not attack.execute(
        "SELECT 1 FROM sqlite_master WHERE name = '_muninn_graphs'"
    ).fetchall()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"nodes": (NodeTable("objekts"),)},
            "knowledge graph 'attack' names the table 'objekts', which is not there",
        ),
        (
            {"nodes": (NodeTable("objects", label="titel"),)},
            "names 'titel' as the label of 'objects', which has no such column",
        ),
        (
            {"edges": (EdgeTable("relationships", "von", "target"),)},
            "names 'von' as the source of 'relationships'",
        ),
        (
            {"nodes": (NodeTable("objects", fts="objects"),)},
            "names the full-text table 'objects', which is not there",
        ),
        (
            {"nodes": (NodeTable("relationships", fts="objects_fts"),)},
            "the full-text table 'objects_fts' for 'relationships'; it is made from 'objects'",
        ),
        (
            {"nodes": (NodeTable("objects", vectors="v"),)},
            "names the vector table 'v', which is not there",
        ),
        ({"nodes": ()}, "'nodes' must name at least one table"),
        ({"type_weights": {"uses": -1.0}}, "weight of edge type 'uses' must be a number of 0"),
        ({"type_weights": {"uses": float("nan")}}, "must be a number of 0 or more, got nan"),
        (
            {"edges": (EdgeTable("relationships", "source", "target", source_table="people"),)},
            "the edges of 'relationships' end in 'people', which is none of its node tables",
        ),
    ],
)
def test_what_is_not_there_cannot_be_declared(
    attack: Any, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match="knowledge graph 'attack'") as caught:
        define(attack, dataclasses.replace(GRAPH, **change))
    assert words in str(caught.value)
    assert graphs(attack) == []


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must be a JSON object, got a list"),
        (None, "must be a JSON object, got null"),
        (b"\x00", "must be a JSON object, got bytes"),
        ("{}", "'nodes' must name at least one table"),
        ('{"nodes": {}}', "'nodes' must be a list of objects, got an object"),
        ('{"nodes": ["objects"]}', "nodes[0] must be an object, got text"),
        ('{"nodes": [{}]}', "nodes[0] must have 'table'"),
        ('{"nodes": [{"table": 5}]}', "nodes[0]: 'table' must be a name, got a number"),
        ('{"nodes": [{"table": "t", "tabel": "x"}]}', "nodes[0]: unknown key 'tabel'"),
        ('{"nodes": [{"table": "t", "text": [1]}]}', "'text' must be a list of columns"),
        ('{"nodes": [{"table": "t", "entity": 1}]}', "'entity' must be true or false"),
        ('{"nodes": [{"table": "t"}], "edges": [{"table": "e"}]}', "edges[0] must have 'source'"),
        ('{"nodes": [{"table": "t"}], "type_weights": {"a": "b"}}', "['a'] must be a number"),
        ('{"nodes": [{"table": "t"}], "inverses": {"a": 1}}', "['a'] must be text"),
        ('{"nodes": [{"table": "t"}, {"table": "t"}]}', "names table 't' twice"),
        (json.dumps({"nodes": [{"table": str(n)} for n in range(200)]}), "at most 100 tables"),
    ],
)
def test_a_broken_declaration_is_one_clear_sentence(
    attack: Any, definition: Any, words: str
) -> None:
    attack.execute("CREATE TABLE _muninn_graphs (name TEXT PRIMARY KEY, definition)")
    attack.execute("INSERT INTO _muninn_graphs VALUES ('g', ?)", (definition,))
    assert graphs(attack) == []
    with pytest.raises(ValueError, match=r"^knowledge graph 'g': ") as caught:
        search(attack, "x", graph="g")
    assert words in str(caught.value)


def test_a_hostile_declaration_is_quoted(attack: Any) -> None:
    evil = 'x" FROM objects; DROP TABLE objects; --'
    definition = {
        "nodes": [{"table": "objects", "fts": "objects_fts", "label": evil, "id": "id"}],
        "edges": [{"table": evil, "source": evil, "target": evil}],
    }
    attack.execute("CREATE TABLE _muninn_graphs (name TEXT PRIMARY KEY, definition)")
    attack.execute("INSERT INTO _muninn_graphs VALUES ('g', ?)", (json.dumps(definition),))
    answer = search(attack, "crack", graph="g")
    assert {row.node for row in answer.rows} == {1, 6}
    told = [sentence for sentence in answer.missing if "knowledge graph 'g' names" in sentence]
    assert len(told) == 2


def test_a_view_or_virtual_table_of_its_name_is_not_read(attack: Any) -> None:
    attack.execute("CREATE VIEW _muninn_graphs AS SELECT 'g' AS name, '{}' AS definition")
    assert graphs(attack) == []


def test_a_table_that_was_renamed_is_said_and_the_rest_is_searched(attack: Any) -> None:
    define(attack, GRAPH)
    attack.execute("ALTER TABLE relationships RENAME TO links")
    answer = search(attack, "crack the password")
    assert [row.label for row in answer.rows] == ["Kerberoasting", "Alone"]
    assert answer.missing[0] == (
        "knowledge graph 'attack' names the table 'relationships', which is not there"
    )
    attack.execute("DROP TABLE objects_fts")
    attack.execute("ALTER TABLE objects RENAME TO things")
    with pytest.raises(ValueError, match="names the table 'objects', which is not there"):
        search(attack, "crack")


# ---- What is proposed ----


def test_foreign_keys_and_full_text_propose_a_graph(attack: Any) -> None:
    attack.execute("CREATE TABLE unrelated (a TEXT)")
    assert propose(attack, "attack") == KnowledgeGraph(
        "attack",
        (
            NodeTable(
                "objects",
                label="name",
                text=("name", "description"),
                type="type",
                fts="objects_fts",
            ),
        ),
        (EdgeTable("relationships", "source", "target", "type"),),
    )


LIBRARY = """
CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT, summary TEXT,
    author_id INTEGER REFERENCES authors(id));
CREATE TABLE topics (name TEXT PRIMARY KEY);
CREATE TABLE book_topics (book INTEGER REFERENCES books, topic TEXT REFERENCES topics);
CREATE VIRTUAL TABLE books_fts USING fts5(title, summary, content='books', content_rowid='id');
INSERT INTO authors VALUES (1, 'Ann'), (2, 'Bob');
INSERT INTO books VALUES (1, 'Sea', 'whales', 2), (2, 'Sky', 'birds', 1), (3, 'Bay', 'ships', 2);
INSERT INTO topics VALUES ('nature'), ('travel');
INSERT INTO book_topics VALUES (1, 'nature'), (2, 'nature'), (3, 'travel');
INSERT INTO books_fts(books_fts) VALUES ('rebuild');
"""


def test_documents_and_entities_are_told_apart(conn: Any) -> None:
    conn.executescript(LIBRARY)
    graph = propose(conn)
    assert {table.table: table.entity for table in graph.nodes} == {
        **{"books": False, "topics": True, "authors": False},
    }
    assert set(graph.edges) == {
        EdgeTable("book_topics", "book", "topic", source_table="books", target_table="topics"),
        EdgeTable(
            "books", "id", "author_id", source_table="books", target_table="authors", name="author"
        ),
    }


def test_several_node_tables_whose_ids_clash_are_not_mixed_up(conn: Any) -> None:
    """Book 2 is not author 2: whales lead to Bob (2) and on to Bay, not to Sky (2)."""
    conn.executescript(LIBRARY)
    rows = search(conn, "whales", top_k=20).rows
    assert {(row.table, row.node): row.hop for row in rows} == {
        ("books", 1): 0,
        ("authors", 2): 1,
        ("topics", "nature"): 1,
        ("books", 3): 2,
        ("books", 2): 2,
    }
    by_label = {row.label: row for row in rows}
    assert by_label["Bay"].via.sentence() == ("Sea -[author]-> Bob <-[author]- Bay, seed rank 1")
    assert by_label["Bob"].type == "authors"
    assert [row.label for row in search(conn, "whales", node_types="authors").rows] == ["Bob"]


def test_names_that_need_quotes(conn: Any) -> None:
    conn.executescript(
        """
        CREATE TABLE "my ""docs"" [1]" ("the id" TEXT PRIMARY KEY, "a b" TEXT, "select" TEXT);
        CREATE TABLE "e-dges" ("from" TEXT REFERENCES "my ""docs"" [1]",
            "to" TEXT REFERENCES "my ""docs"" [1]", "order" TEXT, "group" REAL);
        CREATE VIRTUAL TABLE "f t's" USING fts5("a b", content='my "docs" [1]');
        INSERT INTO "my ""docs"" [1]" VALUES ('x''1', 'apple pie', 's'), ('y', 'other', 't');
        INSERT INTO "e-dges" VALUES ('x''1', 'y', 'needs "more"', 2);
        INSERT INTO "f t's"("f t's") VALUES ('rebuild');
        """
    )
    graph = KnowledgeGraph(
        "q",
        (NodeTable('my "docs" [1]', label="a b", text=("a b",), type="select", fts="f t's"),),
        (EdgeTable("e-dges", "from", "to", type="order", weight="group"),),
    )
    define(conn, graph)
    rows = search(conn, "apple", where="\"select\" IN ('s', 't')").rows
    assert [(row.node, row.label) for row in rows] == [("x'1", "apple pie"), ("y", "other")]
    assert rows[1].via.sentence() == 'apple pie -[needs "more"]-> other, seed rank 1'


def test_ids_of_another_type_are_the_same_where_sql_says_so(conn: Any) -> None:
    """Edges from a CSV file: '2' in a TEXT column names the INTEGER 2, as in a join."""
    conn.executescript(
        "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE e (source TEXT, target TEXT);"
        "INSERT INTO n VALUES (1, 'one'), (2, 'two'), (3, 'three');"
        "INSERT INTO e VALUES ('1', '2'), ('2', '03'), ('x', '3');"
        "CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT);"
        "CREATE TABLE d (source INTEGER, target INTEGER);"
        "INSERT INTO t VALUES ('1', 'eins'), ('2', 'zwei'); INSERT INTO d VALUES (1, 2);"
    )
    for nodes, edges, found in (("n", "e", ["one", "two"]), ("t", "d", ["eins", "zwei"])):
        graph = KnowledgeGraph(
            "g", (NodeTable(nodes, label="name"),), (EdgeTable(edges, "source", "target"),)
        )
        answer = search(conn, found[0], graph=graph)
        assert [row.label for row in answer.rows] == found


def test_ends_that_are_no_rows_and_null_ends_are_not_there(attack: Any) -> None:
    attack.execute("INSERT INTO relationships (source, target) VALUES (1, NULL), (NULL, 4)")
    attack.execute("PRAGMA foreign_keys = off")
    attack.execute("INSERT INTO relationships (source, type, target) VALUES (1, 'uses', 99)")
    rows = search(attack, "crack password service").rows
    assert {row.node for row in rows} == {1, 2, 3, 4, 6}


@pytest.mark.parametrize(
    ("weight", "words"),
    [(-1, "must be a number of 0 or more"), ("heavy", "must be a number"), (9e999, "got|has inf")],
)
def test_a_weight_that_is_none_is_refused(attack: Any, weight: Any, words: str) -> None:
    attack.execute("ALTER TABLE relationships ADD COLUMN w")
    attack.execute("UPDATE relationships SET w = ? WHERE id = 2", (weight,))
    graph = dataclasses.replace(
        GRAPH, edges=(EdgeTable("relationships", "source", "target", weight="w"),)
    )
    with pytest.raises(ValueError, match=words):
        search(attack, "crack", graph=graph)


def test_no_weight_is_a_weight_of_one(attack: Any) -> None:
    attack.execute("ALTER TABLE relationships ADD COLUMN w")
    plain = search(attack, "crack", graph=dataclasses.replace(GRAPH, type_weights={}))
    weighted = search(
        attack,
        "crack",
        graph=dataclasses.replace(
            GRAPH,
            type_weights={},
            edges=(EdgeTable("relationships", "source", "target", "type", weight="w"),),
        ),
    )
    assert [row.score for row in weighted.rows] == [row.score for row in plain.rows]
