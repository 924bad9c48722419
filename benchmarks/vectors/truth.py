"""Exact answers, by looking at every vector."""

from __future__ import annotations

from typing import Any

import numpy as np

_BLOCK = 100
_ROUNDING = 1e-5
"""What float32 may be off by. Of vectors that are equally near, any is right."""


def bars(vectors: Any, queries: Any, k: int) -> Any:
    """How similar the k-th nearest is to each query: whoever is as near belongs to the answer."""
    found = np.empty(len(queries), np.float32)
    for start in range(0, len(queries), _BLOCK):
        similar = queries[start : start + _BLOCK] @ vectors.T
        found[start : start + _BLOCK] = np.partition(similar, -k, axis=1)[:, -k]
    return found


def hits(vectors: Any, query: Any, bar: float, ids: list[int]) -> int:
    """How many of some ids belong to the answer."""
    rows = np.array(sorted(set(ids)), np.int64) - 1
    return int((vectors[rows] @ query >= bar - _ROUNDING).sum())
