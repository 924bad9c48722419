"""Nodes whose texts have the query's words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import quote

from . import query as words
from .filters import also

if TYPE_CHECKING:
    from .binding import Nodes
    from .filters import Filter
    from .pool import Asked, Place, Pool
    from .vocabulary import Vocabulary


def full_text(asked: Asked, vocabulary: Vocabulary, pool: Pool) -> int:
    """Put the best matches into the pool, and the best of those that qualify; return how many."""
    everyone: list[tuple[float, Place]] = []
    chosen: list[tuple[float, Place]] = []
    for table in asked.nodes:
        if table.fts is None:
            continue
        given = words.words(asked.query)
        index, rows = table.fts, vocabulary.rows(table.fts)
        chosen_words = words.telling(given, rows, partial(vocabulary.count, index))
        match = words.expression(chosen_words)
        if not match:
            continue
        everyone += _matches(asked, table, match, None)
        only = asked.filter_of(table)
        if asked.filters and not (only and only.excludes_all):
            chosen += _matches(asked, table, match, only)
    return _rank(everyone, asked.count, pool) + _rank(chosen, asked.count, pool)


def _matches(
    asked: Asked, table: Nodes, match: str, only: Filter | None
) -> list[tuple[float, Place]]:
    assert table.fts is not None
    index = table.fts
    # The index has another name here, so that a condition may call the node table by its own.
    condition, values = also(table, "muninn_fts.rowid", only)
    rows = asked.db.execute(
        f"SELECT muninn_fts.rowid, muninn_fts.rank FROM {index.sql} AS muninn_fts "
        f"WHERE muninn_fts.{quote(index.name)} MATCH ?{condition} "
        "ORDER BY muninn_fts.rank LIMIT ?",
        (match, *values, asked.count),
    )
    return [(rank, (table.number, rowid)) for rowid, rank in rows]


def _rank(found: list[tuple[float, Place]], count: int, pool: Pool) -> int:
    """Enter matches of all tables by their bm25; return how many were new."""
    before = len(pool)
    found.sort(key=lambda match: match[0])
    for rank, (bm25, place) in enumerate(found[:count], 1):
        candidate = pool.at(place)
        if candidate.bm25 is None:
            candidate.fts_rank, candidate.bm25 = rank, bm25
    return len(pool) - before
