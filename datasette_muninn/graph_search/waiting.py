"""How many rows of a graph's tables are not found by meaning until somebody embeds them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from datasette.utils import sqlite_timelimit
from datasette.utils.sqlite import sqlite3

from sqlite_utils_muninn.bridge import SQLError, attach
from sqlite_utils_muninn.vectors.storage.schema import vector_tables

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
    left_out: int = 0
    """Rows that whoever embedded the table left out on purpose."""
    where: str | None = None
    """The condition by which they were."""


SECONDS = 10.0
"""How long a count is taken for granted."""

_counted: WeakKeyDictionary[Database, dict[str, tuple[float, Waiting]]] = WeakKeyDictionary()


async def waiting_rows(db: Database, graph: KnowledgeGraph, limit_ms: int) -> list[Waiting]:
    """Return the vector tables of a graph for which rows wait, may wait, or are left out."""
    kept = _counted.setdefault(db, {})
    names = [node.vectors for node in graph.nodes if node.vectors]
    old = [name for name in names if time.monotonic() - kept.get(name, (-SECONDS,))[0] > SECONDS]
    if old:
        counted = await db.execute_fn(lambda conn: _count(conn, old, limit_ms))
        kept.update({each.vectors: (time.monotonic(), each) for each in counted})
    found = [kept[name][1] for name in names if name in kept]
    return [each for each in found if each.rows != 0 or each.left_out]


def _count(conn: Any, names: Collection[str], limit_ms: int) -> list[Waiting]:
    from sqlite_utils_muninn.vectors.state import condition, waiting

    found = []
    for table in vector_tables(conn):
        if table.name in names and table.source is not None:
            each = Waiting(table.source, table.name, None)
            with suppress(ValueError, SQLError, sqlite3.Error), sqlite_timelimit(conn, limit_ms):
                difference = waiting(attach(conn), table)
                if difference is None:
                    continue
                where = condition(attach(conn), table)
                each = replace(
                    each, rows=difference.todo, left_out=len(difference.left_out), where=where
                )
            found.append(each)
    return found
