"""hnsw_text: texts, embedded as they are written and searched by meaning."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ..options import TEXT, Cutting, TextOptions
from ..storage.pending import Watch
from ..storage.shared import Transaction, transactions
from ..texts import embedder
from ..texts.embedder import Embedder, Fingerprint, Models
from ..texts.passages import Passages
from . import belonging, recovery
from .best import BestPassages
from .reader import batches
from .request import column_uses
from .texts import TextRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...bridge import Database, Query
    from ..blob import Ids, Packed
    from ..index.engine import Search
    from ..storage.source import Source
    from .reader import Answer, Ranked


class HnswText(TextRows):
    """`CREATE VIRTUAL TABLE docs USING hnsw_text(model=..., content=..., content_column=...)`."""

    def __init__(
        self, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> None:
        super().__init__(db, schema, table, options, models)
        self.best = (
            BestPassages(self.layout, self.reader) if isinstance(self.layout, Passages) else None
        )
        hidden = [("vector", "BLOB"), ("truncated", "INTEGER")]
        if self.best:
            hidden.append(("chunk", "TEXT"))
        # A row is found by the text that it has: whether the vector is of that is asked, too.
        self.can_look_up = self.best is None and options.content is None
        self.computed = tuple(name for name, _ in hidden)
        self.declare(
            [("content", "TEXT"), ("distance", "REAL"), *((c.name, c.type) for c in self.metadata)],
            [*hidden, ("k", "INTEGER"), ("ef_search", "INTEGER")],
        )
        self.plans = self.plans_for(["content", "vector"], column_uses(self.metadata))

    @classmethod
    def create(
        cls, db: Database, schema: str, table: str, options: TextOptions, models: Models
    ) -> HnswText:
        """CREATE VIRTUAL TABLE: the model must be there, and is remembered by its bytes."""
        self = cls(db, schema, table, options, models)
        source = self.described(options.content) if options.content else None
        model = models.named(db, options.model)
        taken = Fingerprint.of(model, options.model, options.dimensions)
        embedder.remember(db, model)
        self.storage.dimensions = taken.dimensions
        made = Embedder(model, taken, models.host, db.check)
        cutting = made.cutting(options.cutting) if options.cutting else None
        self.storage.create(self.settled(taken, cutting), self.parts)
        if source:
            Watch(db.execute, schema, self.storage.id).turn_on(source)
        transactions(db)[(schema, self.storage.id)] = Transaction()
        return self

    # ---- Mending ----

    def declared(self) -> dict[str, Any]:
        """What v_config says because the CREATE statement does."""
        options = self.text_options
        said: dict[str, Any] = {"kind": TEXT, "metric": options.metric}
        if options.dimensions is not None:
            said["dimensions"] = options.dimensions
        if options.content:
            said["content"] = options.content
            said["content_columns"] = json.dumps(options.content_columns)
        if options.cutting:
            said["overlap"] = options.cutting.overlap
            if options.cutting.max_tokens is not None:
                said["max_tokens"] = options.cutting.max_tokens
        return said

    def settled(self, mark: Fingerprint, cutting: Cutting | None) -> dict[str, Any]:
        """All that v_config says besides format and id."""
        said = self.declared() | mark.settings()
        if cutting:
            said |= {"max_tokens": cutting.max_tokens, "overlap": cutting.overlap}
        return said

    def settings(self) -> dict[str, Any]:
        """The same, of a table that may be damaged. Raises ValueError where nothing tells it."""
        return self.settled(*recovery.model_and_cutting(self))

    def lost_id(self) -> str | None:
        """The id that triggers on the other table still have."""
        return recovery.lost_id(self)

    def mend_rows(self) -> None:
        """Let texts, rows and vectors belong together again."""
        self.forget_source()
        recovery.mend_rows(self)
        there = set(self.storage.vector_ids().tolist())
        kept = belonging.mend(self.storage, there, in_passages=self.best is not None)
        self.storage.drop_vectors(there - kept)

    def rebuild(self) -> None:
        """The same as of all tables; own texts without a vector get one, if the model is here."""
        super().rebuild()
        if not self.text_options.content:
            lost = recovery.without_vector(self)
            with suppress(ValueError, OSError, ImportError):
                if len(lost) and self.embedder():
                    for id_ in lost.tolist():
                        self.defer(id_)

    def problems(self) -> Iterator[str]:
        """What is wrong with the content of tables that are all there, one sentence each."""
        yield from super().problems()
        yield from recovery.problems(self)

    # ---- Reading ----

    def probe(self, query: Query) -> Packed | None:
        """Embed the text that is searched for, or take a vector as it is."""
        if query.plan == "vector match":
            return super().probe(query)
        value = query.constraints["content match"]
        if value is None:
            return None
        if isinstance(value, bytes):
            raise ValueError(f"{TEXT}: MATCH wants text, got a blob of {len(value)} bytes")
        return self.embedder().query(str(value)).tobytes()

    def asked(self, query: Query) -> tuple[object, ...]:
        """What the vector that is searched for depends on: the model, too."""
        return (*super().asked(query), self.mark() if query.plan == "content match" else None)

    def answers(self, search: Search, query: Query) -> Answer:
        """Ranked rows; those of another table as they were embedded."""
        source = self.source()
        if source is None:
            return self._ranked(search, query)
        if search.most is None:
            parts = batches(self._ranked(search, query))
            return (self._present(source, ranked) for ranked in parts)
        return self._first_present(source, search, search.most, query)

    def _ranked(self, search: Search, query: Query) -> Answer:
        if self.best:
            return self.best.answers(self.narrowed(search, query))
        return super().answers(search, query)

    def _first_present(self, source: Source, search: Search, most: int, query: Query) -> Ranked:
        """As many as wanted: a few more are asked for, and only if that is not enough, all."""
        ids, far = np.empty(0, np.int64), np.empty(0)
        for count in (most + 10, None):
            ids, far, asked = ids[:0], far[:0], 0
            for ranked in batches(self._ranked(search._replace(most=count), query)):
                asked += len(ranked[0])
                for part in _parts(ranked, most):
                    there = self._present(source, part)
                    ids, far = np.concatenate([ids, there[0]]), np.concatenate([far, there[1]])
                    if len(ids) >= most:
                        return ids[:most], far[:most]
            if count is not None and asked < count:
                break
        return ids, far

    def _present(self, source: Source, ranked: Ranked) -> Ranked:
        """Leave out rows that the source has no longer, or with another text.

        Whatever changed it, and whether that was noted or not: a row is only found by the text
        that it has. VACUUM, too, puts other texts under the rowids of a table without INTEGER
        PRIMARY KEY.
        """
        ids, far = ranked
        texts = source.texts(self.db.execute, ids.tolist())
        hashes = self.storage.rows(ids, ["hash"])
        mark = self.mark()
        keep = [
            self.hash(texts.get(id_), mark) == hashes.get(id_, (None,))[0] is not None
            for id_ in ids.tolist()
        ]
        mask = np.array(keep, dtype=np.bool_)
        return ids[mask], far[mask]

    def values(self, ids: Ids, query: Query) -> dict[str, list[Any]]:
        """Texts, metadata, and which texts were cut; of passages also the vectors."""
        columns: dict[str, list[Any]] = {}
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


def _parts(ranked: Ranked, first: int) -> list[Ranked]:
    """The first rows, and the others if there are any: mostly those need not be looked at."""
    ids, far = ranked
    parts = [(ids[:first], far[:first]), (ids[first:], far[first:])]
    return parts if len(ids) > first else parts[:1]
