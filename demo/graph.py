"""Declares the knowledge graph in the file: what the search walks, and how relations are read."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import sqlite_utils

from sqlite_utils_muninn.search.declared import EdgeTable, KnowledgeGraph, NodeTable
from sqlite_utils_muninn.search.stored import define, graphs

if TYPE_CHECKING:
    from pathlib import Path

NAME = "attack"
INVERSES = {
    "uses": "used by",
    "mitigates": "mitigated by",
    "detects": "detected by",
    "subtechnique-of": "has sub-technique",
    "attributed-to": "is behind",
    "revoked-by": "replaces",
}
"""How each type of relationship reads from its target."""


def declare_graph(database: Path) -> bool:
    """Whether the file had no such declaration yet; without vectors it is one of words alone."""
    with closing(sqlite_utils.Database(database)) as db:
        has_vectors = "objects_vectors" in db.table_names()
        graph = knowledge_graph("objects_vectors" if has_vectors else None)
        if graph in graphs(db):
            return False
        define(db, graph)
        db.conn.commit()
    return True


def knowledge_graph(vectors: str | None) -> KnowledgeGraph:
    """Objects and the relationships between them."""
    objects = NodeTable(
        "objects",
        id="id",
        label="name",
        aliases="aliases",
        text=("name", "description"),
        type="type",
        fts="objects_fts",
        vectors=vectors,
    )
    relationships = EdgeTable("relationships", source="source", target="target", type="type")
    return KnowledgeGraph(NAME, (objects,), (relationships,), inverses=INVERSES)
