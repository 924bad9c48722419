"""What this room puts on a connection: models by name, embeddings and tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Function, Module, Parameter, Pointer, TableFunction
from sqlite_utils_muninn.models import lembed
from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.names import lookup
from sqlite_utils_muninn.models.table import ModelsTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.models.model import Model
    from sqlite_utils_muninn.settings import Host

__all__ = ["lookup", "surface"]

_BATCH = "muninn_embed_batch"

_MODEL = Parameter("model", kind="text", help="Name of a model, or the path of a .gguf file.")
_TEXT = Parameter("text", kind="text")
_ROLE = Parameter(
    "role", None, kind="text", help="'query' or 'document': puts the model's prefix before."
)
_DIMENSIONS = Parameter(
    "dimensions", None, kind="integer", help="Cuts the vector, as Matryoshka models allow."
)


def surface(host: Host) -> list[Declaration]:
    """Return the functions and tables of models, as far as the host allows them."""
    return [
        *_registration(host),
        *_embedding(host),
        *_tokens(host),
        *lembed.surface(host),
    ]


def _registration(host: Host) -> list[Declaration]:
    def embed_model(db: Database, path: str, n_ctx: int | None) -> Pointer:
        from sqlite_utils_muninn.models.registry import registry

        if host.public:
            raise PermissionError("muninn_embed_model: files cannot be named on this connection")
        try:
            return Pointer(registry().open(path, host.models_directory, context=n_ctx))
        except ModelFileError:  # "failed to load PATH: why" is a whole sentence
            raise
        except ValueError as error:
            raise ValueError(f"muninn_embed_model: {error}") from error

    def connect(db: Database, schema: str, table: str, arguments: list[str]) -> ModelsTable:
        return ModelsTable(db, host)

    return [
        Function(
            "muninn_embed_model",
            (
                Parameter(
                    "path", kind="text", help="A GGUF file, or the name of an installed one."
                ),
                Parameter("n_ctx", None, kind="integer", help="Most tokens read of one text."),
            ),
            embed_model,
            help="A model for the model column of temp.muninn_models.",
            returns="pointer",
            safety="directonly",
        ),
        Module(
            "muninn_models",
            ModelsTable,
            create=connect,
            connect=connect,
            help="The models of this connection by name; INSERT registers, DELETE forgets.",
            eponymous=True,
        ),
    ]


def _embedding(host: Host) -> list[Declaration]:
    def embed(
        db: Database, model: str, text: str, role: str | None = None, dimensions: int | None = None
    ) -> bytes:
        found = lookup(db, host, model, "muninn_embed")
        return embed_one(db, host, "muninn_embed", found, text, role=role, dimensions=dimensions)

    def embed_batch(
        db: Database, model: str, texts_json: str, role: str | None, dimensions: int | None
    ) -> tuple[Any, Any]:
        texts = _texts(texts_json)
        host.check_rows(_BATCH, len(texts))
        found = lookup(db, host, model, _BATCH)
        return _batch_columns(db, host, found, texts, role=role, dimensions=dimensions)

    def model_dim(db: Database, model: str) -> int:
        return lookup(db, host, model, "muninn_model_dim").dimensions

    return [
        Function(
            "muninn_embed",
            (_MODEL, _TEXT, _ROLE, _DIMENSIONS),
            embed,
            help="The embedding of a text, of length 1.",
            returns="blob of 4 * dimensions bytes",
            deterministic=True,
        ),
        TableFunction(
            _BATCH,
            ("idx INTEGER", "embedding BLOB"),
            (
                _MODEL,
                Parameter("texts_json", kind="text", help="JSON array of texts; null gives NULL."),
                _ROLE,
                _DIMENSIONS,
            ),
            embed_batch,
            help="The embeddings of many texts, computed together on all cores.",
            order=(("idx", "ASC"),),
        ),
        Function(
            "muninn_model_dim",
            (_MODEL,),
            model_dim,
            help="The number of dimensions of a model's embeddings.",
            returns="integer",
        ),
    ]


def _tokens(host: Host) -> list[Declaration]:
    def tokenize(db: Database, model: str, text: str) -> str:
        host.check_text("muninn_tokenize", text)
        return json.dumps(lookup(db, host, model, "muninn_tokenize").tokenize(text))

    def tokenize_text(db: Database, model: str, text: str) -> str:
        host.check_text("muninn_tokenize_text", text)
        pieces = lookup(db, host, model, "muninn_tokenize_text").pieces(text)
        return json.dumps(pieces, ensure_ascii=False)

    def token_count(db: Database, model: str, text: str) -> int:
        host.check_text("muninn_token_count", text)
        return lookup(db, host, model, "muninn_token_count").token_count(text)

    return [
        Function(
            "muninn_tokenize",
            (_MODEL, _TEXT),
            tokenize,
            help="The tokens that a model reads, special ones included.",
            returns="JSON array of ids",
            json=True,
        ),
        Function(
            "muninn_tokenize_text",
            (_MODEL, _TEXT),
            tokenize_text,
            help="What each of those tokens stands for.",
            returns="JSON array of texts",
            json=True,
        ),
        Function(
            "muninn_token_count",
            (_MODEL, _TEXT),
            token_count,
            help="How many tokens a model reads of a text.",
            returns="integer",
        ),
    ]


def embed_one(
    db: Database,
    host: Host,
    caller: str,
    model: Model,
    text: str,
    *,
    role: str | None = None,
    dimensions: int | None = None,
) -> bytes:
    """Return the embedding of one text as little-endian float32."""
    host.check_text(caller, text)
    return _vectors(db, host, caller, model, [text], role=role, dimensions=dimensions).tobytes()


def _vectors(
    db: Database, host: Host, caller: str, model: Model, texts: Sequence[str], **how: Any
) -> np.ndarray:
    """Return vectors of texts as the host allows: little-endian float32."""
    check = host.watch(caller, db.check)
    try:
        vectors = model.embed(texts, check=check, threads=host.threads, **how)
    except ValueError as error:
        raise ValueError(f"{caller}: {error}") from error
    return vectors.astype("<f4", copy=False)


def _batch_columns(
    db: Database, host: Host, model: Model, texts: Sequence[str | None], **how: Any
) -> tuple[Any, Any]:
    """Return the columns of `muninn_embed_batch`: numbers of texts, and their vectors."""
    given = [text for text in texts if text is not None]
    for text in given:
        host.check_text(_BATCH, text)
    vectors = _vectors(db, host, _BATCH, model, given, **how)
    if len(given) == len(texts):
        return list(range(len(texts))), vectors
    rows = iter(vectors)
    blobs = [None if text is None else next(rows).tobytes() for text in texts]
    return list(range(len(texts))), blobs


def _texts(texts_json: str) -> list[str | None]:
    """Return the texts of a JSON array. Raises ValueError that says what it is instead."""
    caller = f"{_BATCH}: argument 'texts_json' must be a JSON array of texts"
    try:
        texts = json.loads(texts_json)
    except ValueError as error:
        raise ValueError(f"{caller}, it is not JSON: {error}") from error
    except RecursionError:
        raise ValueError(f"{caller}, it is nested too deeply") from None
    if not isinstance(texts, list):
        raise ValueError(f"{caller}, got a JSON {_json_kind(texts)}")
    for number, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{caller}, but item {number} is a JSON {_json_kind(text)}")
    return texts


def _json_kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
