"""What is wrong with a vector table, whichever kind it is, and what 'rebuild' cannot mend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...bridge import SQLError
from ..storage.shadow import CORRUPT
from . import belonging
from .belonging import some

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..options import GraphOptions
    from ..storage.parts import Losses, Parts
    from ..storage.storage import Storage


# ---- Lost for good ----


def refuse(storage: Storage, found: Losses, parts: Parts) -> None:
    """Raise SQLError, before anything is written, where what is lost is nowhere else."""
    final = found.final or list(_emptied(storage, found, parts))
    if final:
        raise SQLError(
            f"{storage.owner}: table {storage.table!r} cannot be rebuilt: {'; '.join(final)}",
            CORRUPT,
        )


def _emptied(storage: Storage, found: Losses, parts: Parts) -> Iterator[str]:
    """That all is lost: few rows that are lost are let go, but not the values beside all."""
    if parts.origin is None or "rows" in found.missing or storage.count_of(parts.origin):
        return
    rows = storage.count()
    if rows:
        what = "vectors" if parts.origin == "nodes" else "texts"
        yield (
            f"{storage.table}_{parts.origin} is empty, and nothing else holds the {what} of "
            f"{rows} rows: restore a backup, or DELETE the rows"
        )


# ---- Finding damage ----


def problems(
    storage: Storage, options: GraphOptions, settings: Mapping[str, Any], parts: Parts
) -> Iterator[str]:
    """What is wrong with the content of tables that are all there, one sentence each."""
    config = storage.config()
    storage.check_config(config)
    for key, value in settings.items():
        if config.get(key) != value:
            yield f"{storage.table}_config has {key} {config.get(key)!r}, the table has {value!r}"
    yield from _log_problems(storage)
    broken = storage.broken_vectors()
    if broken:
        yield f"vectors that have not their size, or hold NaN or infinity: {some(broken)}"
    else:
        yield from _saved_problems(storage, options)
    ids = set(storage.vector_ids().tolist())
    yield from belonging.problems(storage, ids, in_passages="passages" in parts.further)


def _log_problems(storage: Storage) -> Iterator[str]:
    if storage.position() is None:
        is_empty = not storage.count_of("log")
        yield f"{storage.table}_log {'is empty' if is_empty else 'ends in a row that is none'}"
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
