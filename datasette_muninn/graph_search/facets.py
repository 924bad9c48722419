"""Which types of nodes and edges a graph has: the choices that a search form offers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from datasette.database import QueryInterrupted
from datasette.utils.sqlite import sqlite3

from sqlite_utils_muninn.bridge import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datasette.database import Database

    from sqlite_utils_muninn.search.declared import KnowledgeGraph

MOST = 30
"""Types beyond this are typed, not ticked."""
SECONDS = 60.0
"""How long types that were counted are taken for granted."""


@dataclass(frozen=True)
class Choice:
    """A type, and how many nodes or edges are of it."""

    name: str
    count: int | None


_counted: WeakKeyDictionary[Database, dict[tuple[str, str], tuple[float, Counter[str] | None]]] = (
    WeakKeyDictionary()
)


async def node_types(db: Database, graph: KnowledgeGraph, limit_ms: int) -> list[Choice]:
    """Return the types of a graph's nodes, most frequent first; none where there are too many."""
    return await _types(db, [(n.table, n.type, n.table) for n in graph.nodes], limit_ms)


async def edge_types(db: Database, graph: KnowledgeGraph, limit_ms: int) -> list[Choice]:
    """Return the types of a graph's edges, most frequent first; none where there are too many."""
    tables = [(edge.table, edge.type, edge.name or edge.table) for edge in graph.edges]
    return await _types(db, tables, limit_ms)


async def _types(
    db: Database, tables: Iterable[tuple[str, str | None, str]], limit_ms: int
) -> list[Choice]:
    """Types of (table, column of the type, the type where there is no column)."""
    counts: dict[str, int | None] = {}
    for table, column, fixed in tables:
        if column is None:
            counts.setdefault(fixed, None)
            continue
        found = await _count(db, table, column, limit_ms)
        if found is None:  # too many, or it takes too long
            return []
        for kind, count in found.items():
            counts[kind] = (counts.get(kind) or 0) + count
    choices = [Choice(kind, count) for kind, count in counts.items()]
    choices.sort(key=lambda choice: (-(choice.count or 0), choice.name))
    return choices if len(choices) <= MOST else []


async def _count(db: Database, table: str, column: str, limit_ms: int) -> Counter[str] | None:
    known = _counted.setdefault(db, {})
    when, counts = known.get((table, column), (-SECONDS, None))
    if time.monotonic() - when < SECONDS:
        return counts
    sql = (
        f"SELECT {quote(column)}, count(*) FROM {quote(table)} WHERE {quote(column)} IS NOT NULL "
        f"GROUP BY 1 LIMIT {MOST + 1}"
    )
    counts = None
    with suppress(QueryInterrupted, sqlite3.Error):  # a choice less, the search goes on
        rows = (await db.execute(sql, custom_time_limit=limit_ms, log_sql_errors=False)).rows
        counts = Counter({str(row[0]): row[1] for row in rows}) if len(rows) <= MOST else None
    known[(table, column)] = (time.monotonic(), counts)
    return counts
