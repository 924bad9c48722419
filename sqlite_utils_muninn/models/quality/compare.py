"""How much two files of one model differ: what a quantization costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model import Model

NEIGHBOURS = 10


@dataclass(frozen=True)
class Difference:
    """Figures of a comparison over a sample of texts."""

    texts: int
    mean_squared_error: float | None
    """Of vector components; None where the vectors have different lengths."""
    mean_cosine: float | None
    """Between the two vectors of each text."""
    rank_correlation: float
    """Spearman's, of how each text ranks the others; the mean."""
    neighbours_shared: float
    """Share of the 10 nearest texts that are the same; the mean."""


def compare(first: Model, second: Model, texts: Sequence[str]) -> Difference:
    """Embed texts with two models. Raises ValueError for fewer than three texts."""
    if len(texts) < 3:
        raise ValueError(f"a comparison takes 3 texts or more, got {len(texts)}")
    one, other = first.embed(texts), second.embed(texts)
    same_size = one.shape == other.shape
    near_one, near_other = _similarities(one), _similarities(other)
    return Difference(
        texts=len(texts),
        mean_squared_error=float(np.mean((one - other) ** 2)) if same_size else None,
        mean_cosine=float(np.mean(np.sum(one * other, axis=1))) if same_size else None,
        rank_correlation=_rank_correlation(near_one, near_other),
        neighbours_shared=_shared(near_one, near_other),
    )


def _similarities(vectors: np.ndarray) -> np.ndarray:
    """Return the similarities of each text to all others, (n, n - 1)."""
    count = len(vectors)
    every = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    return np.asarray(every[~np.eye(count, dtype=bool)].reshape(count, count - 1))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    ranks = [np.argsort(np.argsort(rows, axis=1), axis=1) for rows in (one, other)]
    count = one.shape[1]
    squares = np.sum((ranks[0] - ranks[1]) ** 2.0, axis=1)
    return float(np.mean(1 - 6 * squares / (count * (count**2 - 1))))


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    most = min(NEIGHBOURS, one.shape[1])
    nearest = [np.argsort(-rows, axis=1, kind="stable")[:, :most] for rows in (one, other)]
    both = [len(set(a) & set(b)) / most for a, b in zip(*nearest, strict=True)]
    return float(np.mean(both))
