"""Rows of a table that mean something like a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..bridge import quote
from .options import INNER_PRODUCT, L2
from .tables import text_tables

if TYPE_CHECKING:
    from .tables import VectorTable


class NotEmbeddedError(ValueError):
    """A table has no vectors to search in."""


@dataclass(frozen=True)
class Match:
    """A row that was found, by its rowid in the source table."""

    rowid: int
    distance: float
    score: float
    """Cosine similarity, 0 where it is negative."""
    text: str | None


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
) -> list[Match]:
    """Return the `n` rows of `table` nearest to `query`, nearest first.

    `conn` is a connection with the SQL surface on it, or a sqlite_utils.Database of one. Rows that
    the table has no longer are left out. Raises NotEmbeddedError; errors of the model and the
    database come as the connection's own.
    """
    chosen = searched_table(conn, table, vectors=vectors, schema=schema)
    return matches(getattr(conn, "conn", conn), chosen, "content", query, n)


def matches(conn: Any, table: VectorTable, column: str, wanted: object, n: int) -> list[Match]:
    """Return the `n` rows nearest to a text ("content") or a vector ("vector"), nearest first."""
    name = f"{quote(table.schema)}.{quote(table.name)}"
    rows = conn.execute(
        f"SELECT rowid, distance, content FROM {name} WHERE {column} MATCH ? AND k = ?",
        (wanted, n),
    )
    return [Match(rowid, far, score(table.metric, far), text) for rowid, far, text in rows]


def score(metric: str, distance: float) -> float:
    """Return the cosine similarity that a distance between vectors of length 1 stands for."""
    if metric == INNER_PRODUCT:
        cosine = -distance
    else:
        cosine = 1 - distance / 2 if metric == L2 else 1 - distance
    return min(1.0, max(0.0, cosine))
