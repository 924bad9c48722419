"""Nodes that are spelled like the query, where there is nothing better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils_muninn.models.texts.trigrams import similarity

from .filters import key_of

if TYPE_CHECKING:
    from .pool import Asked, Place, Pool

MOST_COMPARED = 10_000
"""Rows that are compared."""
COMPARED_LENGTH = 300
"""Characters of a text that are compared."""
LIKE_ENOUGH = 0.05


def by_letters(asked: Asked, pool: Pool) -> tuple[int, bool]:
    """Put the nodes into the pool that are spelled like the query: its trigrams and theirs.

    Returns how many, and whether all rows were looked at (MOST_COMPARED are at most).
    """
    found: list[tuple[float, Place]] = []
    left = MOST_COMPARED
    for table in asked.nodes:
        only = asked.filter_of(table)
        columns = [*([table.label] if table.label else []), *table.text]
        if not columns or (only and only.excludes_all):
            continue
        condition = f" WHERE {only.condition}" if only else ""
        rows = asked.db.execute(
            f"SELECT {key_of(table)}, {', '.join(columns)} "
            f"FROM {table.table.sql}{condition} LIMIT ?",
            (*(only.parameters if only else ()), left + 1),
        )
        for number, row in enumerate(rows[:left]):
            if number % 100 == 0:
                asked.check()
            likeness = max(
                (similarity(asked.query, str(t)[:COMPARED_LENGTH]) for t in row[1:] if t), default=0
            )
            if likeness > LIKE_ENOUGH:
                found.append((-likeness, (table.number, row[0])))
        left -= len(rows)
        if left < 0:
            break
    found.sort(key=lambda match: match[0])
    for likeness, place in found[: asked.count]:
        pool.at(place).cosine = -likeness
    return len(pool), left >= 0
