"""Collections of the command line tool llm, which its embeddings.db keeps.

    collections  id, name, model
    embeddings   collection_id, id (text), embedding (float32), content, content_blob, metadata, ...

A collection becomes a plain table (id, key, content, metadata, ...), which can be read, joined,
indexed for full text and embedded again, and a table of its vectors, NAME_vectors, by the same id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import attach, quote
from ..blob import FLOAT32
from ..options import COSINE, INDEX, TEXT
from ..storage.committing import transaction
from ..storage.saving import finish
from ..storage.schema import VectorTable, vector_tables
from ..texts.embedder import Embedder, Fingerprint, remember
from .origin import tables
from .run import BATCH, Progress, is_usable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...bridge import Database
    from ..texts.embedder import Models

ALIKE = 0.98  # cosine from which two vectors of a text are of the same model
_SAMPLE = 8  # texts that are embedded to see that


@dataclass(frozen=True)
class Collection:
    """A collection of llm's, as it can be imported."""

    id: int
    name: str
    model: str
    dimensions: int
    count: int


@dataclass(frozen=True)
class Target:
    """Where a collection goes."""

    db: Database
    table: str
    embedder: Embedder | None
    """A model of ours whose vectors these are; None: none is known."""

    @property
    def vectors(self) -> str:
        """Name of the table of vectors."""
        return f"{self.table}_vectors"


def collection(conn: Any, name: str | None) -> Collection:
    """Describe a collection; without a name the only one.

    Raises ValueError where there is none, or a choice is needed.
    """
    if not {"collections", "embeddings"} <= tables(conn).keys():
        raise ValueError("this is no file of llm's embeddings: it has no collections")
    rows = conn.execute("SELECT id, name, model FROM collections ORDER BY name").fetchall()
    found = [row for row in rows if name in (None, row[1])]
    if len(found) != 1:
        known = ", ".join(str(row[1]) for row in rows) or "none"
        wanted = "name one" if name is None else f"not {name!r}"
        raise ValueError(f"collections of this file: {known}; {wanted}")
    id_ = found[0][0]
    sizes = conn.execute(
        "SELECT length(embedding) / 4, count(*) FROM embeddings WHERE collection_id = ? "
        "AND typeof(id) = 'text' AND typeof(embedding) = 'blob' GROUP BY 1 ORDER BY 2 DESC",
        (id_,),
    ).fetchall()
    if not sizes or not sizes[0][0]:
        raise ValueError(f"collection {found[0][1]!r} has no vectors")
    id_, named, model = found[0]
    return Collection(id_, named, model, sizes[0][0], sum(size[1] for size in sizes))


def run(
    conn: Any, table: str, source: Any, chosen: Collection, model: str | None, models: Models
) -> Iterator[Progress]:
    """Copy what is not there yet, and tell how far it is.

    With `model`, the vectors become an hnsw_text table over the texts, which that model searches.
    Raises ValueError where its vectors are others, where a table of that name is another one, or
    a transaction is open.
    """
    db = attach(getattr(conn, "conn", conn))
    if db.in_transaction:
        raise ValueError("an import commits after each batch: end the open transaction first")
    embedder = _embedder(db, source, chosen, model, models) if model else None
    target = Target(db, table, embedder)
    _make(target, source, chosen)
    progress = Progress(chosen.count)
    yield progress
    for rows in _blocks(source, chosen):
        _store(target, chosen, rows, progress)
        yield progress
    finish(db, target.vectors)


def _blocks(source: Any, chosen: Collection) -> Iterator[list[tuple[Any, ...]]]:
    sql = (
        "SELECT id, content, metadata, content_blob, embedding FROM embeddings "
        "WHERE collection_id = ? AND typeof(id) = 'text' {} ORDER BY id LIMIT ?"
    )
    rows = source.execute(sql.format(""), (chosen.id, BATCH)).fetchall()
    while rows:
        yield rows
        after = (chosen.id, rows[-1][0], BATCH)
        rows = source.execute(sql.format("AND id > ?"), after).fetchall()


# ---- The model ----


def _embedder(db: Database, source: Any, chosen: Collection, name: str, models: Models) -> Embedder:
    """The model, if its vectors are those of the collection. Raises ValueError."""
    model = models.named(db, name)
    mark = Fingerprint.of(model, name, None)
    if mark.dimensions != chosen.dimensions:
        raise ValueError(
            f"vectors of {chosen.name!r} have {chosen.dimensions} dimensions, "
            f"those of model {name!r} {mark.dimensions}"
        )
    embedder = Embedder(model, mark, models.host, db.check)
    rows = source.execute(
        "SELECT content, embedding FROM embeddings WHERE collection_id = ? AND content <> '' "
        "AND typeof(content) = 'text' AND typeof(embedding) = 'blob' AND length(embedding) = ? "
        "LIMIT ?",
        (chosen.id, 4 * chosen.dimensions, _SAMPLE),
    ).fetchall()
    if not rows:
        raise ValueError(f"collection {chosen.name!r} has no texts that a model could search")
    ours = embedder.documents([row[0] for row in rows])[0].astype(float)
    theirs = np.array([np.frombuffer(row[1], FLOAT32) for row in rows]).astype(float)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    least = float((np.sum(ours * theirs, axis=1) / np.maximum(lengths, 1e-12)).min())
    if not least >= ALIKE:
        raise ValueError(
            f"the vectors of {chosen.name!r} ({chosen.model}) are not those of model {name!r}: "
            f"a text's two have a cosine of {least:.2f}; import without a model, then "
            "sqlite-utils embed makes new ones"
        )
    remember(db, model)
    return embedder


# ---- The tables ----


def _make(target: Target, source: Any, chosen: Collection) -> None:
    """Make the tables, unless they are there. Raises ValueError where others are."""
    db, there = target.db, {table.name: table for table in vector_tables(target.db)}
    columns = {row[1] for row in db.execute(f"PRAGMA table_info({quote(target.table)})")}
    if columns and not {"id", "key", "content", "metadata"} <= columns:
        raise ValueError(
            f"there is a table {target.table!r} already, which no import made: choose a new name"
        )
    if target.vectors in there:
        _compare(target, there[target.vectors], chosen)

    def work() -> None:
        if not columns:
            has_blobs = "SELECT 1 FROM embeddings WHERE collection_id = ? AND content_blob NOT NULL"
            blobs = source.execute(f"{has_blobs} LIMIT 1", (chosen.id,)).fetchone()
            db.execute(
                f"CREATE TABLE {quote(target.table)}(id INTEGER PRIMARY KEY, "
                "key TEXT NOT NULL UNIQUE, content TEXT, metadata TEXT"
                f"{', content_blob BLOB' if blobs else ''})"
            )
        if target.vectors not in there:
            db.execute(_declaration(target, chosen))

    transaction(db, work)


def _declaration(target: Target, chosen: Collection) -> str:
    if target.embedder is None:
        return (
            f"CREATE VIRTUAL TABLE {quote(target.vectors)} USING {INDEX}"
            f"(dimensions={chosen.dimensions}, metric={COSINE})"
        )
    model, content = (
        "'" + name.replace("'", "''") + "'"
        for name in (target.embedder.fingerprint.name, target.table)
    )
    return (
        f"CREATE VIRTUAL TABLE {quote(target.vectors)} USING {TEXT}(model={model}, "
        f"content={content}, content_column=content)"
    )


def _compare(target: Target, there: VectorTable, chosen: Collection) -> None:
    wanted = target.embedder.fingerprint.sha256 if target.embedder else None
    if (there.dimensions, there.sha256) != (chosen.dimensions, wanted):
        kind = f"of model {there.model!r}" if there.model else "without a model"
        raise ValueError(
            f"table {there.name!r} is there already: {there.dimensions} dimensions, {kind}; "
            "choose a new name"
        )


def _store(
    target: Target, chosen: Collection, rows: Sequence[tuple[Any, ...]], progress: Progress
) -> None:
    usable = [row for row in rows if is_usable(row[-1], chosen.dimensions)]
    columns = [row[1] for row in target.db.execute(f"PRAGMA table_info({quote(target.table)})")]
    written: list[int] = []

    def work() -> None:
        there = _there(target, [row[0] for row in usable])
        for row in usable:
            if row[0] not in there:
                written.append(_insert(target, columns, row))

    transaction(target.db, work)
    progress.seen += len(rows)
    progress.imported += len(written)
    progress.there += len(usable) - len(written)
    progress.unusable += len(rows) - len(usable)


def _insert(target: Target, columns: Sequence[str], row: tuple[Any, ...]) -> int:
    key, content, metadata, blob, vector = row
    given = {"key": key, "content": content, "metadata": metadata, "content_blob": blob}
    names = [name for name in given if name in columns]
    target.db.execute(
        f"INSERT INTO {quote(target.table)}({', '.join(names)}) VALUES "
        f"({', '.join('?' * len(names))})",
        [given[name] for name in names],
    )
    id_ = target.db.last_insert_rowid
    vectors = quote(target.vectors)
    if target.embedder is None:
        target.db.execute(f"INSERT INTO {vectors}(rowid, vector) VALUES (?, ?)", (id_, vector))
    elif content is not None:
        target.db.execute(
            f"INSERT INTO {vectors}(rowid, content, vector) VALUES (?, ?, ?)",
            (id_, content, vector),
        )
    return id_


def _there(target: Target, keys: Sequence[Any]) -> set[str]:
    sql = f"SELECT key FROM {quote(target.table)} WHERE key IN (SELECT value FROM json_each(?))"
    return {row[0] for row in target.db.execute(sql, (json.dumps(keys),))}
