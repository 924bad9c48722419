"""A large graph with real texts: Debian's packages by name and summary, joined at random.

The graph is Barabasi and Albert's (5 edges a node), the hardest for a walk: two hops from a hundred
candidates are nearly everything. Where more nodes are wanted than there are packages, a node has
the summaries of two, and its vector is the mean of theirs.
"""

from __future__ import annotations

import sqlite3
import subprocess
from typing import TYPE_CHECKING

import numpy as np

import sqlite_utils_muninn
from benchmarks.search.database import question_vectors
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable, define

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.search.database import Models

REAL = 20_000
EDGES_A_NODE = 5
SEED = 7
GRAPH = KnowledgeGraph(
    "packages",
    (
        NodeTable(
            "nodes", id="name", label="name", text=("text",), fts="nodes_fts", vectors="nodes_v"
        ),
    ),
    (EdgeTable("edges", "source", "target"),),
)
SCHEMA = """
CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, text TEXT NOT NULL);
CREATE TABLE edges (id INTEGER PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL);
CREATE VIRTUAL TABLE nodes_fts USING fts5(
    name, text, content=nodes, content_rowid=id, tokenize='porter unicode61');
CREATE VIRTUAL TABLE nodes_v USING hnsw_index(dimensions=384, metric=cosine);
"""
QUESTIONS = """\
How do I convert a video file to another format?
Which program shows the temperature of the processor?
A tool to edit photos and retouch images
How can I recover deleted files from a disk?
Something to draw diagrams and flow charts
What plays music from the command line?
Which package monitors network traffic in a terminal?
library for parsing JSON in C++
Is there a chess engine?
How to burn a DVD with a graphical interface
I want to learn typing with a game
Which software synchronizes directories between two machines?
Python bindings for a linear algebra library
What reads PDF documents and lets me annotate them?
How do I check the spelling of German texts?
astronomy program that shows the night sky
Which tool finds duplicate files?
mail server with spam filtering
How can I schedule backups to a remote host?
fonts for Chinese and Japanese characters
Where do I find a compiler for Fortran?
How do I measure the speed of a hard disk?
draw and simulate electronic circuits
Which client connects to an IRC server?
How do I split a large file into pieces and join them?
web server with support for load balancing
Is there a dictionary that works without a network?
What shows a map and plans a route?
How can I encrypt a partition?
Perl module for reading spreadsheets
tool that downloads a web site for reading offline
Which emulator runs old console games?
How do I scan a document and recognize its text?
statistics package with plots
debugger for multithreaded programs
How can I watch the log files of several services?
a calendar that works with CalDAV
Which library decodes MP3?
How do I generate documentation from source code?
simulate a solar system in three dimensions
""".splitlines()


def packages() -> list[tuple[str, str]]:
    """Return names and summaries of the packages that apt knows; none where there is no apt."""
    try:
        done = subprocess.run(
            ["apt-cache", "dumpavail"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    found: dict[str, str] = {}
    name = ""
    for line in done.stdout.splitlines():
        key, _, value = line.partition(": ")
        if key == "Package":
            name = value
        elif key in ("Description", "Description-en") and name:
            found.setdefault(name, value)
    return list(found.items())


def opened(nodes: int, models: Models, cache: Path) -> sqlite3.Connection | None:
    """Return a connection to a graph of so many nodes, made once; None: there are no texts."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"packages-{nodes}-{models.embedding.stat().st_size}.db"
    if not path.exists():
        known = packages()
        if len(known) < REAL:
            return None
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        _write(partial, nodes, known, models, cache)
        partial.replace(path)
    conn = sqlite3.connect(path)
    sqlite_utils_muninn.load(conn, models.host())
    return conn


def _write(
    path: Path, nodes: int, known: list[tuple[str, str]], models: Models, cache: Path
) -> None:
    chance = np.random.default_rng(SEED)
    order = chance.permutation(len(known))[:REAL]
    real = question_vectors([known[n][1] for n in order], models, cache)
    pairs = np.stack([np.arange(nodes) % REAL, chance.integers(0, REAL, nodes)], axis=1)
    pairs[:REAL, 1] = pairs[:REAL, 0]
    vectors = real[pairs].mean(axis=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names, texts = [], []
    for n, (first, second) in enumerate(pairs.tolist()):
        own, other = known[order[first]], known[order[second]]
        names.append(own[0] if n < REAL else f"{own[0]}-{n}")
        texts.append(own[1] if n < REAL else f"{own[1]}. {other[1]}")
    conn = sqlite3.connect(path)
    sqlite_utils_muninn.load(conn, models.host())
    conn.executescript(SCHEMA)
    conn.executemany("INSERT INTO nodes(name, text) VALUES (?, ?)", zip(names, texts, strict=True))
    ends = barabasi_albert(nodes, chance)
    conn.executemany(
        "INSERT INTO edges(source, target) VALUES (?, ?)",
        ((names[source], names[target]) for source, target in ends.tolist()),
    )
    conn.executescript(
        "CREATE INDEX edges_source ON edges(source); CREATE INDEX edges_target ON edges(target);"
        "INSERT INTO nodes_fts(nodes_fts) VALUES ('rebuild');"
    )
    conn.executemany(
        "INSERT INTO nodes_v(rowid, vector) VALUES (?, ?)",
        ((n, vector.astype("<f4").tobytes()) for n, vector in enumerate(vectors, start=1)),
    )
    define(conn, GRAPH)
    conn.commit()
    conn.close()


def barabasi_albert(nodes: int, chance: np.random.Generator) -> np.ndarray:
    """Return edges (count, 2): each new node joins 5 others, by how many edges they have."""
    ends = np.empty(2 * EDGES_A_NODE * nodes, np.int64)
    ends[: 2 * EDGES_A_NODE] = np.repeat([0, 1], EDGES_A_NODE)
    filled = 2 * EDGES_A_NODE
    edges = [(0, 1)]
    for new in range(2, nodes):
        chosen = np.unique(ends[chance.integers(0, filled, EDGES_A_NODE)]).tolist()
        edges += [(new, old) for old in chosen]
        ends[filled : filled + len(chosen)] = chosen
        ends[filled + len(chosen) : filled + 2 * len(chosen)] = new
        filled += 2 * len(chosen)
    return np.array(edges)
