"""The SQL of sqlite-lembed 0.0.1a8 on our models, so that statements written for it run.

Nothing is registered on a connection where sqlite-lembed itself is loaded. What differs: any number
of models, DELETE works, errors are words (it aborts the process), `lembed_chunks` cuts at words and
takes its chunk size. Vectors are the model's own: sqlite-lembed asks llama.cpp for the output of
the last token only, so what it calls a mean is that token's vector, and what it stored does not
compare with ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import (
    Function,
    Module,
    Parameter,
    Plan,
    Pointer,
    Rows,
    TableFunction,
)

from ..model import Model
from ..names import UnknownNameError, lookup, lookup_local
from .table import NamedModels
from .tokens import json_array
from .unless import Unless

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration, Query
    from sqlite_utils_muninn.settings import Host

    from ..engine import AnyWeights

DEFAULT = "default"
"""The name of the model that the functions use which are given none."""

_CHUNK_SIZE = 256
_MODEL = Parameter("model", kind="text")
_TEXT = Parameter("text", kind="text")
_TOKEN = Parameter("token", kind="integer")
_PAIRS = tuple(
    Parameter(f"{part}{number}", None) for number in range(1, 9) for part in ("key", "value")
)


@dataclass(frozen=True)
class ModelFile:
    """A file that is opened when it gets a name."""

    path: str


@dataclass(frozen=True)
class Options:
    """Options of a model or a context: only `n_ctx` changes anything here."""

    kind: str
    n_ctx: int | None = None


def surface(host: Host) -> list[Declaration]:
    """Return sqlite-lembed's functions and tables."""
    return [
        Unless("lembed_version", each)
        for each in (*_models(host), *_functions(host), *_tokens(host))
    ]


def _models(host: Host) -> list[Declaration]:
    def model_from_file(db: Database, path: str) -> Pointer:
        if host.public:
            raise PermissionError(
                "lembed_model_from_file: files cannot be named on this connection"
            )
        return Pointer(ModelFile(path))

    def model_options(db: Database, *pairs: Any) -> Pointer:
        return Pointer(_options("lembed_model_options", pairs))

    def context_options(db: Database, *pairs: Any) -> Pointer:
        return Pointer(_options("lembed_context_options", pairs))

    def connect(db: Database, schema: str, table: str, arguments: list[str]) -> LembedModels:
        return LembedModels(db, host)

    path = Parameter("path", kind="text")
    return [
        Function("lembed_model_from_file", (path,), model_from_file, safety="directonly"),
        Function("lembed_model_options", _PAIRS, model_options),
        Function("lembed_context_options", _PAIRS, context_options),
        # A path is enough to open a file, so no trigger that a database brings may write here.
        Module(
            "lembed_models",
            LembedModels,
            create=connect,
            connect=connect,
            eponymous=True,
            safety="directonly",
        ),
    ]


def _functions(host: Host) -> list[Declaration]:
    from .embedding import embed_one

    def embed_default(db: Database, text: str) -> bytes:
        try:
            model = lookup(db, host, DEFAULT, "lembed")
        except UnknownNameError:
            raise UnknownNameError(
                "No default model has been registered yet with lembed_models"
            ) from None
        return embed_one(db, host, "lembed", model, text)

    def embed(db: Database, model: str, text: str) -> bytes:
        return embed_one(db, host, "lembed", lookup(db, host, model, "lembed"), text)

    def model_size(db: Database, model: str) -> int:
        with lookup_local(db, host, model, "lembed_model_size").engine.weights() as weights:
            return weights.bytes

    return [
        Function("lembed", (_TEXT,), embed_default, deterministic=True),
        Function("lembed", (_MODEL, _TEXT), embed, deterministic=True),
        Function("lembed_model_size", (_MODEL,), model_size),
    ]


def _tokens(host: Host) -> list[Declaration]:
    def tokenize_json(db: Database, model: str, text: str) -> str:
        host.check_text("lembed_tokenize_json", text)
        return json_array(lookup(db, host, model, "lembed_tokenize_json").tokenize(text))

    def token_score(db: Database, model: str, token: int) -> float:
        with lookup_local(db, host, model, "lembed_token_score").engine.weights() as weights:
            return weights.score(_checked(weights, "lembed_token_score", token))

    def token_to_piece(db: Database, model: str, token: int) -> str | None:
        with lookup_local(db, host, model, "lembed_token_to_piece").engine.weights() as weights:
            _checked(weights, "lembed_token_to_piece", token)
            return weights.piece(token, special=False).decode("utf-8", "replace") or None

    def chunks(db: Database, source: str, chunk_size: int) -> tuple[Any, Any]:
        return _chunk_columns(db, host, source, chunk_size)

    source, size = Parameter("source", kind="text"), Parameter("chunk_size", _CHUNK_SIZE, "integer")
    return [
        Function("lembed_tokenize_json", (_MODEL, _TEXT), tokenize_json, json=True),
        Function("lembed_token_score", (_MODEL, _TOKEN), token_score),
        Function("lembed_token_to_piece", (_MODEL, _TOKEN), token_to_piece),
        TableFunction("lembed_chunks", ("contents", "token_count"), (source, size), chunks),
    ]


def _checked(weights: AnyWeights, caller: str, token: int) -> int:
    if not 0 <= token < weights.vocabulary_size:
        last = weights.vocabulary_size - 1
        raise ValueError(f"{caller}: token must be 0 to {last}, got {token}")
    return token


class LembedModels(NamedModels):
    """The same names as `muninn_models`, in the columns of sqlite-lembed."""

    title = "lembed_models"
    columns = ("name", "model", "model_options", "context_options")
    hidden = ("model_options", "context_options")
    schema = "CREATE TABLE x(name, model, model_options HIDDEN, context_options HIDDEN)"
    plans = (Plan("all", cost=100.0, rows=10),)

    def __init__(self, db: Database, host: Host) -> None:
        super().__init__(db, host)
        self.db = db

    def insert(self, rowid: int | None, values: list[Any], conflict: str) -> int:
        """Register a model; without a name, as the one for functions that are given none."""
        name = DEFAULT if values[0] is None else values[0]
        return super().insert(rowid, [name, *values[1:]], conflict)

    def model(self, values: list[Any]) -> Model:
        from ..registry import registry

        _, model, model_options, context_options = values
        n_ctx = None
        for given, kind in ((model_options, "model"), (context_options, "context")):
            if given is not None and not (isinstance(given, Options) and given.kind == kind):
                raise ValueError(
                    f"lembed_models: {kind}_options must be the result of lembed_{kind}_options()"
                )
            n_ctx = given.n_ctx if given and given.n_ctx else n_ctx
        if isinstance(model, Model):
            return model
        if isinstance(model, str):
            model = ModelFile(model)
        if not isinstance(model, ModelFile):
            raise ValueError(
                "lembed_models: model must be a path, or the result of lembed_model_from_file(path)"
            )
        return registry().open(model.path, self.host.models_directory, context=n_ctx)

    def filter(self, query: Query) -> Rows:
        """Give the names; twice, for lembed_model_size(model) takes a name for a model."""
        rows = list(self.names.registered.values())
        names = [row.name for row in rows]
        nothing = [None] * len(rows)
        return Rows([names, names, nothing, nothing], rowids=[row.rowid for row in rows])


def _options(caller: str, pairs: tuple[Any, ...]) -> Options:
    """Check options given as key, value, key, value."""
    kind = "model" if caller == "lembed_model_options" else "context"
    allowed = ("n_gpu_layers",) if kind == "model" else ("n_ctx", "seed")
    given = list(pairs)
    while given and given[-1] is None:  # arguments left out
        given.pop()
    if len(given) % 2:
        raise ValueError(f"{caller}: arguments must be pairs of key and value")
    n_ctx = None
    for key, value in zip(given[::2], given[1::2], strict=True):
        if not isinstance(key, str) or key.lower() not in allowed:
            raise ValueError(f"{caller}: unknown option {key!r} (known: {', '.join(allowed)})")
        if not isinstance(value, int):
            raise ValueError(f"{caller}: {key} must be an integer, got {value!r}")
        if key.lower() == "n_ctx":
            n_ctx = value
    return Options(kind, n_ctx)


def _chunk_columns(
    db: Database, host: Host, source: str, chunk_size: int
) -> tuple[list[str], list[int]]:
    """Return texts and token counts of the chunks of a text."""
    host.check_text("lembed_chunks", source)
    if chunk_size < 1:
        raise ValueError(f"lembed_chunks: chunk_size must be 1 or more, got {chunk_size}")
    check = host.watch("lembed_chunks", db.check)
    contents, counts = [], []
    with lookup_local(db, host, DEFAULT, "lembed_chunks").engine.weights() as weights:
        counter = _Counter(weights)
        for chunk in _chunks(source, chunk_size, counter):
            check()
            contents.append(chunk)
            counts.append(counter(chunk))
    return contents, counts


class _Counter:
    """Counts the tokens of a text, special ones left out."""

    def __init__(self, weights: AnyWeights) -> None:
        self.weights = weights
        self.special = len(weights.tokenize(""))

    def __call__(self, text: str) -> int:
        return len(self.weights.tokenize(text)) - self.special


def _chunks(source: str, size: int, count: _Counter) -> Any:
    """Yield the text in pieces of at most `size` tokens, cut before words; joined, they are it."""
    chunk, tokens = "", 0
    for match in re.finditer(r"\s*\S+|\s+$", source):
        for word in _fitting(match.group(), size, count):
            length = count(word)
            if chunk and tokens + length > size:
                yield chunk
                chunk, tokens = "", 0
            chunk += word
            tokens += length
    if chunk:
        yield chunk


def _fitting(word: str, size: int, count: _Counter) -> Any:
    """Yield a word whole, or in pieces where it alone has more tokens than a chunk may have."""
    while len(word) > 1 and count(word) > size:
        length = len(word) // 2
        while length > 1 and count(word[:length]) > size:
            length //= 2
        yield word[:length]
        word = word[length:]
    yield word
