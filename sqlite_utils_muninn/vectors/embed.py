"""Embedding the rows of a table, and only those that need it.

`plan` compares the table with what is embedded already: where triggers noted every change
(pending.py), only those rows are read. `run` does the work in batches. Each batch
is one short transaction after its vectors are there, so an interrupted run goes on where it
stopped, and others can write while the model works.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bridge import attach, quote
from .difference import Difference, Embedded, everything, noted, settle
from .embedder import Embedder, Fingerprint, Models, remember
from .options import TEXT
from .pending import Watch
from .source import Source, describe
from .tables import VectorTable, vector_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..bridge import Database

BATCH_SIZE = 256
_DELETED = 500  # rows deleted in one statement


@dataclass(frozen=True)
class Wish:
    """What the user asks for."""

    table: str
    columns: tuple[str, ...]
    model: str
    name: str | None = None  # of the vector table
    where: str | None = None
    dimensions: int | None = None
    force: bool = False  # replace vectors of another model or other columns
    full: bool = False  # look at every text, not only at those noted as changed
    schema: str = "main"


@dataclass
class Plan:
    """What a run would do."""

    db: Database
    source: Source
    name: str
    embedder: Embedder
    is_new: bool
    replaces: VectorTable | None = None
    """The table that is dropped first: another model, other columns, other dimensions."""
    difference: Difference = field(default_factory=Difference)

    def table(self) -> Embedded:
        """The vector table and its source."""
        return Embedded(self.db.execute, self.source, self.name, self.embedder.fingerprint)

    def watch(self) -> Watch:
        """The notes of what changed. The vector table must be there."""
        config = f"{quote(self.source.schema)}.{quote(self.name + '_config')}"
        ((id_,),) = self.db.execute(f"SELECT value FROM {config} WHERE key = 'id'")
        return Watch(self.db.execute, self.source.schema, id_)

    @property
    def warning(self) -> str | None:
        """What the user should know about the table."""
        if self.source.is_stable:
            return None
        return (
            f"table {self.source.table!r} has no INTEGER PRIMARY KEY: VACUUM may renumber its "
            "rows, and their vectors are then not used until you embed again"
        )


@dataclass
class Progress:
    """How far a run has come."""

    total: int
    done: int = 0
    truncated: int = 0
    """Texts that were longer than the model reads."""
    moved_on: int = 0
    """Rows that were changed by others while they were embedded: left for the next run."""
    deleted: int = 0


def default_name(table: str) -> str:
    """Return the name of the vector table over a table."""
    return f"{table}_vectors"


# ---- Planning ----


def plan(conn: Any, wish: Wish, models: Models) -> Plan:
    """Find out what is new, changed, vanished and unchanged.

    Raises ValueError, in one sentence for the user, where the table or its columns cannot be
    embedded, the model is not there, or the vector table is of another kind.
    """
    db = attach(getattr(conn, "conn", conn))
    if not wish.columns:
        raise ValueError("name at least one column to embed")
    source = describe(db.execute, wish.schema, wish.table, wish.columns)
    name = wish.name or default_name(source.table)
    model = models.named(db, wish.model)
    mark = Fingerprint.of(model, wish.model, wish.dimensions)
    there = _existing(db, wish, name)
    made = Plan(db, source, name, Embedder(model, mark, models.host, db.check), there is None)
    if there is not None:
        difference = _difference(there, source, mark)
        if difference and not wish.force:
            raise ValueError(
                f"{name!r} {difference}; --force embeds everything anew, --name makes another table"
            )
        if difference:
            made.replaces = there
        else:
            kept = _kept_fingerprint(db, there)
            made.embedder = Embedder(model, kept, models.host, db.check)
    remember(db, model)
    made.difference = _compare(made, wish)
    return made


def _existing(db: Database, wish: Wish, name: str) -> VectorTable | None:
    for table in vector_tables(db, wish.schema):
        if table.name.casefold() == name.casefold():
            if table.kind != TEXT or table.source is None:
                raise ValueError(f"{name!r} is not a vector table over {wish.table!r}: use --name")
            return table
    taken = db.execute(
        f"SELECT 1 FROM {quote(wish.schema)}.sqlite_master WHERE name = ? COLLATE NOCASE", (name,)
    )
    if taken:
        raise ValueError(f"there is a table {name!r} already, which holds no vectors: use --name")
    return None


def _difference(there: VectorTable, source: Source, mark: Fingerprint) -> str | None:
    """Say in what a table differs from what is asked for; None: in nothing."""
    if (there.source or "").casefold() != source.table.casefold():
        return f"holds vectors of table {there.source!r}"
    if there.columns != source.columns:
        return f"holds vectors of other columns ({', '.join(there.columns)})"
    if there.sha256 != mark.sha256:
        return f"was made with another model file ({there.model})"
    if there.dimensions != mark.dimensions:
        return f"has {there.dimensions} dimensions, not {mark.dimensions}"
    return None


def _kept_fingerprint(db: Database, there: VectorTable) -> Fingerprint:
    config = f"{quote(there.schema)}.{quote(there.name + '_config')}"
    return Fingerprint.read(dict(db.execute(f"SELECT key, value FROM {config}")))


def _compare(made: Plan, wish: Wish) -> Difference:
    table = made.table()
    if made.is_new or made.replaces:
        return everything(table, wish.where, is_new=True)
    # VACUUM renumbers rows without a note of it, where they have no lasting number.
    watch = made.watch()
    by_notes = made.source.is_stable and not wish.where and not wish.full
    if by_notes and watch.is_on(made.source):
        return noted(table, watch)
    return everything(table, wish.where, is_new=False)


# ---- Working ----


def run(made: Plan, batch_size: int = BATCH_SIZE) -> Iterator[Progress]:
    """Do what was planned, and tell after each batch how far it is.

    Raises ValueError where a transaction is open: each batch is committed.
    """
    if batch_size < 1:
        raise ValueError(f"the batch size must be 1 or more, got {batch_size}")
    if made.db.in_transaction:
        raise ValueError("embedding commits after each batch: end the open transaction first")
    progress = Progress(made.difference.todo)
    if made.is_new or made.replaces:
        _transaction(made.db, lambda: _make_table(made))
    elif not made.watch().is_on(made.source):
        # Whatever changed without a note has none: every row gets one, and is looked at below.
        _transaction(made.db, lambda: made.watch().turn_on(made.source, made.table().nodes))
    progress.deleted = _delete(made)
    yield progress
    ids = made.difference.new + made.difference.changed
    for start in range(0, len(ids), batch_size):
        _embed_batch(made, ids[start : start + batch_size], progress)
        yield progress
    settle(made.table(), made.watch(), lambda work: _transaction(made.db, work))


def _make_table(made: Plan) -> None:
    name = f"{quote(made.source.schema)}.{quote(made.name)}"
    if made.replaces:
        made.db.execute(f"DROP TABLE {name}")
    mark = made.embedder.fingerprint
    columns = "".join(f", content_column={_literal(c)}" for c in made.source.columns)
    made.db.execute(
        f"CREATE VIRTUAL TABLE {name} USING {TEXT}(model={_literal(mark.name)}, "
        f"dim={mark.dimensions}, content={_literal(made.source.table)}{columns})"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _delete(made: Plan) -> int:
    name = f"{quote(made.source.schema)}.{quote(made.name)}"

    def delete(ids: Sequence[int]) -> None:
        made.db.execute(f"DELETE FROM {name} WHERE rowid IN ({', '.join(map(str, ids))})")

    for start in range(0, len(made.difference.vanished), _DELETED):
        ids = made.difference.vanished[start : start + _DELETED]
        _transaction(made.db, lambda ids=ids: delete(ids))
    return len(made.difference.vanished)


def _embed_batch(made: Plan, ids: Sequence[int], progress: Progress) -> None:
    texts = {
        id_: text
        for id_, text in made.source.texts(made.db.execute, ids).items()
        if text is not None
    }
    vectors, long = made.embedder.documents(list(texts.values()))
    blobs = np.ascontiguousarray(vectors, dtype="<f4")
    rows = {
        id_: (id_, text, blob.tobytes(), int(cut))
        for (id_, text), blob, cut in zip(texts.items(), blobs, long, strict=True)
    }
    _transaction(made.db, lambda: _write(made, rows, texts))
    progress.done += len(ids)
    progress.truncated += sum(long)
    progress.moved_on += len(ids) - len(rows)


def _write(made: Plan, rows: dict[int, tuple[int, str, bytes, int]], texts: dict[int, str]) -> None:
    """Store a batch, except for rows that were changed while the model worked."""
    now = made.source.texts(made.db.execute, list(rows))
    name = f"{quote(made.source.schema)}.{quote(made.name)}"
    sql = f"INSERT OR REPLACE INTO {name}(rowid, content, vector, truncated) VALUES (?, ?, ?, ?)"
    for id_ in list(rows):
        if now.get(id_) == texts[id_]:
            made.db.execute(sql, rows[id_])
        else:
            del rows[id_]


def _transaction(db: Database, work: Any) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        work()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
