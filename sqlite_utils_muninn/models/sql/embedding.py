"""Texts to vectors, one by one and many at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Function, Parameter, TableFunction

from ..names import lookup
from .parameters import MODEL, TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

    from ..backends.backend import TextModel

_BATCH = "muninn_embed_batch"

_ROLE = Parameter(
    "role", None, kind="text", help="'query' or 'document': puts the model's prefix before."
)
_DIMENSIONS = Parameter(
    "dimensions", None, kind="integer", help="Cuts the vector, as Matryoshka models allow."
)


def surface(host: Host) -> list[Declaration]:
    """Return the functions that embed."""

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
            (MODEL, TEXT, _ROLE, _DIMENSIONS),
            embed,
            help="The embedding of a text, of length 1.",
            returns="blob of 4 * dimensions bytes",
            deterministic=True,
        ),
        TableFunction(
            _BATCH,
            ("idx INTEGER", "embedding BLOB"),
            (
                MODEL,
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
            (MODEL,),
            model_dim,
            help="The number of dimensions of a model's embeddings.",
            returns="integer",
        ),
    ]


def embed_one(
    db: Database,
    host: Host,
    caller: str,
    model: TextModel,
    text: str,
    *,
    role: str | None = None,
    dimensions: int | None = None,
) -> bytes:
    """Return the embedding of one text as little-endian float32."""
    host.check_text(caller, text)
    return _vectors(db, host, caller, model, [text], role=role, dimensions=dimensions).tobytes()


def _vectors(
    db: Database, host: Host, caller: str, model: TextModel, texts: Sequence[str], **how: Any
) -> np.ndarray:
    """Return vectors of texts as the host allows: little-endian float32."""
    check = host.watch(caller, db.check)
    try:
        vectors = model.embed(texts, check=check, threads=host.threads, **how)
    except ValueError as error:
        raise ValueError(f"{caller}: {error}") from error
    return vectors.astype("<f4", copy=False)


def _batch_columns(
    db: Database, host: Host, model: TextModel, texts: Sequence[str | None], **how: Any
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
