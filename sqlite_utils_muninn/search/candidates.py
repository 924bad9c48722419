"""Nodes that match the query itself: by full text, by meaning, else by their letters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import SQLError, quote
from sqlite_utils_muninn.models.texts.trigrams import similarity

from . import query as words
from .filters import also, key_of, qualifying
from .network import places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import FullText, Nodes
    from .filters import Filter
    from .network import Network

Place = tuple[int, Any]
"""A node before the graph is there: the number of its table and its rowid."""

MOST_COMPARED = 10_000
"""Rows that are compared letter by letter where there is nothing better."""
COMPARED_LENGTH = 300
"""Characters of a text that are compared then."""
LIKE_ENOUGH = 0.05
MOST_FROM_INDEX = 1000
"""Neighbours that an index is asked for before the rows that qualify are all looked at."""


@dataclass
class Candidate:
    """What each side says of one node; None: it does not know it."""

    place: Place
    fts_rank: int | None = None
    bm25: float | None = None
    distance: float | None = None
    cosine: float | None = None
    named: float | None = None
    """How telling its name is, which the query has."""


@dataclass
class Pool:
    """Candidates by their place, in the order in which they were found."""

    found: dict[Place, Candidate] = field(default_factory=dict)

    def at(self, place: Place) -> Candidate:
        """Return the candidate of a place, a new one where there is none."""
        return self.found.setdefault(place, Candidate(place))

    def __len__(self) -> int:
        return len(self.found)

    def column(self, name: str) -> np.ndarray:
        """Return a number of each candidate, NaN where it is not known."""
        values = (getattr(candidate, name) for candidate in self.found.values())
        return np.array([np.nan if v is None else v for v in values], dtype=float)


@dataclass(frozen=True)
class Asked:
    """What candidates are looked for, and where."""

    db: Database
    query: str
    nodes: Sequence[Nodes]
    filters: Mapping[int, Filter]
    count: int
    check: Callable[[], None]

    def filter_of(self, table: Nodes) -> Filter | None:
        """The condition on a table's rows, where there is one."""
        return self.filters.get(table.number)


# ---- Names ----


def by_name(query: str, network: Network, pool: Pool) -> int:
    """Put the nodes into the pool that the query names; return how many."""
    found = network.names.find(query)
    places = places_of(network, np.array([one.node for one in found], np.int64))
    for place, one in zip(places, found, strict=True):
        pool.at(place).named = one.specificity
    return len(found)


# ---- Full text ----


def full_text(asked: Asked, pool: Pool) -> int:
    """Put the best matches into the pool, and the best of those that qualify; return how many."""
    everyone: list[tuple[float, Place]] = []
    chosen: list[tuple[float, Place]] = []
    for table in asked.nodes:
        if table.fts is None:
            continue
        match = _match(asked, table.fts)
        if not match:
            continue
        everyone += _matches(asked, table, match, None)
        only = asked.filter_of(table)
        if asked.filters and not (only and only.excludes_all):
            chosen += _matches(asked, table, match, only)
    return _rank(everyone, asked.count, pool) + _rank(chosen, asked.count, pool)


def _match(asked: Asked, index: FullText) -> str:
    given = words.words(asked.query)

    def count(word: str, most: int) -> int:
        asked.check()
        return len(
            asked.db.execute(
                f"SELECT 1 FROM {index.sql} WHERE {quote(index.name)} MATCH ? LIMIT ?",
                (words.quoted(word), most),
            )
        )

    return words.expression(words.telling(given, _rows_of(asked.db, index), count))


def _rows_of(db: Database, index: FullText) -> int:
    """How many rows an FTS5 table has: the first number of its record of averages."""
    data = f"{quote(index.schema)}.{quote(index.name + '_data')}"
    number = 0
    try:
        rows = db.execute(f"SELECT block FROM {data} WHERE id = 1")
    except SQLError:
        return 0
    record = rows[0][0] if rows and isinstance(rows[0][0], bytes) else b""
    for byte in record[:8]:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            break
    return number


def _matches(
    asked: Asked, table: Nodes, match: str, only: Filter | None
) -> list[tuple[float, Place]]:
    assert table.fts is not None
    index = table.fts
    condition, values = also(table, f"{quote(index.name)}.rowid", only)
    rows = asked.db.execute(
        f"SELECT rowid, rank FROM {index.sql} WHERE {quote(index.name)} MATCH ?{condition} "
        "ORDER BY rank LIMIT ?",
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


# ---- Meaning ----


def by_meaning(asked: Asked, vectors: Mapping[int, bytes], pool: Pool) -> int:
    """Put the nearest nodes into the pool, and the nearest that qualify; return how many are new.

    `vectors` are the query's, by the number of the table that they are for.
    """
    before = len(pool)
    everyone: list[tuple[float, Place]] = []
    chosen: list[tuple[float, Place]] = []
    for table in asked.nodes:
        vector = vectors.get(table.number)
        if vector is None:
            continue
        everyone += _nearest(asked, table, vector, asked.count)
        if asked.filters:
            chosen += _nearest_qualifying(asked, table, vector)
    for found in (everyone, chosen):
        found.sort(key=lambda match: match[0])
        for _, place in found[: asked.count]:
            pool.at(place)
    for distance, place in (*everyone, *chosen):
        if place in pool.found:
            _enter(asked.nodes[place[0]], pool.at(place), distance)
    for table in asked.nodes:
        if table.number in vectors:
            _complete(asked, table, vectors[table.number], pool)
    return len(pool) - before


def _nearest(
    asked: Asked, table: Nodes, vector: bytes, count: int, among: str = "", values: Any = ()
) -> list[tuple[float, Place]]:
    assert table.vectors is not None
    asked.check()
    name = f"{quote(table.vectors.schema)}.{quote(table.vectors.name)}"
    rows = asked.db.execute(
        f"SELECT rowid, distance FROM {name} WHERE vector MATCH ? AND k = ?{among}",
        (vector, count, *values),
    )
    return [(distance, (table.number, rowid)) for rowid, distance in rows]


def _nearest_qualifying(asked: Asked, table: Nodes, vector: bytes) -> list[tuple[float, Place]]:
    """The nearest rows that qualify: out of many that the index gives, else by looking at all."""
    only = asked.filter_of(table)
    if only is None:
        return _nearest(asked, table, vector, asked.count)
    if only.excludes_all:
        return []
    many = _nearest(asked, table, vector, MOST_FROM_INDEX)
    good = qualifying(asked.db, table, [place[1] for _, place in many], only)
    found = [match for match in many if match[1][1] in good]
    if len(found) >= asked.count or len(many) < MOST_FROM_INDEX:
        return found[: asked.count]
    rows = f"SELECT {table.table.rowid} FROM {table.table.sql} WHERE {only.condition}"
    return _nearest(asked, table, vector, asked.count, f" AND rowid IN ({rows})", only.parameters)


def _complete(asked: Asked, table: Nodes, vector: bytes, pool: Pool) -> None:
    """Compute the distance of those that only the full text found."""
    lacking = [
        candidate.place[1]
        for candidate in pool.found.values()
        if candidate.place[0] == table.number and candidate.distance is None
    ]
    if lacking:
        among = " AND rowid IN (SELECT value FROM json_each(?))"
        found = _nearest(asked, table, vector, len(lacking), among, (json.dumps(lacking),))
        for distance, place in found:
            _enter(table, pool.at(place), distance)


def _enter(table: Nodes, candidate: Candidate, distance: float) -> None:
    assert table.vectors is not None
    candidate.distance = distance
    candidate.cosine = cosine_of(table.vectors.metric, distance)


def cosine_of(metric: str, distance: float) -> float:
    """Return the cosine that a distance between vectors of length 1 stands for."""
    if metric == "inner_product":
        return -distance
    return 1 - distance / 2 if metric == "l2" else 1 - distance


# ---- Letters ----


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
