"""A small knowledge graph of two node tables and two edge tables, each of which may be private."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils_muninn import connect
from sqlite_utils_muninn.search.declared import EdgeTable, KnowledgeGraph, NodeTable
from sqlite_utils_muninn.search.stored import define
from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models

if TYPE_CHECKING:
    from pathlib import Path

    from sqlite_utils_muninn.settings import Host

HOSTILE = "</script><script>alert('label')</script><img src=x onerror=alert(1)>"

PEOPLE = [
    (1, "Ada", "engineer", "Ada builds bridges of steel across rivers."),
    (2, "Bert", "engineer", "Bert designs tunnels under mountains."),
    (3, "Cleo", "baker", "Cleo bakes bread with wild yeast."),
    (4, "Dora", "baker", "Dora sells cakes at the market."),
    (5, HOSTILE, "baker, retired", "This one has a hostile name and likes rye."),
]
PLACES = [
    ("north", "Northbridge", "An old harbour with bridges."),
    ("mill", "The mill", "Where flour for bread is ground."),
    ("vault", "The vault", "Nobody may know of this secret cellar."),
]
KNOWS = [(1, 2, "taught"), (2, 3, "married"), (3, 4, "taught"), (4, 5, "taught"), (3, 1, "met")]
VISITS = [(1, "north", "works at"), (3, "mill", "works at"), (4, "mill", "visits")]
VISITS += [(2, "vault", "visits"), (4, "vault", "visits")]

GRAPH = KnowledgeGraph(
    "town",
    (
        NodeTable("people", label="name", text=("name", "bio"), type="job", fts="people_fts"),
        NodeTable("places", id="code", label="name", text=("name", "about"), fts="places_fts"),
    ),
    (
        EdgeTable("knows", "a", "b", type="how", source_table="people", target_table="people"),
        EdgeTable("visits", "who", "place", type="how", source_table="people",
                  target_table="places"),
    ),
    inverses={"taught": "taught by", "works at": "workplace of"},
)  # fmt: skip

SCHEMA = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, job TEXT, bio TEXT);
CREATE TABLE places (code TEXT PRIMARY KEY, name TEXT, about TEXT);
CREATE TABLE knows (a INTEGER REFERENCES people, b INTEGER REFERENCES people, how TEXT);
CREATE TABLE visits (who INTEGER REFERENCES people, place TEXT REFERENCES places, how TEXT);
CREATE VIRTUAL TABLE people_fts USING fts5(name, bio, content='people', content_rowid='id');
CREATE VIRTUAL TABLE places_fts USING fts5(name, about, content='places');
"""


def write_town(path: Path, host: Host, *, declare: bool = True, embed: bool = True) -> Path:
    """Write the file, with people embedded by the model 'tiny'."""
    conn = connect(path, host, isolation_level=None)
    conn.executescript(SCHEMA)
    conn.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", PEOPLE)
    conn.executemany("INSERT INTO places VALUES (?, ?, ?)", PLACES)
    conn.executemany("INSERT INTO knows VALUES (?, ?, ?)", KNOWS)
    conn.executemany("INSERT INTO visits VALUES (?, ?, ?)", VISITS)
    for index in ("people_fts", "places_fts"):
        conn.execute(f"INSERT INTO {index}({index}) VALUES ('rebuild')")
    if embed:
        list(run(plan(conn, Wish(table="people", columns=("name", "bio"), model="tiny"),
                      Models(host))))  # fmt: skip
    if declare:
        define(conn, town(embed=embed))
    conn.close()
    return path


def town(*, embed: bool = True) -> KnowledgeGraph:
    """The graph, with people's vectors where they are embedded."""
    from dataclasses import replace

    people, places = GRAPH.nodes
    people = replace(people, vectors="people_vectors" if embed else None)
    return replace(GRAPH, nodes=(people, places))
