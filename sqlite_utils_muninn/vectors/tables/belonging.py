"""Which vectors belong to which rows: what is wrong with that, and mending it.

In an hnsw_index table each row has its vector. In an hnsw_text table a row with a hash has one,
under its own id or, with `chunk=true`, one for each of its passages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..storage.storage import Storage

SHOWN = 5  # ids named in one message


def problems(storage: Storage, vectors: set[int], *, in_passages: bool) -> Iterator[str]:
    """What is wrong, one sentence each, with a table that has vectors of these ids."""
    if in_passages:
        table = f"{storage.table}_passages"
        possible = needed = set(_passages(storage))
        yield from _passage_problems(storage)
    else:
        table = f"{storage.table}_rows"
        # NULL has no vector, and no hash.
        where = "hash IS NOT NULL" if storage.texts else "1"
        possible = needed = set(storage.ids(where).tolist())
    if vectors - possible:
        yield f"vectors without a row in {table}: {some(vectors - possible)}"
    if needed - vectors:
        yield f"rows of {table} without a vector: {some(needed - vectors)}"


def some(ids: Iterable[int]) -> str:
    """The first few of some ids."""
    ordered = sorted(ids)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(map(str, ordered[:SHOWN])) + more


def mend(storage: Storage, vectors: set[int], *, in_passages: bool) -> set[int]:
    """Of an hnsw_text table that has vectors of these ids, give those that belong to a row.

    Rows that lack a vector lose their hash: their texts count as new.
    """
    if not in_passages:
        rows = storage.ids("hash IS NOT NULL").tolist()
        _forget(storage, [id_ for id_ in rows if id_ not in vectors])
        # A vector without the hash of its text may be that of any text.
        return vectors & set(storage.ids("hash IS NOT NULL").tolist())
    passages = _passages(storage)
    broken = _broken(storage)
    broken.update(row for id_, row in passages.items() if id_ not in vectors)
    _forget(storage, broken)
    kept = storage.name("rows")
    for row in broken:
        storage.db.execute(f"UPDATE {kept} SET first = NULL, passages = NULL WHERE id = ?", (row,))
    whole = set(storage.ids("hash IS NOT NULL").tolist())
    for id_, row in passages.items():
        if row not in whole:
            storage.db.execute(f"DELETE FROM {storage.name('passages')} WHERE id = ?", (id_,))
    return {id_ for id_ in vectors if passages.get(id_) in whole}


def _forget(storage: Storage, rows: Iterable[int]) -> None:
    for row in rows:
        storage.set_values(row, {"hash": None, "truncated": 0})


def _passages(storage: Storage) -> dict[int, int]:
    """The row of each passage."""
    return dict(storage.db.execute(f'SELECT id, "row" FROM {storage.name("passages")}'))


def _passage_problems(storage: Storage) -> Iterator[str]:
    orphans = storage.db.execute(
        f"SELECT id FROM {storage.name('passages')} "
        f'WHERE "row" NOT IN (SELECT id FROM {storage.name("rows")})'
    )
    if orphans:
        yield f"passages of no row: {some(row[0] for row in orphans)}"
    broken = _broken(storage)
    if broken:
        yield f"rows that do not have the passages they say: {some(broken)}"


def _broken(storage: Storage) -> set[int]:
    """Rows whose passages are not those that they should be."""
    rows = storage.db.execute(
        f"SELECT r.id FROM {storage.name('rows')} r LEFT JOIN "
        '(SELECT "row", min(id) AS low, max(id) AS high, count(*) AS count '
        f'FROM {storage.name("passages")} GROUP BY "row") p ON p."row" = r.id '
        "WHERE CASE WHEN r.hash IS NULL THEN p.count IS NOT NULL OR r.first IS NOT NULL "
        "ELSE (r.first, r.first + r.passages - 1, r.passages) IS NOT (p.low, p.high, p.count) END"
    )
    return {row[0] for row in rows}
