"""The commands 'optimize', 'rebuild' and 'integrity-check'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..bridge import SQLError
from . import belonging
from .belonging import some
from .shadow import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .options import GraphOptions
    from .storage import Storage


def rebuild(storage: Storage, options: GraphOptions) -> None:
    """Make everything anew from the vectors that are whole, in v_nodes and in v_rows."""
    if not storage.texts:
        _mend_config(storage, options)
    rows, nodes = storage.name("rows"), storage.name("nodes")
    _drop_vectors(storage, storage.broken_vectors())
    if storage.texts:
        there = set(storage.vector_ids().tolist())
        _drop_vectors(storage, there - belonging.mend(storage, there))
    else:
        storage.db.execute(f"DELETE FROM {rows} WHERE id NOT IN (SELECT id FROM {nodes})")
        storage.db.execute(f"INSERT OR IGNORE INTO {rows}(id) SELECT id FROM {nodes}")
    storage.edges.write([])
    storage.log(None)


def _mend_config(storage: Storage, options: GraphOptions) -> None:
    """Write what CREATE says once more. Of a table of texts, nothing else tells its model."""
    config = storage.config()
    for key, value in (("dimensions", storage.dimensions), ("metric", options.metric)):
        if config.get(key) != value:
            storage.set_config(key, value)
    try:
        storage.check_config(config)
    except SQLError:
        if config.get("format") != FORMAT:
            raise
        storage.renew_id()


def _drop_vectors(storage: Storage, ids: Iterable[int]) -> None:
    for id_ in ids:
        storage.drop_vector(id_)


# ---- Finding damage ----


def problems(storage: Storage, options: GraphOptions) -> list[str]:
    """What is wrong with a table, one sentence each; an empty list: nothing."""
    try:
        return list(_problems(storage, options))
    except (SQLError, TypeError) as error:
        return [str(error).removeprefix(f"{storage.owner}: ")]


def _problems(storage: Storage, options: GraphOptions) -> Iterator[str]:
    config = storage.config()
    storage.check_config(config)
    if config.get("dimensions") != storage.dimensions:
        yield (
            f"{storage.table}_config has dimensions {config.get('dimensions')!r}, "
            f"the table has {storage.dimensions}"
        )
    if config.get("metric") != options.metric:
        yield (
            f"{storage.table}_config has metric {config.get('metric')!r}, "
            f"the table has {options.metric!r}"
        )
    yield from _log_problems(storage)
    broken = storage.broken_vectors()
    if broken:
        yield f"vectors that have not their size, or hold NaN or infinity: {some(broken)}"
    else:
        yield from _saved_problems(storage, options)
    yield from belonging.problems(storage, set(storage.vector_ids().tolist()))


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
        saved = storage.edges.checked(storage.dimensions, options)
        position = storage.position()
        if saved is None or position is None or not storage.passed(saved.position):
            return  # in another history it is not used
        changes = storage.changes(saved.position.seq, position.seq)[1:]
        changed = {change.id for change in changes if change.id is not None}
        if all(change.id is not None for change in changes):
            storage.edges.restore(saved, options, changed)
    except ValueError as error:
        yield f"{storage.table}_edges holds no whole index: {error}"
