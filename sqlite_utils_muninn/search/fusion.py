"""Scores of several kinds made one: arrays in, arrays out.

NaN stands for "this side does not know the candidate".
"""

from __future__ import annotations

import numpy as np

RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""


def minmax(values: np.ndarray) -> np.ndarray:
    """Return values scaled to 0..1; a pool of equals gets 1."""
    if not len(values):
        return values
    low, high = values.min(), values.max()
    if high <= low:
        return np.ones(len(values))
    scaled: np.ndarray = (values - low) / (high - low)
    return scaled


def convex(bm25: np.ndarray, cosine: np.ndarray, alpha: float) -> np.ndarray:
    """Return `alpha * mm(-bm25) + (1 - alpha) * mm(cosine)`, 0..1, larger is better.

    bm25 is FTS5's (smaller is better); where it is NaN it counts as 0, no match. A NaN cosine, of
    a row without a vector, counts as the least of the pool. A side that knows nobody is left out.
    Bruch, Gai and Ingber, arXiv 2210.11934.
    """
    if np.isnan(cosine).all():
        alpha = 1.0
    elif np.isnan(bm25).all():
        alpha = 0.0
    fused = np.zeros(len(bm25))
    if alpha > 0:
        fused += alpha * minmax(np.where(np.isnan(bm25), 0.0, -bm25))
    if alpha < 1:
        least = 0.0 if np.isnan(cosine).all() else float(np.nanmin(cosine))
        fused += (1 - alpha) * minmax(np.where(np.isnan(cosine), least, cosine))
    return fused


def rrf(bm25: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Return reciprocal rank fusion, scaled so that first on both sides is 1.

    The sum over both sides of 1 / (60 + rank); who is not known to one gets nothing from it.
    """
    total = np.zeros(len(bm25))
    for values in (bm25, -cosine):
        total += np.nan_to_num(1 / (RRF_K + ranks(values)))
    return total * (RRF_K + 1) / 2


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, 1 for the smallest, equal ones in their order; NaN stays."""
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    found[order] = np.arange(1, len(order) + 1)
    return found


def with_names(
    fused: np.ndarray, named: np.ndarray, degree: np.ndarray, names: float, popularity: float
) -> np.ndarray:
    """Return scores, 0..1, that also count the names in the query and the number of neighbours.

    `fused * (1 + degree) ^ popularity`, scaled to at most 1, plus `names` times how telling the
    name is (0: not named), scaled again.
    """
    scores = _to_one(fused * (1.0 + degree) ** popularity)
    return _to_one(scores + names * named)


def _to_one(values: np.ndarray) -> np.ndarray:
    most = values.max() if len(values) else 0
    scaled: np.ndarray = values / most if most > 0 else values
    return scaled


def blend(fused: np.ndarray, top: np.ndarray, logits: np.ndarray, weight: float) -> np.ndarray:
    """Return scores, 0..1, in which a reranker's logits have a say on the candidates `top`.

    Its min-maxed logit makes `weight` of their score. The others keep their order, scaled to lie
    below the lowest of those; then all are min-maxed.
    """
    scores = np.array(fused, dtype=float)
    scores[top] = weight * minmax(logits) + (1 - weight) * fused[top]
    rest = np.ones(len(fused), dtype=bool)
    rest[top] = False
    if rest.any():
        lowest, highest = scores[top].min(), float(fused[rest].max())
        scale = lowest / highest if highest > lowest else 1.0
        scores[rest] = fused[rest] * scale
    return minmax(scores)


def sharpen(scores: np.ndarray, sharpness: float) -> np.ndarray:
    """Return seed weights that sum to 1: the min-maxed scores to the power of `sharpness`."""
    weights = minmax(scores) ** sharpness
    total = weights.sum()
    even: np.ndarray = np.full(len(scores), 1 / max(len(scores), 1))
    return weights / total if total > 0 else even
