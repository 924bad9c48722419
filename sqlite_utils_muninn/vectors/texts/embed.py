"""Embedding the rows of a table, and only those that need it.

`plan` (planning.py) compares the table with what is embedded already: where triggers noted every
change (pending.py), only those rows are read. `run` does the work in batches. Each batch is one
short transaction after its vectors are there, so an interrupted run goes on where it stopped, and
others can write while the model works.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from ...bridge import quote
from ..options import TEXT
from ..storage.committing import transaction
from ..storage.saving import finish
from .deferred import made_before
from .difference import settle
from .own_texts import OwnPlan, run_own
from .planning import Plan, default_name, plan
from .wishes import Progress, Wish, literal, passages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["BATCH_SIZE", "OwnPlan", "Plan", "Progress", "Wish", "default_name", "plan", "run"]

BATCH_SIZE = 256
_DELETED = 500  # rows deleted in one statement


def run(made: Plan | OwnPlan, batch_size: int = BATCH_SIZE) -> Iterator[Progress]:
    """Do what was planned, and tell after each batch how far it is.

    Raises ValueError where a transaction is open: each batch is committed.
    """
    if batch_size < 1:
        raise ValueError(f"the batch size must be 1 or more, got {batch_size}")
    if isinstance(made, OwnPlan):
        yield from run_own(made, batch_size)
        return
    if made.db.in_transaction:
        raise ValueError("embedding commits after each batch: end the open transaction first")
    progress = Progress(made.difference.todo)
    if made.is_new or made.replaces:
        transaction(made.db, lambda: _make_table(made))
    elif not made.watch().is_on(made.source):
        # Whatever changed without a note has none: every row gets one, and is looked at below.
        transaction(made.db, lambda: made.watch().turn_on(made.source, made.table().rows))
    if made.difference.new:
        # Until all of them have their vectors, rows without one are not left out: they wait.
        _note_where(made, None)
    progress.deleted = _delete(made)
    yield progress
    ids = made.difference.new + made.difference.changed
    for start in range(0, len(ids), batch_size):
        _embed_batch(made, ids[start : start + batch_size], progress)
        yield progress
    settle(made.table(), made.watch(), lambda work: transaction(made.db, work), made.where)
    _note_where(made, made.where)
    finish(made.db, made.name, made.source.schema)


def _make_table(made: Plan) -> None:
    name = f"{quote(made.source.schema)}.{quote(made.name)}"
    if made.replaces:
        made.db.execute(f"DROP TABLE {name}")
    mark = made.embedder.fingerprint
    columns = "".join(f", content_column={literal(c)}" for c in made.source.columns)
    made.db.execute(
        f"CREATE VIRTUAL TABLE {name} USING {TEXT}(model={literal(mark.name)}, "
        f"dim={mark.dimensions}, content={literal(made.source.table)}{columns}"
        f"{passages(made.cutting)})"
    )


def _note_where(made: Plan, where: str | None) -> None:
    """Keep in the file by which condition rows are left out; None: none is."""
    config = f"{quote(made.source.schema)}.{quote(made.name + '_config')}"
    kept = made.db.execute(f"SELECT value FROM {config} WHERE key = 'where'")
    if kept == ([] if where is None else [(where,)]):
        return

    def work() -> None:
        made.db.execute(f"DELETE FROM {config} WHERE key = 'where'")
        if where is not None:
            made.db.execute(f"INSERT INTO {config} VALUES ('where', ?)", (where,))

    transaction(made.db, work)


def _delete(made: Plan) -> int:
    name = f"{quote(made.source.schema)}.{quote(made.name)}"

    def delete(ids: Sequence[int]) -> None:
        made.db.execute(f"DELETE FROM {name} WHERE rowid IN ({', '.join(map(str, ids))})")

    for start in range(0, len(made.difference.vanished), _DELETED):
        ids = made.difference.vanished[start : start + _DELETED]
        transaction(made.db, partial(delete, ids))
    return len(made.difference.vanished)


def _embed_batch(made: Plan, ids: Sequence[int], progress: Progress) -> None:
    texts = {
        id_: text
        for id_, text in made.source.texts(made.db.execute, ids).items()
        if text is not None
    }
    done = made.embedder.passages(list(texts.values()), made.cutting)
    table = made.table()
    written: list[int] = []
    ready = {table.hash(text): each for text, each in zip(texts.values(), done, strict=True)}
    with made_before(made.db, (made.source.schema, made.id), ready):
        transaction(made.db, lambda: written.extend(_write(made, texts)))
    progress.done += len(ids)
    progress.truncated += sum(each.is_cut for each in done)
    progress.moved_on += len(ids) - len(written)


def _write(made: Plan, texts: dict[int, str]) -> list[int]:
    """Store those rows of a batch that were not changed while the model worked."""
    now = made.source.texts(made.db.execute, list(texts))
    same = [id_ for id_ in texts if now.get(id_) == texts[id_]]
    made.db.execute(
        f"INSERT OR REPLACE INTO {quote(made.source.schema)}.{quote(made.name)}(rowid) "
        "SELECT value FROM json_each(?)",
        (json.dumps(same),),
    )
    return same
