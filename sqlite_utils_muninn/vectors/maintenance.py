"""The commands 'optimize', 'rebuild' and 'integrity-check'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..bridge import SQLError
from . import belonging
from .belonging import some
from .storage import CHUNK, Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blob import Ids, Matrix
    from .options import GraphOptions

LEAST_WASTE = 0.2  # share of empty places in vec0 from which compacting it is worth the writing


def optimize(storage: Storage) -> None:
    """Write the vectors anew where deletions left much room."""
    (places,) = storage.db.execute(
        f"SELECT coalesce(sum(length(rowids)), 0) / 8 FROM {storage.vectors('_chunks')}"
    )[0]
    (used,) = storage.db.execute(f"SELECT count(*) FROM {storage.vectors('_rowids')}")[0]
    if places - used > max(CHUNK, LEAST_WASTE * places):
        _write_vectors(storage, _collected(storage.blocks()))


def rebuild(storage: Storage) -> None:
    """Make everything anew from the vectors that are whole, in rows and in v_nodes."""
    vectors = _rescued(storage)
    nodes = storage.name("nodes")
    if storage.texts:
        _write_vectors(storage, belonging.mend(storage, vectors))
    else:
        _write_vectors(storage, vectors)
        rowids = f"SELECT rowid FROM {storage.vectors('_rowids')}"
        storage.db.execute(f"DELETE FROM {nodes} WHERE id NOT IN ({rowids})")
        storage.db.execute(f"INSERT OR IGNORE INTO {nodes}(id) {rowids}")
    storage.save([])
    storage.log(None)


def _collected(blocks: Iterator[tuple[Ids, Matrix]]) -> dict[int, bytes]:
    vectors: dict[int, bytes] = {}
    for ids, matrix in blocks:
        vectors.update(zip(ids.tolist(), (row.tobytes() for row in matrix), strict=True))
    return vectors


def _rescued(storage: Storage) -> dict[int, bytes]:
    """Vectors of the chunks that can be read, by id.

    vec0 writes down twice which id is in which place. Where the two differ, the place is given to
    the id that its other record names too; what is left goes to whoever has no vector yet.
    """
    placed = _placed(storage)
    by_place = {place: id_ for id_, place in placed.items()}
    certain: dict[int, bytes] = {}
    doubtful: list[tuple[int, bytes]] = []
    for place, id_, vector in _readable(storage):
        if placed.get(id_) == place:
            certain[id_] = vector
        else:
            doubtful.append((by_place.get(place, id_), vector))
    for id_, vector in doubtful:
        certain.setdefault(id_, vector)
    return certain


def _readable(storage: Storage) -> Iterator[tuple[tuple[Any, Any], int, bytes]]:
    """Place, id and vector of whatever is whole."""
    for (chunk,) in storage.db.execute(f"SELECT chunk_id FROM {storage.vectors('_chunks')}"):
        found = storage.chunk(chunk)
        if found is None:
            continue
        ids, matrix = found
        finite: Any = np.isfinite(matrix).all(axis=1)
        for offset, id_, row, is_whole in zip(
            storage.offsets(chunk), ids.tolist(), matrix, finite.tolist(), strict=True
        ):
            if is_whole:
                yield (chunk, offset), id_, row.tobytes()
        storage.check()


def _write_vectors(storage: Storage, vectors: dict[int, bytes]) -> None:
    storage.clear_vectors()
    for count, id_ in enumerate(sorted(vectors)):
        storage.insert_vector(id_, vectors[id_])
        if count % 1024 == 0:
            storage.check()


# ---- Finding damage ----


def problems(storage: Storage, options: GraphOptions) -> list[str]:
    """What is wrong with a table, one sentence each; an empty list: nothing."""
    try:
        return list(_problems(storage, options))
    except (SQLError, TypeError) as error:
        return [str(error)]


def _problems(storage: Storage, options: GraphOptions) -> Iterator[str]:
    config = storage.config()
    if config.get("format") != "1":
        yield f"{storage.table}_config names the unknown format {config.get('format')!r}"
    if config.get("dimensions") != storage.dimensions:
        yield (
            f"{storage.table}_config has dimensions {config.get('dimensions')!r}, "
            f"the table has {storage.dimensions}"
        )
    yield from _log_problems(storage)
    yield from _saved_problems(storage, options)
    placed = _placed(storage)
    yield from _vector_problems(storage, placed)
    yield from belonging.problems(storage, set(placed))


def _log_problems(storage: Storage) -> Iterator[str]:
    if storage.position() is None:
        yield f"{storage.table}_log is empty"
        return
    (count, first, last, odd) = storage.db.execute(
        "SELECT count(*), min(seq), max(seq), "
        "sum(typeof(tag) <> 'integer' OR typeof(id) NOT IN ('integer', 'null')) "
        f"FROM {storage.name('log')}"
    )[0]
    if count != last - first + 1:
        yield f"{storage.table}_log has gaps"
    if odd:
        yield f"{storage.table}_log has {odd} rows of the wrong type"


def _saved_problems(storage: Storage, options: GraphOptions) -> Iterator[str]:
    try:
        saved = storage.checked_saved(options)
        position = storage.position()
        if saved is None or position is None or not storage.passed(saved.position):
            return  # in another history it is not used
        changes = storage.changes(saved.position.seq, position.seq)[1:]
        changed = {change.id for change in changes if change.id is not None}
        if all(change.id is not None for change in changes):
            storage.restore(saved, options, changed)
    except ValueError as error:
        yield f"{storage.table}_edges holds no whole index: {error}"


def _placed(storage: Storage) -> dict[int, tuple[Any, Any]]:
    """Where vec0 says that each vector is: id -> (chunk, offset)."""
    rows = storage.db.execute(
        f"SELECT rowid, chunk_id, chunk_offset FROM {storage.vectors('_rowids')}"
    )
    return {id_: (chunk, offset) for id_, chunk, offset in rows}


def _vector_problems(storage: Storage, placed: dict[int, tuple[Any, Any]]) -> Iterator[str]:
    found: dict[int, tuple[Any, Any]] = {}
    twice, broken = [], []
    chunks = storage.db.execute(f"SELECT chunk_id FROM {storage.vectors('_chunks')}")
    for (chunk,) in chunks:
        content = storage.chunk(chunk)
        if content is None:
            yield f"chunk {chunk} has not its size"
            continue
        for id_, offset in zip(content[0].tolist(), storage.offsets(chunk), strict=True):
            if id_ in found:
                twice.append(id_)
            found[id_] = (chunk, offset)
        broken.extend(content[0][~np.isfinite(content[1]).all(axis=1)].tolist())
        storage.check()
    if twice:
        yield f"vectors stored twice: {some(twice)}"
    if broken:
        yield f"vectors that hold NaN or infinity: {some(broken)}"
    wrong = [id_ for id_ in placed.keys() | found.keys() if placed.get(id_) != found.get(id_)]
    if wrong:
        yield f"vectors that are not where they should be: {some(wrong)}"
