"""From edges and the sizes of labelled nodes to places on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .distances import components, hops
from .room import push_apart, side_by_side, spread
from .stress import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EDGE = 130.0
"""Length of an edge in pixels, before labels are given room."""
MOST = 2_000
"""Nodes that a page can show and a browser draw."""


def layout(
    count: int,
    edges: Sequence[tuple[int, int]],
    boxes: Sequence[tuple[float, float]],
    aspect: float = 1.05,
) -> list[tuple[int, int]]:
    """Return a place in whole pixels for each node, x to the right and y downwards, from 0.

    `edges` are pairs of nodes 0..count-1 and `boxes` their (width, height) with labels. The same
    input gives the same places. `aspect` is the width of the page over its height. Raises
    ValueError for more than `MOST` nodes.
    """
    if count > MOST:
        raise ValueError(f"{count:,} nodes to draw, at most {MOST:,} are drawn")
    if not count:
        return []
    pairs = np.array(edges, np.int64).reshape(-1, 2)
    sizes = np.array(boxes, np.float64).reshape(-1, 2)
    distances = hops(count, pairs)
    parts = components(distances)
    drawn = []
    for part in parts:
        at = spread(_draw(distances, part, aspect), sizes[part], aspect)
        drawn.append(push_apart(at, sizes[part]))
    places = np.empty((count, 2))
    moved = side_by_side(drawn, [sizes[part] for part in parts], aspect)
    for part, at in zip(parts, moved, strict=True):
        places[part] = at
    return [(int(x), int(y)) for x, y in np.rint(places - places.min(axis=0))]


def _draw(
    distances: NDArray[np.int32], part: NDArray[np.int64], aspect: float
) -> NDArray[np.float64]:
    """One part, its longer side along the page's, its first node at the upper left."""
    at = place(distances[np.ix_(part, part)]) * EDGE
    axes = np.linalg.eigh(at.T @ at)[1]
    at = at @ (axes[:, ::-1] if aspect >= 1 else axes)
    turned: NDArray[np.float64] = at * np.where(at[0] > 0, -1.0, 1.0)
    return turned
