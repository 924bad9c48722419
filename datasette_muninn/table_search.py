"""Searching the embedded tables of a database by meaning, for one actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasette.utils import path_from_row_pks

from sqlite_utils_muninn.bridge import quote
from sqlite_utils_muninn.vectors.nearest import fingerprint_of, nearest, query_vector
from sqlite_utils_muninn.vectors.storage.schema import vector_tables

from .connections import one_snapshot
from .inference import inference_of
from .permissions import may_view
from .settings import settings_of
from .snippets import SNIPPET, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasette.app import Datasette
    from datasette.database import Database

    from sqlite_utils_muninn.vectors.match import Match
    from sqlite_utils_muninn.vectors.storage.schema import VectorTable
    from sqlite_utils_muninn.vectors.texts.embedder import Fingerprint

LONGEST_TITLE = 200  # Datasette takes the only text column for a label, however long


@dataclass(frozen=True)
class Result:
    """A row that was found, and how the page shows it."""

    table: str
    path: str
    """The row's place below its table, as in the address of its page."""
    url: str
    label: str
    snippet: str
    score: float
    distance: float
    rowid: int
    vectors: str
    """The vector table that it was found in."""


async def searchable(datasette: Datasette, actor: Any, database: str) -> list[VectorTable]:
    """The text tables that an actor may search: those whose source the actor may view."""
    tables = await datasette.databases[database].execute_fn(vector_tables)
    found = []
    for table in tables:
        if table.kind == "hnsw_text" and await may_view(
            datasette, actor, database, table.source or table.name
        ):
            found.append(table)
    return found


async def search(
    datasette: Datasette, database: str, tables: Sequence[VectorTable], query: str, size: int
) -> list[Result]:
    """The rows of some tables that are nearest to a query, best first.

    Raises ValueError where a table's model is not here, BusyError where too many are waiting.
    """
    db = datasette.databases[database]
    results: list[Result] = []
    vectors: dict[Fingerprint, bytes] = {}
    for table in tables:
        mark = await db.execute_fn(lambda conn, t=table: fingerprint_of(conn, t))
        if mark not in vectors:
            vectors[mark] = await _embed(datasette, table, mark, query)
        results += await _search_one(datasette, db, table, vectors[mark], size)
    results.sort(key=lambda result: -result.score)
    return results[:size]


async def _embed(datasette: Datasette, table: VectorTable, mark: Fingerprint, query: str) -> bytes:
    host = settings_of(datasette).host
    return await inference_of(datasette).run(
        lambda db: query_vector(db, host, table.name, mark, query)
    )


async def _search_one(
    datasette: Datasette, db: Database, table: VectorTable, vector: bytes, size: int
) -> list[Result]:
    source = table.source or table.name
    label = await db.label_column_for_table(source) if table.source else None
    pks = await db.primary_keys(source) if table.source else []

    def read(conn: Any) -> list[tuple[Match, dict[str, Any]]]:
        found = []
        # Or a row might get the title of another version than its text.
        with one_snapshot(conn):
            for match in nearest(conn, table, vector, size):
                row = _source_row(conn, source, match.rowid, [*pks, *([label] if label else [])])
                if row is not None:
                    found.append((match, row))
        return found

    results = []
    for match, row in await db.execute_fn(read):
        path = path_from_row_pks(row, pks, use_rowid=not pks)
        url = str(datasette.urls.row(db.name, source, path))
        title = str(row[label]) if label and row[label] is not None else ""
        title = title if len(title) <= LONGEST_TITLE else ""
        results.append(_result(table, match, path=path, url=url, title=title))
    return results


def _source_row(conn: Any, table: str, rowid: int, columns: Sequence[str]) -> dict[str, Any] | None:
    names = ["rowid", *columns]
    row = conn.execute(
        f"SELECT {', '.join(map(quote, names))} FROM {quote(table)} WHERE rowid = ?", (rowid,)
    ).fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _result(table: VectorTable, match: Match, *, path: str, url: str, title: str) -> Result:
    text = " ".join((match.text or "").split())
    return Result(
        table=table.source or table.name,
        path=path,
        url=url,
        label=title or shorten(text, 80) or f"row {path}",
        snippet=shorten(text.removeprefix(title).strip(), SNIPPET),
        score=match.score,
        distance=match.distance,
        rowid=match.rowid,
        vectors=table.name,
    )
