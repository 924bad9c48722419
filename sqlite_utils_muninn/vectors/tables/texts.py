"""The rows of an hnsw_text table: their texts, where those are, and how they are written."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...bridge import NOCHANGE, quote
from ..blob import FLOAT32
from ..options import TEXT, Cutting, TextOptions
from ..storage.parts import Parts
from ..storage.pending import Watch, watched_tables
from ..storage.source import Source, describe, fingerprint
from ..texts import embedder
from ..texts.embedder import Embedder, Fingerprint, Models
from ..texts.passages import Made, Passages, Whole
from .deferring import DeferringTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...bridge import Database
    from ..blob import Ids


class Row(NamedTuple):
    """A row to be written."""

    text: Any  # str, None, or NOCHANGE: text and vector stay as they are
    hash: bytes | None = None
    made: Made | None = None  # None: the text has no vector yet
    values: Mapping[str, Any] = MappingProxyType({})  # metadata, as far as it is written


class TextRows(DeferringTable):
    """The rows of an hnsw_text table on one connection."""

    owner = TEXT

    def __init__(
        self, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> None:
        super().__init__(db, schema, table, options.dimensions, options)
        self.text_options = options
        self.metadata = options.metadata
        self.models = models
        self.layout = Passages(self.storage) if options.cutting else Whole(self.storage)
        own = None if options.content else "content"
        self.parts = Parts(
            (*self.layout.columns, *self.metadata),
            (*((own,) if own else ()), *self.layout.tables),
            origin=own,
        )
        self._source: Source | None = None
        self._watch: Watch | None = None

    # ---- The model and the texts ----

    def fingerprint(self) -> Fingerprint:
        """What the table remembers of its model."""
        return Fingerprint.read(self.storage.config())

    def mark(self) -> Fingerprint:
        """The same, read once for a transaction that writes."""
        found = self.deferred_here()
        if found is None:
            return self.fingerprint()
        found.mark = found.mark or self.fingerprint()
        return found.mark

    def embedder(self) -> Embedder:
        """The table's model. Raises ValueError where it is not there."""
        return embedder.find(self.db, self.models, self.storage.table, self.mark())

    def cutting(self) -> Cutting | None:
        """How texts are split, as it was settled when the table was made; None: they are not."""
        if self.text_options.cutting is None:
            return None
        found = Cutting.read(self.storage.config())
        if found is None:
            raise self.storage.damaged(
                f"{self.storage.table}_config does not say how texts are cut"
            )
        return found

    def source(self) -> Source | None:
        """The table whose texts these are, renamed or not; None: they are our own."""
        if self.text_options.content and self._source is None:
            watched = watched_tables(self.db.execute, self.storage.schema)
            name = watched.get(self.storage.id, self.text_options.content)
            self._source = self.described(name)
        return self._source

    def described(self, table: str) -> Source:
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

    def hash(self, text: str | None, mark: Fingerprint) -> bytes | None:
        """The fingerprint of a text under this table's model."""
        return None if text is None else self._hashed(text, mark)

    def _hashed(self, text: str, mark: Fingerprint) -> bytes:
        return fingerprint(text, mark.sha256, mark.document_prefix)

    # ---- Writing ----

    def new_row(self, rowid: int | None, values: Sequence[Any]) -> Row:
        """Look at what is written."""
        text, vector, cut = (
            values[self.columns.index(c)] for c in ("content", "vector", "truncated")
        )
        given = {c.name: values[self.columns.index(c.name)] for c in self.metadata}
        metadata = {name: value for name, value in given.items() if value is not NOCHANGE}
        if text is NOCHANGE and vector in (None, NOCHANGE):
            return Row(NOCHANGE, values=metadata)
        is_given = text not in (None, NOCHANGE)
        text = self._text(rowid, text)
        if text is None:
            return Row(None, values=metadata)
        hashed = self.hash(text, self.mark())
        if vector not in (None, NOCHANGE):
            matrix = np.frombuffer(self.vector(vector), FLOAT32)[None, :]
            is_cut = cut is not NOCHANGE and bool(cut)
            return Row(text, hashed, Made(matrix, [(0, len(text))], is_cut), metadata)
        # A text that is given beside another table's is nowhere but here.
        made = self._made({0: text})[0] if is_given and self.source() else None
        return Row(text, hashed, made, metadata)

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
        """Replace NOCHANGE by what the row has; vectors move along with an unchanged text."""
        completed = list(values)
        ids = np.array([rowid], dtype=np.int64)
        at = self.columns.index
        kept = self.storage.rows(ids, [c.name for c in self.metadata]).get(rowid, ())
        for column, value in zip(self.metadata, kept, strict=False):
            if values[at(column.name)] is NOCHANGE:
                completed[at(column.name)] = value
        if values[at("content")] is NOCHANGE:
            completed[at("content")] = self.texts(ids).get(rowid)
            hashed = self._hash_of(rowid)
            if hashed is not None and values[at("vector")] is NOCHANGE:
                self.keep_made(hashed, self.layout.made_of(rowid))
        return completed

    def insert_row(self, rowid: int | None, row: Row) -> int:
        """Write a new row. A text that needs a vector needs the model to be there."""
        self._need_model(row)
        id_ = self.layout.insert(rowid, row.values)
        self._keep_text(id_, row.text)
        self._give_or_defer(id_, row)
        return id_

    def replace_row(self, rowid: int, row: Row) -> None:
        """Write a row that is there."""
        same = row.text is NOCHANGE or (
            row.made is None and row.hash is not None and row.hash == self._hash_of(rowid)
        )
        if not same:
            self._need_model(row)
        self.storage.set_values(rowid, dict(row.values))
        if same:
            self._settle([rowid])
            return
        self.layout.clear(rowid)
        self._keep_text(rowid, row.text)
        self._give_or_defer(rowid, row)

    def _need_model(self, row: Row) -> None:
        """Raise ValueError, once for a transaction, where a text cannot be embedded."""
        if row.made is not None or row.hash is None or self.ready(row.hash) is not None:
            return
        found = self.deferred_here()
        if found is None or not found.has_model:
            self.embedder()
        if found:
            found.has_model = True

    def _give_or_defer(self, id_: int, row: Row) -> None:
        if row.made and row.hash:
            self.layout.put([(id_, row.hash, row.made)])
        if row.made or row.text is None:
            self._settle([id_])
        else:
            self.defer(id_)

    def give_vectors(self, ids: Sequence[int]) -> None:
        """Embed the texts of those of some rows that have no vector."""
        hashes = self.storage.rows(np.array(ids, np.int64), ["hash"])
        waiting = [id_ for id_, (hashed,) in hashes.items() if hashed is None]
        found = self.texts(np.array(waiting, np.int64))
        texts = {id_: text for id_, text in found.items() if isinstance(text, str)}
        if not texts:
            return
        made = self._made(texts)
        mark = self.mark()
        self.layout.put([(id_, self._hashed(texts[id_], mark), made[id_]) for id_ in texts])
        self._settle(list(texts))

    def _made(self, texts: Mapping[int, str]) -> dict[int, Made]:
        """The vectors of texts; those that were made beforehand are taken from there."""
        mark = self.mark()
        found = {id_: self.ready(self._hashed(text, mark)) for id_, text in texts.items()}
        made = {id_: each for id_, each in found.items() if each is not None}
        missing = [id_ for id_ in texts if id_ not in made]
        if missing:
            vectors = self.embedder().passages([texts[id_] for id_ in missing], self.cutting())
            made.update(zip(missing, vectors, strict=True))
        return made

    def _settle(self, ids: Sequence[int]) -> None:
        """Take notes off the rows that now have the vector of their text, note the others."""
        source = self.source()
        if source is None:
            return
        if self._watch is None:
            watch = Watch(self.db.execute, self.storage.schema, self.storage.id)
            if not watch.has_notes():  # a table of an older version, until it is embedded again
                return
            self._watch = watch
        texts, mark = source.texts(self.db.execute, ids), self.mark()
        stored = self.storage.rows(np.array(ids, np.int64), ["hash"])
        same = [i for i in ids if self.hash(texts.get(i), mark) == stored.get(i, (None,))[0]]
        self._watch.forget(same)
        # A text was given beside that of the other table: the row is to be looked at.
        self._watch.note(sorted(set(ids) - set(same)))

    def forget_source(self) -> None:
        """Look for the other table once more."""
        self._source = self._watch = None

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
        self.layout.delete(rowid)
        if not self.text_options.content:
            content = self.storage.name("content")
            self.db.execute(f"DELETE FROM {content} WHERE id = ?", (rowid,))
