"""The model behind an hnsw_text table: found by name, held to the bytes that it was made with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...bridge import quote
from ..options import LEAST_TOKENS, MOST_DIMENSIONS, TEXT, Cutting
from .passages import Made

if TYPE_CHECKING:
    from ...bridge import Database
    from ...settings import Host
    from ..blob import Matrix
    from ..storage.schema import VectorTable

_STATE = "vectors.models"

USUAL_TOKENS = 256  # of a passage, as of muninn_chunks


class Report(Protocol):
    """What a model says of the texts that it embedded."""

    vectors: Any
    truncated: int


class Model(Protocol):
    """What this room wants of a model (models/model.py)."""

    name: str
    sha256: str
    dimensions: int
    context: int
    query_prefix: str
    document_prefix: str

    def embed_report(
        self,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        check: Callable[[], None] | None = None,
        threads: int | None = None,
    ) -> Any:
        """Vectors of texts, and how many were cut."""

    def token_count(self, text: str) -> int:
        """Tokens of a whole text."""


Lookup = Callable[["Database", "Host", str, str], Any]


def lookup(db: Database, host: Host, name: str, caller: str) -> Any:
    """The models room's lookup, imported on first use."""
    from ...models.sql import lookup as find

    return find(db, host, name, caller)


@dataclass(frozen=True)
class Models:
    """Where the models of a connection come from."""

    host: Host
    lookup: Lookup = lookup

    def named(self, db: Database, name: str) -> Any:
        """Return the model of a name on this connection. Raises ValueError where there is none."""
        return self.lookup(db, self.host, name, TEXT)


@dataclass(frozen=True)
class Fingerprint:
    """What a table remembers of its model."""

    name: str
    sha256: str
    query_prefix: str
    document_prefix: str
    dimensions: int

    @classmethod
    def of(cls, model: Any, name: str, dimensions: int | None) -> Fingerprint:
        """Take down a model; `dimensions` may cut its vectors. Raises ValueError."""
        wanted = model.dimensions if dimensions is None else dimensions
        if not 0 < wanted <= min(model.dimensions, MOST_DIMENSIONS):
            raise ValueError(
                f"{TEXT}: dim must be 1 to {model.dimensions} for model {name!r}, got {wanted}"
            )
        return cls(name, model.sha256, model.query_prefix, model.document_prefix, wanted)

    @classmethod
    def read(cls, config: dict[str, Any]) -> Fingerprint:
        """Read what `settings` wrote."""
        texts = [config.get(key) for key in ("model", "sha256", "query_prefix", "document_prefix")]
        size = config.get("dimensions")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{TEXT}: the table does not say which model it was made with")
        if not isinstance(size, int) or not 0 < size <= MOST_DIMENSIONS:
            raise ValueError(f"{TEXT}: the table does not say how long its vectors are")
        name, sha256, query_prefix, document_prefix = map(str, texts)
        return cls(name, sha256, query_prefix, document_prefix, size)

    def settings(self) -> dict[str, Any]:
        """For v_config."""
        return {
            "model": self.name,
            "sha256": self.sha256,
            "query_prefix": self.query_prefix,
            "document_prefix": self.document_prefix,
            "dimensions": self.dimensions,
        }


def fingerprint_of(conn: Any, table: VectorTable) -> Fingerprint:
    """What a text table remembers of its model. Raises ValueError where it does not say."""
    config = f"{quote(table.schema)}.{quote(table.name + '_config')}"
    return Fingerprint.read(dict(list(conn.execute(f"SELECT key, value FROM {config}"))))


@dataclass(frozen=True)
class Embedder:
    """A table's model on one connection."""

    model: Any
    fingerprint: Fingerprint
    host: Host
    check: Callable[[], None]

    def query(self, text: str) -> Matrix:
        """The vector to search for."""
        self.host.check_text(TEXT, text)
        vector: Matrix = self._embed([self.fingerprint.query_prefix + text]).vectors[0]
        return vector

    def documents(self, texts: Sequence[str]) -> tuple[Matrix, list[bool]]:
        """Vectors of texts, and which of them were longer than the model reads."""
        prefixed = [self.fingerprint.document_prefix + text for text in texts]
        report = self._embed(prefixed)
        cut = report.truncated > 0
        if cut and len(texts) == 1:
            return report.vectors, [True]
        long = [cut and self.model.token_count(text) > self.model.context for text in prefixed]
        return report.vectors, long

    def passages(self, texts: Sequence[str], cutting: Cutting | None) -> list[Made]:
        """What each of some texts becomes: one vector, or one for each passage."""
        if cutting is None:
            vectors, long = self.documents(texts)
            whole = enumerate(zip(texts, long, strict=True))
            return [Made(vectors[i : i + 1], [(0, len(text))], cut) for i, (text, cut) in whole]
        spans = [self._spans(text, cutting) for text in texts]
        parts = zip(texts, spans, strict=True)
        vectors, long = self.documents([text[a:b] for text, within in parts for a, b in within])
        ends = np.cumsum([len(within) for within in spans])
        return [
            Made(vectors[end - len(within) : end], within, any(long[end - len(within) : end]))
            for within, end in zip(spans, ends.tolist(), strict=True)
        ]

    def _spans(self, text: str, cutting: Cutting) -> list[tuple[int, int]]:
        from ...models.texts.chunks import chunks

        assert cutting.max_tokens is not None
        check = self.host.watch(TEXT, self.check)
        found = chunks(text, self._count, cutting.max_tokens, cutting.overlap, check)
        return [(chunk.start, chunk.end) for chunk in found] or [(0, len(text))]

    def _count(self, text: str) -> int:
        """Tokens of a text; rather too many where the model is on a server and does not tell."""
        try:
            return int(self.model.token_count(text))
        except ValueError:
            return 2 + -(-len(text.encode("utf-8", "replace")) // 3)

    def cutting(self, wanted: Cutting) -> Cutting:
        """How texts are to be split for this model. Raises ValueError."""
        prefix = self._count(self.fingerprint.document_prefix) - self._count("")
        longest = self.model.context - prefix
        most = min(USUAL_TOKENS, longest) if wanted.max_tokens is None else wanted.max_tokens
        if not LEAST_TOKENS <= most <= longest:
            raise ValueError(
                f"{TEXT}: max_tokens must be {LEAST_TOKENS} to {longest}, which model "
                f"{self.model.name!r} reads, got {most}"
            )
        if wanted.overlap > most // 2:
            raise ValueError(
                f"{TEXT}: overlap must be 0 to {most // 2}, half of max_tokens, "
                f"got {wanted.overlap}"
            )
        return Cutting(most, wanted.overlap)

    def _embed(self, texts: list[str]) -> Any:
        check = self.host.watch(TEXT, self.check)
        report = self.model.embed_report(
            texts,
            dimensions=self.fingerprint.dimensions,
            check=check,
            threads=self.host.threads,
        )
        if np.shape(report.vectors) != (len(texts), self.fingerprint.dimensions):
            raise ValueError(f"{TEXT}: model {self.model.name!r} gave vectors of another size")
        return report


def find(db: Database, models: Models, table: str, wanted: Fingerprint) -> Embedder:
    """The model that a table was made with.

    A file that the table names by path is never opened: the database may come from anywhere.
    Raises ValueError, saying what to do, where the model is not there or is another.
    """
    host = models.host
    for model in _known(db):
        if model.sha256 == wanted.sha256:
            return Embedder(model, wanted, host, db.check)
    # The host may know it by another name than the table was made with.
    others = {path: name for name, path in host.models.items()}
    name = wanted.name if wanted.name in host.models else others.get(wanted.name, wanted.name)
    if _is_path(name) and name not in host.models:
        raise ValueError(
            f"{TEXT}: table {table!r} was made with the model file {wanted.name!r}, which is not "
            "loaded; load it: INSERT INTO temp.muninn_models(name, model) "
            f"SELECT 'model', muninn_embed_model('...') (sha256 {wanted.sha256[:16]}...); "
            "for sqlite-utils similar: --model FILE"
        )
    model = models.named(db, name)
    if model.sha256 != wanted.sha256:
        raise ValueError(
            f"{TEXT}: table {table!r} was made with another file of model {wanted.name!r} "
            f"(sha256 {wanted.sha256[:16]}..., now {model.sha256[:16]}...); load that file, "
            f"or re-embed with: sqlite-utils embed PATH {table} --force"
        )
    return Embedder(model, wanted, host, db.check)


def again(db: Database, models: Models, table: str, name: str, sha256: str | None) -> Any:
    """The model that a table was made with, to embed more with it.

    A file that the table names by path is never opened, as in `find`. Raises ValueError there.
    """
    for model in _known(db):
        if model.sha256 == sha256:
            return model
    if _is_path(name) and name not in models.host.models:
        raise ValueError(
            f"{table!r} was made with the model file {name!r}; no file is opened because a "
            "database names it: name it yourself, with --model"
        )
    return models.named(db, name)


def declared(db: Database, models: Models, name: str) -> Any:
    """The model that a CREATE statement names, where nothing else tells which it was.

    The statement is in the file, so a file that it names by path is not opened, as in `find`: one
    that was loaded under that name is taken. Raises ValueError where there is none.
    """
    registered = db.state.get("models.names")
    is_loaded = registered is not None and name in registered.registered
    if _is_path(name) and name not in models.host.models and not is_loaded:
        raise ValueError(
            f"{TEXT}: the model file {name!r} is not loaded under that name; load it: INSERT INTO "
            "temp.muninn_models(name, model) SELECT <that name>, muninn_embed_model('...')"
        )
    return models.named(db, name)


def remember(db: Database, model: Any) -> None:
    """Let tables of this connection use a model that a CREATE statement named by its path."""
    db.state.setdefault(_STATE, {})[model.sha256] = model


def _known(db: Database) -> Iterable[Any]:
    yield from db.state.get(_STATE, {}).values()
    registered = db.state.get("models.names")
    if registered is not None:
        yield from (row.model for row in registered.registered.values())


def _is_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.casefold().endswith(".gguf")
