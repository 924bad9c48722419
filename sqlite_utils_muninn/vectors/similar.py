"""Rows of a table that mean something like a text."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..bridge import quote
from . import without_model
from .match import Match
from .options import INNER_PRODUCT, L2
from .storage.schema import text_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from .storage.schema import VectorTable

COMPARED = "So words and spelling are compared, not meaning."


class NotEmbeddedError(ValueError):
    """A table has no vectors to search in."""


def searched_table(
    conn: Any, table: str, *, vectors: str | None = None, schema: str = "main"
) -> VectorTable:
    """Return the vector table that a search uses: the one called `vectors`, or the first one.

    Raises NotEmbeddedError, saying what to do.
    """
    found = text_tables(conn, table, schema)
    if vectors is not None:
        named = [t for t in found if t.name.casefold() == vectors.casefold()]
        if not named:
            known = ", ".join(t.name for t in found) or "none"
            raise NotEmbeddedError(f"{vectors!r} holds no vectors of {table!r}; there are: {known}")
        return named[0]
    if not found:
        raise NotEmbeddedError(
            f"table {table!r} is not embedded: sqlite-utils embed PATH {table} COLUMN"
        )
    return found[0]


def similar(
    conn: Any,
    table: str,
    query: str,
    n: int = 10,
    *,
    vectors: str | None = None,
    schema: str = "main",
    say: Callable[[str], None] = warnings.warn,
) -> list[Match]:
    """Return the `n` rows of `table` nearest to `query`, nearest first.

    `conn` is a connection with the SQL surface on it, or a sqlite_utils.Database of one. Rows that
    the table has no longer are left out. Where the table's model is not here, or no model at all,
    rows are found by words and letters (`without_model.py`): `say` is told why, and `Match.by`
    says which. Raises NotEmbeddedError; errors of the model and the database come as the
    connection's own.
    """
    conn = getattr(conn, "conn", conn)
    try:
        chosen = searched_table(conn, table, vectors=vectors, schema=schema)
    except NotEmbeddedError:
        if vectors is not None:
            raise
        return _without_any_model(conn, table, query, n, schema=schema, say=say)
    try:
        return matches(conn, chosen, "content", query, n)
    except Exception:
        if (why := without_model.why_not(conn, chosen.model or "")) is None:
            raise
    say(f"{why}\n{COMPARED}")
    source, columns = without_model.searched(chosen)
    return without_model.matches(conn, source, columns, query, n, schema=schema)


def _without_any_model(
    conn: Any, table: str, query: str, n: int, *, schema: str, say: Callable[[str], None]
) -> list[Match]:
    """Search a table that is not embedded. Raises NotEmbeddedError where a model could do that."""
    exists = f"SELECT 1 FROM {quote(schema)}.sqlite_master WHERE lower(name) = lower(?)"
    why = without_model.why_none(conn)
    if why is None or conn.execute(exists, (table,)).fetchone() is None:
        searched_table(conn, table, schema=schema)  # which raises
    columns = without_model.text_columns(conn, table, schema)
    say(f"{why}\n{COMPARED}")
    return without_model.matches(conn, table, columns, query, n, schema=schema)


def matches(conn: Any, table: VectorTable, column: str, wanted: object, n: int) -> list[Match]:
    """Return the `n` rows nearest to a text ("content") or a vector ("vector"), nearest first."""
    name = f"{quote(table.schema)}.{quote(table.name)}"
    passage = "chunk" if table.cutting else "NULL"
    rows = conn.execute(
        f"SELECT rowid, distance, content, {passage} FROM {name} WHERE {column} MATCH ? AND k = ?",
        (wanted, n),
    )
    return [
        Match(rowid, far, score(table.metric, far), text, passage=part)
        for rowid, far, text, part in rows
    ]


def score(metric: str, distance: float) -> float:
    """Return the cosine similarity that a distance between vectors of length 1 stands for."""
    if metric == INNER_PRODUCT:
        cosine = -distance
    else:
        cosine = 1 - distance / 2 if metric == L2 else 1 - distance
    return min(1.0, max(0.0, cosine))
