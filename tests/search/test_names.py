"""Names and aliases in a query: which nodes they name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable
from sqlite_utils_muninn.search.names import MOST_ALIASES, names_of, split_aliases

QUERY = "Midnight Blizzard: motives"


def graph(*aliases: str) -> KnowledgeGraph:
    return KnowledgeGraph(
        "attack",
        (
            NodeTable(
                *("objects", "id", "name"),
                aliases=aliases,
                text=("description",),
                type="type",
                fts="objects_fts",
            ),
        ),
        (EdgeTable("relationships", "source", "target", "type"),),
    )


@pytest.fixture
def nicknamed(attack: Any) -> Any:
    """APT29, node 3, has two more names, which no text has."""
    attack.execute("ALTER TABLE objects ADD COLUMN aliases TEXT")
    names = json.dumps(["Midnight Blizzard", "NOBELIUM"])
    attack.execute("UPDATE objects SET aliases = ? WHERE id = 3", (names,))
    return attack


def test_a_node_is_found_by_another_name(nicknamed: Any) -> None:
    """The fault: only labels were looked for, and a group is known by its other names."""
    assert search(nicknamed, QUERY, graph=graph()).rows == []
    rows = search(nicknamed, QUERY, graph=graph("aliases")).rows
    assert rows[0].label == "APT29"
    assert rows[0].name_match == 1
    assert rows[0].via.sentence() == "is named in the query (Midnight Blizzard), seed rank 1"
    by_label = search(nicknamed, "apt29", graph=graph("aliases")).rows[0]
    assert by_label.via.sentence() == "is named in the query, seed rank 1"
    assert {row.label for row in rows} == {"APT29", "Kerberoasting", "Phishing"} | {
        *("Encrypt Sensitive Information", "User Training"),
    }


def test_a_code_in_a_column_of_its_own_is_a_name(nicknamed: Any) -> None:
    """The fault: whoever has the number of a thing could not find it by that."""
    nicknamed.execute("ALTER TABLE objects ADD COLUMN code TEXT")
    nicknamed.execute("UPDATE objects SET code = 'G00' || id || '.001'")
    nicknamed.execute("UPDATE objects SET code = 42 WHERE id = 1")
    both = graph("aliases", "code")
    assert search(nicknamed, "G003.001", graph=both).rows[0].label == "APT29"
    assert search(nicknamed, "midnight blizzard", graph=both).rows[0].label == "APT29"
    assert search(nicknamed, "what is 42?", graph=both).rows[0].label == "Kerberoasting"


def test_an_alias_that_is_written_later_is_known(nicknamed: Any) -> None:
    assert search(nicknamed, "Cozy Bear", graph=graph("aliases")).rows == []
    nicknamed.execute("UPDATE objects SET aliases = 'Cozy Bear, The Dukes' WHERE id = 3")
    assert search(nicknamed, "the dukes", graph=graph("aliases")).rows[0].label == "APT29"


def test_a_name_that_is_label_and_alias_names_its_node_once(nicknamed: Any) -> None:
    nicknamed.execute('UPDATE objects SET aliases = \'["apt29", "APT-29", "APT29"]\'')
    (row, *_) = search(nicknamed, "APT29", graph=graph("aliases"), names=1.0).rows
    # All six bear it as an alias; APT29 not twice, which would halve what the name tells.
    assert row.name_match == pytest.approx(1 / 6**0.5)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a b", "c", 5, null, ["d"]]', ["a b", "c"]),
        ("a b, c ,, ", ["a b", "c"]),
        ("Smith, John\nJ. Smith\r\n", ["Smith, John", "J. Smith"]),
        ("a; b, c", ["a", "b, c"]),
        ("[broken, json", ["[broken", "json"]),
        ("{}", ["{}"]),
        ("[" * 9_000, ["[" * 9_000]),
        ("", []),
        (json.dumps([str(n) for n in range(500)]), [str(n) for n in range(MOST_ALIASES)]),
    ],
)
def test_aliases_are_json_lines_or_commas(text: str, names: list[str]) -> None:
    assert split_aliases(text) == names


def test_a_name_of_several_nodes_and_one_of_none() -> None:
    found = names_of(["Ada", "Bo", None], [["B"], ["Ada;Bo Lee"], [None, "Zed"]], lambda: None)
    assert [named.nodes for named in found.find("ada met bo lee, b and zed")] == [[1], [0, 1], [2]]


@pytest.mark.parametrize("value", [5, b"\xff\x00", "x" * 20_000, 1.5])
def test_whatever_the_column_holds_is_no_error(nicknamed: Any, value: Any) -> None:
    nicknamed.execute("UPDATE objects SET aliases = ?", (value,))
    assert search(nicknamed, "APT29", graph=graph("aliases")).rows[0].label == "APT29"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("who is G003.001?", "G003.001"),
        ("İzmir (G003\n 001", "G003 001"),
        ("G003" + "." * 200 + "001", "g003 001"),
        ("midnight-BLIZZARD", "midnight-BLIZZARD"),
    ],
)
def test_a_name_is_said_as_it_stands_in_the_query(nicknamed: Any, query: str, said: str) -> None:
    """The fault: who asked for T1003.001 was told that "t1003 001" is in the query."""
    nicknamed.execute("ALTER TABLE objects ADD COLUMN code TEXT")
    nicknamed.execute("UPDATE objects SET code = 'G00' || id || '.001'")
    row = search(nicknamed, query, graph=graph("aliases", "code")).rows[0]
    assert row.via.sentence() == f"is named in the query ({said}), seed rank 1"


def test_without_edges_nodes_have_their_other_names_all_the_same(nicknamed: Any) -> None:
    """The fault: aliases counted only where there are edges, and to whom edges are private."""
    alone = replace(graph("aliases"), edges=())
    answer = search(nicknamed, QUERY, graph=alone)
    assert [row.label for row in answer.rows] == ["APT29"]
    sentence = answer.rows[0].via.sentence()
    assert sentence == "is named in the query (Midnight Blizzard), seed rank 1"
    assert search(nicknamed, QUERY, graph=alone, names=0).rows == []
    private = search(nicknamed, QUERY, graph=graph("aliases"), visible=["objects", "objects_fts"])
    assert private.rows == answer.rows
