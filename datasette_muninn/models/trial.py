"""Trying a model from its page: what it makes of a few texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.settings import Host

MOST_CANDIDATES = 20


@dataclass
class Trial:
    """Texts to try, and what came of them."""

    text: str = ""
    other: str = ""
    candidates: list[str] = field(default_factory=list)
    """Texts to rank by how well they answer `text`, for a reranker."""
    tokens: list[str] | None = None
    dimensions: int | None = None
    norm: float | None = None
    """Length of the vector: 1, or 0 for a text without a token."""
    cosine: float | None = None
    """Between the vectors of both texts."""
    ranking: list[dict[str, str | float]] | None = None


def embed(db: Database, host: Host, name: str, trial: Trial) -> None:
    """Fill in tokens, norm and cosine. Raises ValueError, LlamaMissingError."""
    import numpy as np

    from sqlite_utils_muninn.models.names import lookup

    check = host.watch("the model", db.check)
    model = lookup(db, host, name)
    vectors = model.embed([trial.text, trial.other], check=check, threads=host.threads)
    trial.tokens = model.pieces(trial.text)
    trial.dimensions = int(vectors.shape[1])
    trial.norm = round(float(np.linalg.norm(vectors[0])), 6)
    if trial.other:
        trial.cosine = round(float(vectors[0] @ vectors[1]), 6)


def rerank(db: Database, host: Host, name: str, trial: Trial) -> None:
    """Fill in the ranking. Raises ValueError, LlamaMissingError."""
    from sqlite_utils_muninn.models.names import lookup_local
    from sqlite_utils_muninn.models.rerank import rerank as score

    check = host.watch("the model", db.check)
    model = lookup_local(db, host, name, "the model")
    scores = score(model, trial.text, trial.candidates, check=check, threads=host.threads).scores
    best = sorted(zip(scores, trial.candidates, strict=True), key=lambda pair: -pair[0])
    trial.ranking = [{"text": text, "score": round(float(found), 6)} for found, text in best]
