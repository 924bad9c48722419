"""How many edges lie between all pairs of nodes, and which nodes hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

APART = -1
"""Stands for no path."""


def hops(count: int, edges: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the shortest distances in edges, either way along them: shape (count, count).

    `edges` has shape (m, 2); nodes are 0..count-1. `APART` where there is no path. All sources
    go forward together, a bit for each: a level costs m * count / 8 bytes.
    """
    found = np.full((count, count), APART, np.int32)
    np.fill_diagonal(found, 0)
    reached = np.packbits(np.eye(count, dtype=bool), axis=1)
    both = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    both = both[both[:, 0] != both[:, 1]]
    nodes, starts = np.unique(both[:, 0], return_index=True)
    level = 0
    while len(nodes):
        level += 1
        before = reached.copy()
        reached[nodes] |= np.bitwise_or.reduceat(before[both[:, 1]], starts, axis=0)
        fresh = reached & ~before
        if not fresh.any():
            break
        found[np.unpackbits(fresh, axis=1, count=count).view(bool)] = level
    return found


def components(distances: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Return the nodes of each connected part: the largest first, then by their first node."""
    first = (distances != APART).argmax(axis=1)
    parts = [np.flatnonzero(first == node) for node in np.unique(first)]
    return sorted(parts, key=lambda part: (-len(part), part[0]))
