"""A cross-encoder's scores for the best candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sqlite_utils_muninn.models.names import lookup_local

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.settings import Host

Reranker = Callable[[str, Sequence[str]], Sequence[float]]
"""(query, texts) -> scores from 0 to 1: a server's own way to its models."""

_EDGE = 1e-12


class Judged(NamedTuple):
    """What a reranker says of some texts."""

    scores: np.ndarray
    """0 to 1."""
    logits: np.ndarray


def rerank(
    db: Database,
    host: Host,
    caller: str,
    reranker: str | Reranker,
    query: str,
    texts: Sequence[str],
    check: Callable[[], None],
) -> Judged:
    """Return how well each text answers the query. Raises ValueError where the model is none."""
    if not isinstance(reranker, str):
        scores = np.asarray(reranker(query, texts), dtype=float)
        if scores.shape != (len(texts),):
            raise ValueError(f"{caller}: the reranker gave {scores.shape} scores for {len(texts)}")
        return Judged(scores, logit(scores))
    from sqlite_utils_muninn.models.rerank import rerank as score

    model = lookup_local(db, host, reranker, caller)
    try:
        found = score(model, query, texts, check=check, threads=host.threads)
    except ValueError as error:
        raise ValueError(f"{caller}: {error}") from error
    if found.raw.shape[1] == 1:
        return Judged(found.scores, found.raw[:, 0].astype(float))
    return Judged(found.scores, logit(found.scores))


def logit(scores: np.ndarray) -> np.ndarray:
    """Return the logits of probabilities; 0 and 1 are brought inside."""
    inside = np.clip(scores, _EDGE, 1 - _EDGE)
    found: np.ndarray = np.log(inside) - np.log1p(-inside)
    return found
