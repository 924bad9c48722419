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
