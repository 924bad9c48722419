"""Nodes whose vectors are near the query's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import quote

from .filters import qualifying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import Nodes
    from .pool import Asked, Candidate, Place, Pool

MARGIN = 1.5
MOST_FROM_INDEX = 1000
"""Neighbours that an index is asked for before the rows that qualify are all looked at."""


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
        nearest = _nearest(asked, table, vector, asked.count)
        everyone += nearest
        if asked.filters:
            chosen += _nearest_qualifying(asked, table, vector, nearest)
    for found in (everyone, chosen):
        # By cosine: tables may have different metrics.
        found.sort(key=lambda match: -_cosine(asked.nodes[match[1][0]], match[0]))
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


def _nearest_qualifying(
    asked: Asked, table: Nodes, vector: bytes, known: list[tuple[float, Place]]
) -> list[tuple[float, Place]]:
    """The nearest rows that qualify: out of more and more that the index gives, else out of all.

    `known` are the nearest, whether they qualify or not.
    """
    only = asked.filter_of(table)
    if only is None:
        return known
    if only.excludes_all:
        return []
    size = asked.count
    while True:
        good = qualifying(asked.db, table, [place[1] for _, place in known], only)
        found = [match for match in known if match[1][1] in good]
        if len(found) >= asked.count or len(known) < size:  # enough, or there are no more
            return found[: asked.count]
        # As many as should do, if rows further away qualify as often as these.
        size = int(size * asked.count / max(len(found), 1) * MARGIN)
        if size > MOST_FROM_INDEX:
            break
        known = _nearest(asked, table, vector, size)
    rows = f"SELECT {table.table.rowid} FROM {table.table.sql} WHERE {only.condition}"
    among = f" AND rowid IN ({rows})"
    return _nearest(asked, table, vector, asked.count, among, only.parameters)


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
    candidate.distance = distance
    candidate.cosine = _cosine(table, distance)


def _cosine(table: Nodes, distance: float) -> float:
    assert table.vectors is not None
    return cosine_of(table.vectors.metric, distance)


def vectors_of(db: Database, nodes: Sequence[Nodes], places: Sequence[Place]) -> np.ndarray:
    """Return the stored vectors of nodes, one below the other, NaN where there is none.

    Vectors of another length than the first table's count as none: nothing compares them.
    """
    sizes = [table.vectors.dimensions for table in nodes if table.vectors]
    found = np.full((len(places), sizes[0] if sizes else 1), np.nan)
    for table in nodes:
        own = {key: n for n, (number, key) in enumerate(places) if number == table.number}
        if not own or table.vectors is None or table.vectors.dimensions != sizes[0]:
            continue
        name = f"{quote(table.vectors.schema)}.{quote(table.vectors.name)}"
        sql = f"SELECT rowid, vector FROM {name} WHERE rowid IN (SELECT value FROM json_each(?))"
        for rowid, vector in db.execute(sql, (json.dumps(list(own)),)):
            if vector is not None:
                found[own[rowid]] = np.frombuffer(vector, "<f4")
    return found


def cosine_of(metric: str, distance: float) -> float:
    """Return the cosine that a distance between vectors of length 1 stands for."""
    if metric == "inner_product":
        return -distance
    return 1 - distance / 2 if metric == "l2" else 1 - distance
