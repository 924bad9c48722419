"""How many rows of a graph's tables are not found by meaning until somebody embeds them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from datasette.utils import sqlite_timelimit
from datasette.utils.sqlite import sqlite3

from sqlite_utils_muninn.bridge import SQLError, attach
from sqlite_utils_muninn.vectors.tables import vector_tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from datasette.database import Database

    from sqlite_utils_muninn.search.declared import KnowledgeGraph


@dataclass(frozen=True)
class Waiting:
    """A vector table, and how many rows of its source it lacks or has an old vector of."""

    table: str
    vectors: str
    rows: int | None
    """None: counting takes too long."""


SECONDS = 10.0
"""How long a count is taken for granted."""

_counted: WeakKeyDictionary[Database, dict[str, tuple[float, Waiting]]] = WeakKeyDictionary()


async def waiting_rows(db: Database, graph: KnowledgeGraph, limit_ms: int) -> list[Waiting]:
    """Return the vector tables of a graph for which rows wait, or may wait."""
    kept = _counted.setdefault(db, {})
    names = [node.vectors for node in graph.nodes if node.vectors]
    old = [name for name in names if time.monotonic() - kept.get(name, (-SECONDS,))[0] > SECONDS]
    if old:
        counted = await db.execute_fn(lambda conn: _count(conn, old, limit_ms))
        kept.update({each.vectors: (time.monotonic(), each) for each in counted})
    return [kept[name][1] for name in names if name in kept and kept[name][1].rows != 0]


def _count(conn: Any, names: Collection[str], limit_ms: int) -> list[Waiting]:
    from sqlite_utils_muninn.vectors.state import waiting

    found = []
    for table in vector_tables(conn):
        if table.name in names and table.source is not None:
            rows: int | None = None
            with suppress(ValueError, SQLError, sqlite3.Error), sqlite_timelimit(conn, limit_ms):
                difference = waiting(attach(conn), table)
                rows = difference.todo if difference else 0
            found.append(Waiting(table.source, table.name, rows))
    return found
