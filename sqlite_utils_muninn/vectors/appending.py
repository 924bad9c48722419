"""Many vectors at once, straight into the tables of a vec0 table.

vec0 takes one vector a statement, and none at all while a transaction is committed: SQLite then
refuses writes to virtual tables. What is written here is what vec0 0.1.9 itself writes: it keeps
nothing of its tables in memory, fills the places of its last chunk first, and so goes on after us.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bridge import SQLError, quote
from .blob import FLOAT32
from .storage import CHUNKS, CONSTRAINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .blob import Matrix
    from .storage import Storage

_SIZE = re.compile(r"chunk_size\s*=\s*([0-9]{1,4})\b")


def append(storage: Storage, ids: Sequence[int], matrix: Matrix) -> None:
    """Store the vectors of ids that have none, in order, without a log row.

    Raises SQLError where the last chunk is damaged, or an id has a vector.
    """
    vectors = np.ascontiguousarray(matrix, FLOAT32)
    start = _fill_last(storage, ids, vectors)
    places = _places(storage)
    for first in range(start, len(ids), places):
        _add_chunk(storage, places, ids[first : first + places], vectors[first : first + places])


def _fill_last(storage: Storage, ids: Sequence[int], vectors: Matrix) -> int:
    """Use the empty places of the last chunk. Returns how many vectors went there."""
    rows = storage.db.execute(
        f"SELECT c.chunk_id, c.rowids, c.validity, v.vectors FROM {storage.vectors('_chunks')} c "
        f"LEFT JOIN {storage.vectors('_vector_chunks00')} v ON v._rowid_ = c.chunk_id "
        "ORDER BY c.chunk_id DESC LIMIT 1"
    )
    if not rows:
        return 0
    number, rowids, validity, blobs = _checked(storage, rows[0])
    bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
    free = np.flatnonzero(bits == 0)[: len(ids)].tolist()
    if not free:
        return 0
    held = np.frombuffer(rowids, "<i8").copy()
    matrix = np.frombuffer(blobs, FLOAT32).reshape(len(held), storage.dimensions).copy()
    held[free], matrix[free], bits[free] = ids[: len(free)], vectors[: len(free)], 1
    storage.db.execute(
        f"UPDATE {storage.vectors('_chunks')} SET validity = ?, rowids = ? WHERE chunk_id = ?",
        (_packed(bits), held.tobytes(), number),
    )
    storage.db.execute(
        f"UPDATE {storage.vectors('_vector_chunks00')} SET vectors = ? WHERE _rowid_ = ?",
        (matrix.tobytes(), number),
    )
    _place(storage, ids[: len(free)], number, free)
    return len(free)


def _add_chunk(storage: Storage, places: int, ids: Sequence[int], vectors: Matrix) -> None:
    held = np.zeros(places, "<i8")
    matrix = np.zeros((places, vectors.shape[1]), FLOAT32)
    bits = np.zeros(places, np.uint8)
    held[: len(ids)], matrix[: len(ids)], bits[: len(ids)] = ids, vectors, 1
    storage.db.execute(
        f"INSERT INTO {storage.vectors('_chunks')}(size, validity, rowids) VALUES (?, ?, ?)",
        (places, _packed(bits), held.tobytes()),
    )
    number = storage.db.last_insert_rowid
    storage.db.execute(
        f"INSERT INTO {storage.vectors('_vector_chunks00')}(_rowid_, rowid, vectors) "
        "VALUES (?, ?, ?)",
        (number, number, matrix.tobytes()),
    )
    _place(storage, ids, number, range(len(ids)))


def _place(storage: Storage, ids: Sequence[int], number: int, places: Sequence[int]) -> None:
    """Note where vectors are."""
    for id_, place in zip(ids, places, strict=True):
        try:
            storage.db.execute(
                f"INSERT INTO {storage.vectors('_rowids')}(rowid, chunk_id, chunk_offset) "
                "VALUES (?, ?, ?)",
                (id_, number, place),
            )
        except SQLError as error:
            if error.sqlite_errorcode & 0xFF != CONSTRAINT:
                raise
            raise storage.damaged(f"there is a vector {id_} that no row has") from None


def _packed(bits: Any) -> bytes:
    return np.packbits(bits, bitorder="little").tobytes()


def _checked(storage: Storage, row: tuple[Any, ...]) -> tuple[int, bytes, bytes, bytes]:
    number, *blobs = row
    size = FLOAT32.itemsize * storage.dimensions
    lengths = tuple(len(blob) if isinstance(blob, bytes) else -1 for blob in blobs)
    if lengths not in [(8 * places, places // 8, size * places) for places in CHUNKS]:
        raise storage.damaged(f"chunk {number} has not its size")
    return (number, *blobs)


def _places(storage: Storage) -> int:
    """Vectors in one chunk, as the table was declared."""
    rows = storage.db.execute(
        f"SELECT sql FROM {quote(storage.schema)}.sqlite_master WHERE name = ?",
        (f"_muninn_{storage.id}",),
    )
    found = _SIZE.search(str(rows[0][0])) if rows else None
    if found is None or int(found[1]) not in CHUNKS:
        raise storage.damaged("its table of vectors is not as it was made")
    return int(found[1])
