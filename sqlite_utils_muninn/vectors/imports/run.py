"""Importing a table of vectors into an hnsw_index table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import attach, quote
from ..blob import FLOAT32
from ..options import INDEX
from ..storage.committing import renaming, transaction
from ..storage.saving import finish
from ..storage.schema import vector_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...bridge import Database
    from .origin import Origin, Row

BATCH = 1000  # rows of a commit


@dataclass
class Progress:
    """How far an import has come."""

    total: int
    seen: int = 0
    imported: int = 0
    there: int = 0
    """Rows that were in the table already."""
    unusable: int = 0
    """Rows without a vector of the right size, or one that holds NaN or infinity."""


def run(conn: Any, table: str, origin: Origin, *, replace: bool = False) -> Iterator[Progress]:
    """Copy all rows that are not there yet, or with `replace` all; tell how far it is.

    Raises ValueError where a table of that name is another one, or a transaction is open.
    """
    db = attach(getattr(conn, "conn", conn))
    if db.in_transaction:
        raise ValueError("an import commits after each batch: end the open transaction first")
    _make(db, table, origin)
    progress = Progress(origin.count)
    yield progress
    for block in origin.blocks():
        for start in range(0, len(block), BATCH):
            rows = block[start : start + BATCH]
            _store(db, table, origin, rows, progress, replace=replace)
            yield progress
    finish(db, table)


def put_in_place(conn: Any, table: str, old: str) -> None:
    """Drop the old table and let a new one have its name; views and triggers find that."""
    db = attach(getattr(conn, "conn", conn))

    def swap() -> None:
        db.execute(f"DROP TABLE {quote(old)}")
        db.execute(f"ALTER TABLE {quote(table)} RENAME TO {quote(old)}")

    with renaming(db):
        transaction(db, swap)


def _make(db: Database, table: str, origin: Origin) -> None:
    """Make the table, unless it is there."""
    for there in vector_tables(db):
        if there.name.casefold() == table.casefold():
            _compare(db, there.name, (there.kind, there.dimensions, there.metric), origin)
            return
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,))
    if found:
        raise ValueError(f"there is a table {table!r} already, of another kind: choose a new name")
    columns = "".join(f", +{quote(column.name)} {column.type}" for column in origin.columns)
    more = f", {origin.options}" if origin.options else ""
    sql = (
        f"CREATE VIRTUAL TABLE {quote(table)} USING {INDEX}(dimensions={origin.dimensions}, "
        f"metric={origin.metric}{more}{columns})"
    )
    transaction(db, lambda: db.execute(sql))


def _compare(db: Database, table: str, found: tuple[str, int, str], origin: Origin) -> None:
    rows = db.execute(f"PRAGMA table_info({quote(f'{table}_rows')})")
    columns = [row[1] for row in rows if row[1] != "id"]
    wanted = [column.name for column in origin.columns]
    if (*found, columns) != (INDEX, origin.dimensions, origin.metric, wanted):
        raise ValueError(
            f"table {table!r} is there already, and is not one of {origin.dimensions} dimensions, "
            f"metric {origin.metric} and columns {', '.join(wanted) or 'none'}: choose a new name"
        )


def _store(
    db: Database,
    table: str,
    origin: Origin,
    rows: Sequence[Row],
    progress: Progress,
    *,
    replace: bool,
) -> None:
    usable = [row for row in rows if is_usable(row.vector, origin.dimensions)]
    names = ", ".join(["rowid", "vector", *(quote(column.name) for column in origin.columns)])
    marks = ", ".join("?" * (2 + len(origin.columns)))
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    missing: list[Row] = []

    def work() -> None:
        there = set() if replace else _there(db, table, [row.id for row in usable])
        missing.extend(row for row in usable if row.id not in there)
        for row in missing:
            db.execute(
                f"{verb} INTO {quote(table)}({names}) VALUES ({marks})",
                (row.id, row.vector, *row.values),
            )

    transaction(db, work)
    progress.seen += len(rows)
    progress.imported += len(missing)
    progress.there += len(usable) - len(missing)
    progress.unusable += len(rows) - len(usable)


def _there(db: Database, table: str, ids: Sequence[int]) -> set[int]:
    rows = quote(f"{table}_rows")
    sql = f"SELECT id FROM {rows} WHERE id IN (SELECT value FROM json_each(?))"
    return {row[0] for row in db.execute(sql, (json.dumps(ids),))}


def is_usable(vector: Any, dimensions: int) -> bool:
    """Whether this is a vector of that size, of numbers."""
    if not isinstance(vector, bytes) or len(vector) != FLOAT32.itemsize * dimensions:
        return False
    return bool(np.isfinite(np.frombuffer(vector, FLOAT32)).all())
