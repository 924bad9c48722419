"""Rows that are unlike each other: maximal marginal relevance."""

from __future__ import annotations

import numpy as np

CONSIDERED = 5
"""Rows that are looked at, for each that is wanted."""


def marginal(scores: np.ndarray, vectors: np.ndarray, balance: float, count: int) -> list[int]:
    """Return the places of `count` rows, the first chosen first.

    Each time the row is taken whose `balance * score - (1 - balance) * likeness` is greatest, the
    likeness being the greatest cosine (at least 0) with a row that was taken before; scores are
    divided by the greatest. `vectors` has a row for each score, NaN where there is none: it is
    unlike all others. Carbonell and Goldstein 1998.
    """
    if not len(scores):
        return []
    known = np.nan_to_num(vectors)
    lengths = np.linalg.norm(known, axis=1, keepdims=True)
    known = np.divide(known, lengths, out=np.zeros_like(known), where=lengths > 0)
    most = scores.max()
    worth = scores / most if most > 0 else scores
    likeness = np.zeros(len(scores))
    left = np.ones(len(scores), bool)
    taken: list[int] = []
    while len(taken) < min(count, len(scores)):
        value = np.where(left, balance * worth - (1 - balance) * likeness, -np.inf)
        best = int(np.argmax(value))
        taken.append(best)
        left[best] = False
        likeness = np.maximum(likeness, known @ known[best])
    return taken
