"""hnsw_text: texts, embedded as they are written and searched by meaning."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bridge import NOCHANGE, quote
from . import embedder
from .embedder import Embedder, Fingerprint, Models
from .options import SHADOW, TEXT, Column, TextOptions
from .pending import Watch, watched_tables
from .shared import Transaction, transactions
from .source import Source, describe, fingerprint
from .stored import StoredTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..bridge import Database, Query
    from .blob import Matrix
    from .flat import Ids
    from .reader import Ranked
    from .request import Request

NODE_COLUMNS = (Column("hash", "BLOB"), Column("truncated", "INTEGER"))


class Row(NamedTuple):
    """A row to be written."""

    text: Any  # str, None, or NOCHANGE: text and vector stay as they are
    vector: bytes | None
    hash: bytes | None
    truncated: int


KEPT = Row(NOCHANGE, None, None, 0)


class HnswText(StoredTable):
    """`CREATE VIRTUAL TABLE docs USING hnsw_text(model=..., content=..., content_column=...)`."""

    owner = TEXT

    def __init__(
        self, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> None:
        super().__init__(db, schema, table, options.dimensions, options)
        self.text_options = options
        self.models = models
        self.shadow = SHADOW if options.content else (*SHADOW, "content")
        self.declare(
            [("content", "TEXT"), ("distance", "REAL")],
            [
                ("vector", "BLOB"),
                ("truncated", "INTEGER"),
                ("k", "INTEGER"),
                ("ef_search", "INTEGER"),
            ],
        )
        self.plans = self.plans_for(["content", "vector"])
        self._source: Source | None = None
        self._watch: Watch | None = None

    @classmethod
    def create(
        cls, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> HnswText:
        """CREATE VIRTUAL TABLE: the model must be there, and is remembered by its bytes."""
        self = cls(db, schema, table, options, models)
        source = self._described(options.content) if options.content else None
        model = models.named(db, options.model)
        taken = Fingerprint.of(model, options.model, options.dimensions)
        embedder.remember(db, model)
        self.storage.dimensions = taken.dimensions
        content = {
            "content": options.content,
            "content_columns": json.dumps(options.content_columns),
        }
        settings = {"kind": TEXT, "metric": options.metric, **taken.settings()}
        self.storage.create({**settings, **(content if options.content else {})}, NODE_COLUMNS)
        if source:
            Watch(db.execute, schema, self.storage.id).turn_on(source)
        else:
            db.execute(
                f"CREATE TABLE {self.storage.name('content')}(id INTEGER PRIMARY KEY, content TEXT)"
            )
        transactions(db)[(schema, self.storage.id)] = Transaction()
        return self

    # ---- The model and the texts ----

    def fingerprint(self) -> Fingerprint:
        """What the table remembers of its model."""
        return Fingerprint.read(self.storage.config())

    def embedder(self) -> Embedder:
        """The table's model. Raises ValueError where it is not there."""
        return embedder.find(self.db, self.models, self.storage.table, self.fingerprint())

    def source(self) -> Source | None:
        """The table whose texts these are, renamed or not; None: they are our own."""
        if self.text_options.content and self._source is None:
            watched = watched_tables(self.db.execute, self.storage.schema)
            name = watched.get(self.storage.id, self.text_options.content)
            self._source = self._described(name)
        return self._source

    def _described(self, table: str) -> Source:
        columns = self.text_options.content_columns
        return describe(self.db.execute, self.storage.schema, table, columns)

    def texts(self, ids: Ids) -> dict[int, str | None]:
        """The texts of some rows, as far as they are there."""
        source = self.source()
        if source:
            return source.texts(self.db.execute, ids.tolist())
        rows = self.db.execute(
            f"SELECT c.id, c.content FROM json_each(?) j "
            f"CROSS JOIN {self.storage.name('content')} c ON c.id = j.value",
            (json.dumps(ids.tolist()),),
        )
        return dict(rows)

    # ---- Reading ----

    def probe(self, query: Query) -> Matrix | None:
        """Embed the text that is searched for, or take a vector as it is."""
        if query.plan == "vector match":
            return super().probe(query)
        value = query.constraints["content match"]
        if value is None:
            return None
        if isinstance(value, bytes):
            raise ValueError(f"{TEXT}: MATCH wants text, got a blob of {len(value)} bytes")
        return self.embedder().query(str(value))

    def answers(self, wanted: Request, probe: Matrix, query: Query) -> Iterator[Ranked]:
        """Batches of ranked rows; those of another table as they were embedded."""
        source = self.source()
        if source is None:
            yield from super().answers(wanted, probe, query)
            return
        if wanted.count is None:
            for ranked in super().answers(wanted, probe, query):
                yield self._present(source, ranked)
            return
        yield from self._first_present(source, wanted, probe, query)

    def _first_present(
        self, source: Source, wanted: Request, probe: Matrix, query: Query
    ) -> Iterator[Ranked]:
        """As many as wanted: a few more are asked for, and only if that is not enough, all."""
        assert wanted.count is not None
        for count in (wanted.count + 10, None):
            parts = super().answers(dataclasses.replace(wanted, count=count), probe, query)
            ids, far = np.empty(0, np.int64), np.empty(0)
            asked = 0
            for ranked in parts:
                asked += len(ranked[0])
                there = self._present(source, ranked)
                ids, far = np.concatenate([ids, there[0]]), np.concatenate([far, there[1]])
                if len(ids) >= wanted.count:
                    break
            if len(ids) >= wanted.count or count is None or asked < count:
                yield ids[: wanted.count], far[: wanted.count]
                return

    def _present(self, source: Source, ranked: Ranked) -> Ranked:
        """Leave out rows that the source has no longer, or with another text.

        Whatever changed it, and whether that was noted or not: a row is only found by the text
        that it has. VACUUM, too, puts other texts under the rowids of a table without INTEGER
        PRIMARY KEY.
        """
        ids, far = ranked
        texts = source.texts(self.db.execute, ids.tolist())
        hashes = self.storage.rows(ids, ["hash"])
        mark = self.fingerprint()
        keep = [
            self.hash(texts.get(id_), mark) == hashes.get(id_, (None,))[0] is not None
            for id_ in ids.tolist()
        ]
        mask = np.array(keep, dtype=np.bool_)
        return ids[mask], far[mask]

    def hash(self, text: str | None, mark: Fingerprint) -> bytes | None:
        """The fingerprint of a text under this table's model."""
        return None if text is None else fingerprint(text, mark.sha256, mark.document_prefix)

    def values(self, ids: Ids, query: Query) -> dict[str, list[Any]]:
        """Texts, vectors, and which texts were cut."""
        columns = super().values(ids, query)
        if self.reads(query, "content"):
            texts = self.texts(ids)
            columns["content"] = [texts.get(id_) for id_ in ids.tolist()]
        if self.reads(query, "truncated"):
            cut = self.storage.rows(ids, ["truncated"])
            columns["truncated"] = [cut.get(id_, (None,))[0] for id_ in ids.tolist()]
        return columns

    # ---- Writing ----

    def new_row(self, rowid: int | None, values: Sequence[Any]) -> Row:
        """Embed the text, unless the row has it already or its vector is given."""
        text, vector, cut = (
            values[self.columns.index(c)] for c in ("content", "vector", "truncated")
        )
        if text is NOCHANGE and vector in (None, NOCHANGE):
            return KEPT
        text = self._text(rowid, text)
        if text is None:
            return Row(None, None, None, 0)
        mark = self.fingerprint()
        hashed = self.hash(text, mark)
        if vector not in (None, NOCHANGE):
            return Row(
                text, self.vector(vector).tobytes(), hashed, int(cut is not NOCHANGE and bool(cut))
            )
        if rowid is not None and self._hash_of(rowid) == hashed and self.storage.has_vector(rowid):
            return KEPT
        matrix, long = self.embedder().documents([text])
        return Row(text, np.ascontiguousarray(matrix[0], "<f4").tobytes(), hashed, int(long[0]))

    def _text(self, rowid: int | None, given: Any) -> str | None:
        if isinstance(given, bytes):
            raise ValueError(f"{TEXT}: content must be text, got a blob of {len(given)} bytes")
        source = self.source()
        if source is None:
            return None if given in (None, NOCHANGE) else str(given)
        if rowid is None:
            raise ValueError(
                f"{TEXT}: give the rowid that the text has in table {source.table!r}: "
                f"INSERT INTO {quote(self.storage.table)}(rowid) VALUES (...)"
            )
        if given not in (None, NOCHANGE):
            return str(given)
        texts = source.texts(self.db.execute, [rowid])
        if rowid not in texts:
            raise ValueError(f"{TEXT}: table {source.table!r} has no row {rowid}")
        return texts[rowid]

    def _hash_of(self, rowid: int) -> bytes | None:
        found = self.storage.rows(np.array([rowid], dtype=np.int64), ["hash"])
        hashed: bytes | None = found.get(rowid, (None,))[0]
        return hashed

    def complete(self, rowid: int, values: Sequence[Any]) -> list[Any]:
        """Replace NOCHANGE by what the row has; the vector only with an unchanged text."""
        completed = list(values)
        ids = np.array([rowid], dtype=np.int64)
        at = self.columns.index
        if values[at("content")] is NOCHANGE:
            completed[at("content")] = self.texts(ids).get(rowid)
            if values[at("vector")] is NOCHANGE:
                completed[at("vector")] = self.blobs(ids)[0]
                completed[at("truncated")] = self.storage.rows(ids, ["truncated"])[rowid][0]
        return completed

    def insert_row(self, rowid: int | None, row: Row) -> int:
        """Write a new row."""
        values = {"hash": row.hash, "truncated": row.truncated}
        id_ = self.storage.insert(rowid, row.vector, values)
        self._keep_text(id_, row.text)
        self._settle(id_)
        return id_

    def replace_row(self, rowid: int, row: Row) -> None:
        """Write a row that is there."""
        if row.text is not NOCHANGE:
            self.storage.set_values(rowid, {"hash": row.hash, "truncated": row.truncated})
            self.storage.set_vector(rowid, row.vector)
            self._keep_text(rowid, row.text)
        self._settle(rowid)

    def _settle(self, id_: int) -> None:
        """Take a note off, if the row now has the vector of its text."""
        source = self.source()
        if source is None:
            return
        if self._watch is None:
            watch = Watch(self.db.execute, self.storage.schema, self.storage.id)
            if not watch.has_notes():  # a table of an older version, until it is embedded again
                return
            self._watch = watch
        text = source.texts(self.db.execute, [id_]).get(id_)
        if self.hash(text, self.fingerprint()) == self._hash_of(id_):
            self._watch.forget([id_])

    def destroy(self) -> None:
        """DROP TABLE: the triggers on the source go too."""
        if self.text_options.content and self._key():
            Watch(self.db.execute, self.storage.schema, self.storage.id).turn_off()
        super().destroy()

    def _keep_text(self, id_: int, text: str | None) -> None:
        if not self.text_options.content:
            content = self.storage.name("content")
            self.db.execute(f"REPLACE INTO {content} VALUES (?, ?)", (id_, text))

    def delete_row(self, rowid: int) -> None:
        """Remove a row."""
        self.storage.delete(rowid)
        if not self.text_options.content:
            content = self.storage.name("content")
            self.db.execute(f"DELETE FROM {content} WHERE id = ?", (rowid,))
