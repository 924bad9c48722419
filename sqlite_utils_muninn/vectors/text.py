"""hnsw_text: texts, embedded as they are written and searched by meaning."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..bridge import NOCHANGE, quote
from . import embedder
from .belonging import some
from .best import BestPassages
from .deferring import DeferringTable
from .embedder import Embedder, Fingerprint, Models
from .options import SHADOW, TEXT, Cutting, TextOptions
from .passages import Made, Passages, Whole
from .pending import Watch, watched_tables
from .request import column_uses, condition
from .shared import Transaction, transactions
from .source import Source, describe, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..bridge import Database, Query
    from .blob import Ids, Matrix
    from .reader import Ranked
    from .request import Request


class Row(NamedTuple):
    """A row to be written."""

    text: Any  # str, None, or NOCHANGE: text and vector stay as they are
    made: Made | None = None  # None: the text has no vector yet
    values: Mapping[str, Any] = MappingProxyType({})  # metadata, as far as it is written


class HnswText(DeferringTable):
    """`CREATE VIRTUAL TABLE docs USING hnsw_text(model=..., content=..., content_column=...)`."""

    owner = TEXT

    def __init__(
        self, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> None:
        super().__init__(db, schema, table, options.dimensions, options)
        self.text_options = options
        self.metadata = options.metadata
        self.models = models
        self.layout = Passages(self.storage) if options.cutting else Whole(self.storage)
        self.best = (
            BestPassages(self.layout, self.reader) if isinstance(self.layout, Passages) else None
        )
        own = () if options.content else ("content",)
        self.shadow = (*SHADOW, *own, *self.layout.shadow)
        hidden = [("vector", "BLOB"), ("truncated", "INTEGER")]
        if self.best:
            hidden.append(("chunk", "TEXT"))
        self.computed = tuple(name for name, _ in hidden)
        self.declare(
            [("content", "TEXT"), ("distance", "REAL"), *((c.name, c.type) for c in self.metadata)],
            [*hidden, ("k", "INTEGER"), ("ef_search", "INTEGER")],
        )
        self.plans = self.plans_for(["content", "vector"], column_uses(self.metadata))
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
        settings = {"kind": TEXT, "metric": options.metric, **taken.settings()}
        if options.content:
            settings["content"] = options.content
            settings["content_columns"] = json.dumps(options.content_columns)
        if options.cutting:
            cutting = Embedder(model, taken, models.host, db.check).cutting(options.cutting)
            settings |= {"max_tokens": cutting.max_tokens, "overlap": cutting.overlap}
        self.storage.create(settings, (*self.layout.columns, *self.metadata))
        self.layout.create()
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

    def cutting(self) -> Cutting | None:
        """How texts are split, as it was settled when the table was made; None: they are not."""
        if self.text_options.cutting is None:
            return None
        config = self.storage.config()
        most, overlap = config.get("max_tokens"), config.get("overlap")
        if not isinstance(most, int) or not isinstance(overlap, int):
            raise self.storage.damaged(
                f"{self.storage.table}_config does not say how texts are cut"
            )
        return Cutting(most, overlap)

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

    # ---- Commands ----

    def run_command(self, command: object) -> None:
        """Run a command; 'rebuild' embeds texts anew that lost theirs, if the model is here."""
        super().run_command(command)
        if command == "rebuild" and not self.text_options.content:
            lost = self._without_vector()
            with suppress(ValueError, OSError, ImportError):
                if len(lost) and self.embedder():
                    for id_ in lost.tolist():
                        self.defer(id_)

    def integrity(self) -> str | None:
        """What is wrong with the tables, if anything is."""
        problem = super().integrity()
        if problem or self.text_options.content:
            return problem
        lost = self._without_vector()
        if not len(lost):
            return None
        return f"texts without a vector: {some(lost.tolist())}; 'rebuild' embeds them"

    def _without_vector(self) -> Ids:
        """Rows of own texts that have none."""
        has_text = f"id IN (SELECT id FROM {self.storage.name('content')} WHERE content NOT NULL)"
        return self.storage.ids(f"hash IS NULL AND {has_text}")

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
            yield from self._ranked(wanted, probe, query)
            return
        if wanted.count is None:
            for ranked in self._ranked(wanted, probe, query):
                yield self._present(source, ranked)
            return
        yield from self._first_present(source, wanted, probe, query)

    def _ranked(self, wanted: Request, probe: Matrix, query: Query) -> Iterator[Ranked]:
        if self.best:
            return self.best.answers(wanted, self.allowed(wanted, query), probe)
        return super().answers(wanted, probe, query)

    def allowed(self, wanted: Request, query: Query) -> Ids | None:
        """The rows named by `rowid IN` and by conditions on metadata columns."""
        where = condition(query, self.metadata)
        if where is None:
            return wanted.ids
        ids = self.storage.ids(*where)
        return ids if wanted.ids is None else ids[np.isin(ids, wanted.ids)]

    def _first_present(
        self, source: Source, wanted: Request, probe: Matrix, query: Query
    ) -> Iterator[Ranked]:
        """As many as wanted: a few more are asked for, and only if that is not enough, all."""
        assert wanted.count is not None
        for count in (wanted.count + 10, None):
            parts = self._ranked(dataclasses.replace(wanted, count=count), probe, query)
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
        return None if text is None else self._hashed(text, mark)

    def values(self, ids: Ids, query: Query) -> dict[str, list[Any]]:
        """Texts, vectors, metadata, and which texts were cut."""
        columns = {} if self.best else super().values(ids, query)
        names = [c.name for c in self.metadata if self.reads(query, c.name)]
        if self.reads(query, "truncated"):
            names.append("truncated")
        kept = self.storage.rows(ids, names) if names else {}
        nothing = (None,) * len(names)
        for place, name in enumerate(names):
            columns[name] = [kept.get(id_, nothing)[place] for id_ in ids.tolist()]
        texts: dict[int, str | None] = {}
        if self.reads(query, "content") or (self.best and self.reads(query, "chunk")):
            texts = self.texts(ids)
            columns["content"] = [texts.get(id_) for id_ in ids.tolist()]
        if self.best:
            columns |= self._of_passages(self.best, ids, query, texts)
        return columns

    def _of_passages(
        self, best: BestPassages, ids: Ids, query: Query, texts: dict[int, str | None]
    ) -> dict[str, list[Any]]:
        """In a search, what is nearest of each row: its vector and its text. Else the first one."""
        columns: dict[str, list[Any]] = {}
        found = best.found if query.plan.endswith(" match") else {}
        if self.reads(query, "vector"):
            first = best.passages.first_of([id_ for id_ in ids.tolist() if id_ not in found])
            wanted = {**first, **{row: id_ for row, (id_, _) in found.items()}}
            passages = np.array([wanted.get(id_, -1) for id_ in ids.tolist()], np.int64)
            columns["vector"] = self.blobs(passages)
        if self.reads(query, "chunk"):
            spans = {row: slice(*span) for row, (_, span) in found.items()}
            columns["chunk"] = [
                text[spans[id_]] if (text := texts.get(id_)) is not None and id_ in spans else None
                for id_ in ids.tolist()
            ]
        return columns

    # ---- Writing ----

    def new_row(self, rowid: int | None, values: Sequence[Any]) -> Row:
        """Look at what is written; a text that needs a vector needs the model to be there."""
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
        if vector not in (None, NOCHANGE):
            matrix = self.vector(vector)[None, :]
            is_cut = cut is not NOCHANGE and bool(cut)
            return Row(text, Made(matrix, [(0, len(text))], is_cut), metadata)
        if rowid is not None and self._hash_of(rowid) == self.hash(text, self.fingerprint()):
            return Row(NOCHANGE, values=metadata)
        if is_given and self.source():  # this text is nowhere but here
            return Row(text, self._made({0: text})[0], metadata)
        self.embedder()
        return Row(text, None, metadata)

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
        """Write a new row."""
        id_ = self.layout.insert(rowid, row.values)
        self._keep_text(id_, row.text)
        self._give_or_defer(id_, row)
        return id_

    def replace_row(self, rowid: int, row: Row) -> None:
        """Write a row that is there."""
        self.storage.set_values(rowid, dict(row.values))
        if row.text is not NOCHANGE:
            self.layout.clear(rowid)
            self._keep_text(rowid, row.text)
            self._give_or_defer(rowid, row)
        else:
            self._settle([rowid])

    def _give_or_defer(self, id_: int, row: Row) -> None:
        if row.made:
            self.layout.put([(id_, self._hashed(row.text, self.fingerprint()), row.made)])
        if row.made or row.text is None:
            self._settle([id_])
        else:
            self.defer(id_)

    def give_vectors(self, ids: Sequence[int]) -> None:
        """Embed the texts of those of some rows that have no vector."""
        hashes = self.storage.rows(np.array(ids, np.int64), ["hash"])
        waiting = [id_ for id_, (hashed,) in hashes.items() if hashed is None]
        found = self.texts(np.array(waiting, np.int64))
        texts = {id_: text for id_, text in found.items() if text is not None}
        if not texts:
            return
        made = self._made(texts)
        mark = self.fingerprint()
        self.layout.put([(id_, self._hashed(texts[id_], mark), made[id_]) for id_ in texts])
        self._settle(list(texts))

    def _made(self, texts: Mapping[int, str]) -> dict[int, Made]:
        """The vectors of texts; those that were made beforehand are taken from there."""
        mark, ready = self.fingerprint(), self.ready()
        hashes = {id_: self._hashed(text, mark) for id_, text in texts.items()}
        made = {id_: ready[hashed] for id_, hashed in hashes.items() if hashed in ready}
        missing = [id_ for id_ in texts if id_ not in made]
        if missing:
            found = self.embedder().passages([texts[id_] for id_ in missing], self.cutting())
            made.update(zip(missing, found, strict=True))
        return made

    def _hashed(self, text: str, mark: Fingerprint) -> bytes:
        return fingerprint(text, mark.sha256, mark.document_prefix)

    def _settle(self, ids: Sequence[int]) -> None:
        """Take notes off the rows that now have the vector of their text."""
        source = self.source()
        if source is None:
            return
        if self._watch is None:
            watch = Watch(self.db.execute, self.storage.schema, self.storage.id)
            if not watch.has_notes():  # a table of an older version, until it is embedded again
                return
            self._watch = watch
        texts, mark = source.texts(self.db.execute, ids), self.fingerprint()
        stored = self.storage.rows(np.array(ids, np.int64), ["hash"])
        self._watch.forget(
            [i for i in ids if self.hash(texts.get(i), mark) == stored.get(i, (None,))[0]]
        )

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
