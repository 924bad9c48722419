"""The three distances, computed exactly, and the nearest rows of a matrix.

"Exactly" means: in float64, on the float32 numbers that are stored. Ranking thousands of rows
that way is slow, so `nearest` ranks in float32 first and keeps every row that float32 rounding
could have misplaced; only those are computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .options import INNER_PRODUCT, L2

if TYPE_CHECKING:
    from .blob import Matrix

Distances = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_EPSILON = float(np.finfo(np.float32).eps)
_BLOCK = 2048  # rows widened to float64 at a time: 6 MB at 384 dimensions stays in cache
# Lengths between which a float32 dot product with a unit vector neither overflows nor loses
# digits to underflow; others are computed in float64 at once.
_SHORTEST, _LONGEST = 1e-33, 1e37


def distances(metric: str, matrix: Matrix, query: Matrix) -> Distances:
    """Exact distances of shape (n,): squared L2, 1 - cosine, or the negated inner product.

    The cosine of a zero vector is taken as 0, so its distance is 1.
    """
    result = np.empty(len(matrix), dtype=np.float64)
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK].astype(np.float64)
        result[start : start + _BLOCK] = _exact(metric, block, query.astype(np.float64))
    return result


def _exact(metric: str, block: Distances, query: Distances) -> Distances:
    # einsum, not BLAS: a row's sum does not depend on where in the matrix it stands, so equal
    # vectors get equal distances wherever they are read from.
    if metric == L2:
        block = block - query
        squares: Distances = np.einsum("ij,ij->i", block, block)
        return squares
    dots: Distances = np.einsum("ij,j->i", block, query)
    if metric == INNER_PRODUCT:
        return -dots
    lengths = np.sqrt(np.einsum("ij,ij->i", block, block) * np.einsum("i,i->", query, query))
    cosines = np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)
    far: Distances = 1.0 - np.clip(cosines, -1.0, 1.0)
    return far


def lengths(matrix: Matrix) -> Distances:
    """Euclidean length of each row, shape (n,)."""
    result = np.empty(len(matrix), dtype=np.float64)
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK].astype(np.float64)
        result[start : start + _BLOCK] = np.sqrt(np.einsum("ij,ij->i", block, block))
    return result


def unit(matrix: Matrix) -> Matrix:
    """Rows scaled to length 1; a zero row stays zero."""
    norms = lengths(matrix)
    norms[norms == 0] = 1.0
    return (matrix / norms[:, None]).astype(np.float32)


class Vectors(NamedTuple):
    """Rows to search in, with the lengths that ranking them needs."""

    metric: str
    matrix: Matrix
    lengths: Distances


def nearest(
    vectors: Vectors, query: Matrix, count: int, keep: Mask | None = None
) -> tuple[Rows, Distances]:
    """Row numbers and exact distances of the `count` nearest rows, in no particular order.

    Rows where `keep` is False are passed over. Ties at the last place are all returned: the caller
    decides between them.
    """
    rows = np.arange(len(vectors.matrix)) if keep is None else np.flatnonzero(keep)
    if count <= 0:
        rows = rows[:0]
    if count < len(rows):
        rows = rows[_shortlist(vectors, query, count, rows)]
    exact = distances(vectors.metric, vectors.matrix[rows], query)
    if count < len(rows):
        near = exact <= np.partition(exact, count - 1)[count - 1]
        rows, exact = rows[near], exact[near]
    return rows, exact


def _shortlist(vectors: Vectors, query: Matrix, count: int, rows: Rows) -> Rows:
    """Positions in `rows` that float32 cannot exclude from the nearest `count`."""
    rough = _rough(vectors, query)
    if rough is None:
        return np.arange(len(rows))
    estimate, error = rough[0][rows], rough[1][rows]
    # A row belongs to the nearest unless its best case is worse than the count-th worst case.
    limit = np.partition(estimate + error, count - 1)[count - 1]
    return np.flatnonzero(estimate - error <= limit)


def _rough(vectors: Vectors, query: Matrix) -> tuple[Distances, Distances] | None:
    """Float32 values that rank like the distances, and how far off they may be; None: unsafe."""
    metric, matrix, norms = vectors
    size = (matrix.shape[1] + 8) * _EPSILON
    if metric == L2:
        return _rough_l2(matrix, query, size)
    if ((norms < _SHORTEST) & (norms > 0)).any() or (norms > _LONGEST).any():
        return None
    dots = (matrix @ unit(query[None, :])[0]).astype(np.float64)
    if metric == INNER_PRODUCT:
        return -dots, size * norms
    cosines = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return -cosines, np.full(len(matrix), size)


def _rough_l2(matrix: Matrix, query: Matrix, size: float) -> tuple[Distances, Distances] | None:
    # Not |a|^2 + |b|^2 - 2ab: that loses every digit between near vectors far from the origin.
    result = np.empty(len(matrix), dtype=np.float32)
    with np.errstate(over="ignore"):
        for start in range(0, len(matrix), _BLOCK):
            step = matrix[start : start + _BLOCK] - query
            np.einsum("ij,ij->i", step, step, out=result[start : start + _BLOCK])
    if not np.isfinite(result).all():
        return None
    wide = result.astype(np.float64)
    return wide, wide * size + matrix.shape[1] * float(np.finfo(np.float32).tiny)
