"""Room for labels: boxes that overlap are pushed apart, parts are set side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STEPS = 300
WORK = 30_000_000
"""Pairs that all steps together may look at."""
FORESIGHT = 10
"""Steps for which the pairs that are near each other are taken to be the same."""
CROWD = 2.0
"""Area of a drawing over that of its boxes, at the least."""
GAP = 30.0
WIDTHS = 24
"""Widths of shelves that are tried."""


def spread(
    at: NDArray[np.float64], boxes: NDArray[np.float64], aspect: float
) -> NDArray[np.float64]:
    """Scale positions up until their area could hold the boxes twice, towards a page's `aspect`.

    Boxes that are pushed apart from a crowd go where labels are short, up and down: a crowd in a
    page's own shape keeps it.
    """
    size = np.ptp(at, axis=0) + boxes.mean(axis=0)
    area = CROWD * float(boxes.prod(axis=1).sum())
    wanted = np.sqrt([area * aspect, area / aspect])
    scaled: NDArray[np.float64] = at * np.maximum(1.0, wanted / size)
    return scaled


def push_apart(
    at: NDArray[np.float64], boxes: NDArray[np.float64], steps: int = STEPS
) -> NDArray[np.float64]:
    """Move boxes of (width, height) until none overlaps, or until `steps` are used up.

    Each overlapping pair moves along the axis where it has less to go, both halves alike.
    """
    at = at.copy()
    if len(at) < 2:
        return at
    pairs = np.triu_indices(len(at), 1)
    need = (boxes[pairs[0]] + boxes[pairs[1]]) / 2
    for _ in range(max(1, min(steps, 10 * WORK // len(need)) // FORESIGHT)):
        near = np.flatnonzero(
            (np.abs(at[pairs[1]] - at[pairs[0]]) < need + boxes.max(axis=0)).all(axis=1)
        )
        few = pairs[0][near], pairs[1][near]
        if not sum(_push(at, few, need[near]) for _ in range(FORESIGHT)):
            break
    return at


def _push(
    at: NDArray[np.float64],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]],
    need: NDArray[np.float64],
) -> bool:
    """One step; return whether anything had to move."""
    apart = at[pairs[1]] - at[pairs[0]]
    overlap = need - np.abs(apart)
    found = np.flatnonzero((overlap > 0.5).all(axis=1))
    if not len(found):
        return False
    one, other = pairs[0][found], pairs[1][found]
    axis = overlap[found].argmin(axis=1)
    step = np.where(apart[found, axis] < 0, -1.0, 1.0) * overlap[found, axis] / 2
    move = np.zeros_like(at)
    np.subtract.at(move, (one, axis), step)
    np.add.at(move, (other, axis), step)
    touched = np.bincount(np.concatenate([one, other]), minlength=len(at))
    at += move / np.sqrt(np.maximum(touched, 1))[:, None]
    return True


def side_by_side(
    parts: Sequence[NDArray[np.float64]],
    boxes: Sequence[NDArray[np.float64]],
    aspect: float,
) -> list[NDArray[np.float64]]:
    """Set parts on shelves, first the first, about `aspect` times as wide as high in all.

    `parts` are positions of the nodes of each, `boxes` the sizes of these. Returns new positions.
    """
    corners = [
        ((at - box / 2).min(axis=0), (at + box / 2).max(axis=0))
        for at, box in zip(parts, boxes, strict=True)
    ]
    sizes = [high - low + GAP for low, high in corners]
    widest, whole = max(size[0] for size in sizes), sum(size[0] for size in sizes)
    # Of some widths, the one with which the page is filled best.
    shelves = [_shelves(sizes, width) for width in np.linspace(widest, whole, WIDTHS)]
    ends = [np.max(np.add(at, sizes), axis=0) for at in shelves]
    best = shelves[int(np.argmin([max(width / aspect, height) for width, height in ends]))]
    return [at - low + place for at, (low, _), place in zip(parts, corners, best, strict=True)]


def _shelves(sizes: Sequence[NDArray[np.float64]], width: float) -> list[tuple[float, float]]:
    """The upper left corner of each part, when a shelf may be so wide."""
    places, left, top, shelf = [], 0.0, 0.0, 0.0
    for size in sizes:
        if left and left + size[0] > width + 1e-6:
            left, top, shelf = 0.0, top + shelf, 0.0
        places.append((left, top))
        left, shelf = left + float(size[0]), max(shelf, float(size[1]))
    return places
