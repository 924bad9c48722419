"""A task as a real SQLite file: nodes, typed edges, full text, vectors, a declared graph.

Made with what a user has: sqlite-utils for tables and full text, this project's embedding and
declaration. A file is kept under a digest of its content, and a run that was interrupted goes on
with the rows that have no vector yet.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlite_utils

import sqlite_utils_muninn
from sqlite_utils_muninn import Host
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable, define

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.search.tasks import Task

COLUMNS = ("label", "text", "aliases")
GRAPH = KnowledgeGraph(
    "benchmark",
    (
        NodeTable(
            "nodes",
            id="name",
            label="label",
            text=("text",),
            type="type",
            fts="nodes_fts",
            vectors="nodes_vectors",
        ),
    ),
    (EdgeTable("edges", "source", "target", type="type"),),
)
NODES_BY_ALL_NAMES = replace(GRAPH.nodes[0], aliases=("aliases",))


@dataclass(frozen=True)
class Models:
    """The files of the models, and how many threads they may use."""

    embedding: Path
    reranker: Path | None
    threads: int

    def host(self) -> Host:
        """Return the terms of a connection that knows them."""
        named = {"embedding": self.embedding, "reranker": self.reranker}
        paths = {name: str(path) for name, path in named.items() if path is not None}
        return Host(models=paths, threads=self.threads)


def opened(task: Task, models: Models, cache: Path) -> sqlite3.Connection:
    """Return a connection to the task's file, which is made where it is not there."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{task.name}-{digest(task, models)}.db"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        write(task, partial)
        partial.replace(path)
    conn = sqlite3.connect(path)
    sqlite_utils_muninn.load(conn, models.host())
    embed(conn)
    define(conn, replace(GRAPH, nodes=(NODES_BY_ALL_NAMES,)) if task.aliases else GRAPH)
    conn.commit()
    return conn


def digest(task: Task, models: Models) -> str:
    """Return what a task's file depends on, as 16 letters."""
    content = repr((task.nodes, task.edges, COLUMNS, models.embedding.stat().st_size))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def write(task: Task, path: Path) -> None:
    """Write the tables and their full-text index."""
    db: Any = sqlite_utils.Database(sqlite3.connect(path))
    nodes = ({"id": n, **node._asdict()} for n, node in enumerate(task.nodes, start=1))
    db["nodes"].insert_all(nodes, pk="id")
    db["nodes"].create_index(["name"], unique=True)
    db["edges"].insert_all(edge._asdict() for edge in task.edges)
    db["edges"].create_index(["source"])
    db["edges"].create_index(["target"])
    db["nodes"].enable_fts(COLUMNS, tokenize="porter unicode61")
    db.conn.commit()
    db.close()


def embed(conn: sqlite3.Connection) -> None:
    """Embed the rows that have no vector."""
    from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
    from sqlite_utils_muninn.vectors.texts.embedder import Models as Known

    host = conn_host(conn)
    made = plan(conn, Wish("nodes", COLUMNS, "embedding"), Known(host))
    for progress in run(made, 256):
        print(f"embedded {progress.done:,} of {progress.total:,}", file=sys.stderr, flush=True)


def conn_host(conn: sqlite3.Connection) -> Host:
    """Return the terms that a connection was loaded with."""
    from sqlite_utils_muninn.bridge import find

    db = find(conn)
    assert db is not None
    host = db.state["host"]
    assert isinstance(host, Host)
    return host


def question_vectors(texts: Sequence[str], models: Models, cache: Path) -> np.ndarray:
    """Return the vectors of questions, float32; they are kept."""
    key = repr((list(texts), models.embedding.stat().st_size))
    path = cache / f"questions-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        from sqlite_utils_muninn.models.registry import registry

        model = registry().open_file(models.embedding, directory=cache)
        vectors = model.embed(list(texts), role="query", threads=models.threads)
        np.save(path, vectors.astype("<f4"))
    found: np.ndarray = np.load(path)
    return found
