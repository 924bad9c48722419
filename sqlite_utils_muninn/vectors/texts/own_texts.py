"""Embedding again the texts that an hnsw_text table keeps itself, with another model.

The new vectors are made in a table beside the old one, in batches: the old one is searched and
written meanwhile, and an interrupted run goes on where it stopped. The last transaction takes over
what was written meanwhile, and puts the new table in the old one's place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...bridge import quote
from ..options import TEXT, TextOptions, text_options
from ..storage.committing import renaming, transaction
from ..storage.saving import finish
from ..storage.schema import arguments_of, read_table
from ..storage.source import BLOCK, fingerprint
from .deferred import made_before
from .difference import Difference, sort
from .wishes import Progress, literal, passages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...bridge import Database
    from ..options import Cutting
    from ..storage.schema import VectorTable
    from .embedder import Embedder
    from .passages import Made


@dataclass
class OwnPlan:
    """What a run would do."""

    db: Database
    old: VectorTable
    embedder: Embedder
    cutting: Cutting | None
    is_same: bool
    """Whether model and passages stay: then only texts are embedded that lack their vector."""
    difference: Difference = field(default_factory=Difference)
    warning: str | None = None

    @property
    def name(self) -> str:
        """The table."""
        return self.old.name

    @property
    def target(self) -> str:
        """The table that is written."""
        return self.name if self.is_same else f"_muninn_{self.old.id}_new"

    def quoted(self, table: str, suffix: str = "") -> str:
        """A table's name in SQL."""
        return f"{quote(self.old.schema)}.{quote(table + suffix)}"

    @property
    def options(self) -> TextOptions:
        """What the table was declared with."""
        sql = f"SELECT sql FROM {quote(self.old.schema)}.sqlite_master WHERE name = ?"
        ((statement,),) = self.db.execute(sql, (self.name,))
        return text_options(arguments_of(statement))

    def hash(self, text: str) -> bytes:
        """What tells whether a vector is that of a text."""
        mark = self.embedder.fingerprint
        return fingerprint(text, mark.sha256, mark.document_prefix)


def compare(made: OwnPlan) -> None:
    """Find out which texts have no vector of the model."""
    found = made.difference = Difference()
    stored: dict[int, bytes | None] = {}
    if _is_begun(made):
        rows = made.quoted(made.target, "_rows")
        stored = dict(made.db.execute(f"SELECT id, hash FROM {rows}"))
    for block in _texts(made):
        for id_, text in block:
            sort(found, id_, None if text is None else made.hash(text), stored)
    if not made.is_same:  # what is gone is seen to at the end, and is no loss
        found.without_text = 0


def _is_begun(made: OwnPlan) -> bool:
    """Whether there is a table to go on with. Raises ValueError where it is another one."""
    if made.is_same:
        return True
    there = read_table(made.db.execute, made.old.schema, made.target, TEXT)
    if there is None:
        return False
    mark = made.embedder.fingerprint
    if (there.sha256, there.dimensions, there.cutting) == (
        *(mark.sha256, mark.dimensions),
        made.cutting,
    ):
        return True
    transaction(made.db, lambda: made.db.execute(f"DROP TABLE {made.quoted(made.target)}"))
    return False


def _texts(made: OwnPlan) -> Iterator[list[tuple[int, str | None]]]:
    content = made.quoted(made.name, "_content")
    last = None
    while True:
        after = "1" if last is None else f"id > {last}"
        rows = made.db.execute(
            f"SELECT id, content FROM {content} WHERE {after} ORDER BY id LIMIT {BLOCK}"
        )
        if not rows:
            return
        yield [(id_, None if text is None else str(text)) for id_, text in rows]
        last = rows[-1][0]


# ---- Working ----


def run_own(made: OwnPlan, batch_size: int) -> Iterator[Progress]:
    """Do what was planned, and tell after each batch how far it is."""
    if made.db.in_transaction:
        raise ValueError("embedding commits after each batch: end the open transaction first")
    progress = Progress(made.difference.todo)
    if not made.is_same and not _is_begun(made):
        transaction(made.db, lambda: made.db.execute(_declaration(made)))
    yield progress
    ids = made.difference.new + made.difference.changed
    for start in range(0, len(ids), batch_size):
        _embed_batch(made, ids[start : start + batch_size], progress)
        yield progress
    if not made.is_same:
        _put_in_place(made)
        yield progress
    finish(made.db, made.name, made.old.schema)


def _declaration(made: OwnPlan) -> str:
    mark, options = made.embedder.fingerprint, made.options
    columns = "".join(f", +{quote(column.name)} {column.type}" for column in options.metadata)
    return (
        f"CREATE VIRTUAL TABLE {made.quoted(made.target)} USING {TEXT}(model={literal(mark.name)}, "
        f"dim={mark.dimensions}, metric={options.metric}, m={options.m}, "
        f"ef_construction={options.ef_construction}{passages(made.cutting)}{columns})"
    )


def _embed_batch(made: OwnPlan, ids: Sequence[int], progress: Progress) -> None:
    content = made.quoted(made.name, "_content")
    listed = "SELECT value FROM json_each(?)"
    rows = made.db.execute(
        f"SELECT id, content FROM {content} WHERE id IN ({listed}) AND content NOT NULL",
        (json.dumps(ids),),
    )
    texts = [str(text) for _, text in rows]
    done = made.embedder.passages(texts, made.cutting)
    ready: dict[bytes | None, Made] = {
        made.hash(text): each for text, each in zip(texts, done, strict=True)
    }
    kept = json.dumps([id_ for id_, _ in rows])
    with made_before(made.db, (made.old.schema, _id(made)), ready):
        transaction(made.db, lambda: _write(made, f"c.id IN ({listed})", (kept,)))
    progress.done += len(ids)
    progress.truncated += sum(each.is_cut for each in done)
    progress.moved_on += len(ids) - len(rows)


def _id(made: OwnPlan) -> str:
    config = made.quoted(made.target, "_config")
    ((id_,),) = made.db.execute(f"SELECT value FROM {config} WHERE key = 'id'")
    return str(id_)


def _write(made: OwnPlan, where: str, parameters: Sequence[Any] = ()) -> None:
    """Write rows as they are now; texts that are not ready are embedded by the commit."""
    if made.is_same:
        sql = f"UPDATE {made.quoted(made.name)} AS c SET content = content WHERE "
        made.db.execute(sql + where.replace("c.id", "c.rowid"), parameters)
        return
    columns = [quote(column.name) for column in made.options.metadata]
    names = "".join(f", {column}" for column in columns)
    values = "".join(f", n.{column}" for column in columns)
    made.db.execute(
        f"INSERT OR REPLACE INTO {made.quoted(made.target)}(rowid, content{names}) "
        f"SELECT c.id, c.content{values} FROM {made.quoted(made.name, '_content')} c "
        f"JOIN {made.quoted(made.name, '_rows')} n ON n.id = c.id WHERE {where}",
        parameters,
    )


def _put_in_place(made: OwnPlan) -> None:
    """Take over what was written meanwhile, and let the new table be the old one."""
    with renaming(made.db):
        transaction(made.db, lambda: _take_over(made, made.target))


def _take_over(made: OwnPlan, target: str) -> None:
    db, old = made.db, made.quoted(made.name)
    rows, content = made.quoted(target, "_rows"), made.quoted(target, "_content")
    db.execute(
        f"DELETE FROM {made.quoted(target)} WHERE rowid IN (SELECT id FROM {rows} "
        f"WHERE id NOT IN (SELECT id FROM {made.quoted(made.name, '_rows')}))"
    )
    columns = [quote(column.name) for column in made.options.metadata]
    differs = "".join(f" AND m.{column} IS n.{column}" for column in columns)
    same = (
        f"SELECT 1 FROM {content} d JOIN {rows} m ON m.id = d.id "
        f"WHERE d.id = c.id AND d.content IS c.content{differs}"
    )
    _write(made, f"NOT EXISTS ({same})")
    db.execute(f"DROP TABLE {old}")
    db.execute(f"ALTER TABLE {made.quoted(target)} RENAME TO {quote(made.name)}")
