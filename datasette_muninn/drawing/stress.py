"""Placing the nodes of one connected graph so that distances drawn are distances in the graph.

Gansner, Koren, North: Graph drawing by stress majorization (GD 2004); the start is pivot MDS:
Brandes, Pich: Eigensolver methods for progressive multidimensional scaling (GD 2006).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIVOTS = 50
MOST_STEPS = 80
WORK = 40_000_000
"""Pairs that all steps together may look at: about a second."""
SETTLED = 1e-4
"""The share of the stress that a step must still take away."""
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


def place(distances: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return positions of shape (n, 2), an edge about 1 long, the middle at 0.

    `distances` are whole and finite (n, n). The same input gives the same positions.
    """
    count = len(distances)
    if count == 1:
        return np.zeros((1, 2))
    wanted = distances.astype(np.float64)
    at = _start(wanted) + _spread(count)
    return at if count == 2 else _settle(at, wanted)


def stress(at: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Return the sum over pairs of (drawn - wanted)^2 / wanted^2: what `place` makes small."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = (_lengths(at) - wanted) ** 2 / wanted**2
    np.fill_diagonal(parts, 0)
    return float(parts.sum() / 2)


def _settle(at: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve for the minimum of a bound on the stress, again and again (SMACOF)."""
    weights = np.zeros_like(wanted)
    np.divide(1, wanted**2, out=weights, where=wanted > 0)
    pull = weights * wanted
    # The first node stays at 0, which leaves a system that has one solution.
    fixed = np.linalg.inv(np.diag(weights.sum(axis=1))[1:, 1:] - weights[1:, 1:])
    before = stress(at, wanted)
    for _ in range(max(5, min(MOST_STEPS, WORK // wanted.size))):
        lengths = _lengths(at)
        ratio = np.zeros_like(pull)
        np.divide(pull, lengths, out=ratio, where=lengths > 0)
        moved = ratio.sum(axis=1)[:, None] * at - ratio @ at
        at = np.concatenate([np.zeros((1, 2)), fixed @ moved[1:]])
        now = stress(at, wanted)
        if before - now < SETTLED * before:
            break
        before = now
    centred: NDArray[np.float64] = at - at.mean(axis=0)
    return centred


def _start(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Classical scaling against some nodes that are far from each other."""
    pivots = [int(wanted.sum(axis=1).argmin())]
    nearest = wanted[pivots[0]].copy()
    while len(pivots) < min(PIVOTS, len(wanted)):
        pivots.append(int(nearest.argmax()))
        np.minimum(nearest, wanted[pivots[-1]], out=nearest)
    squares = wanted[:, pivots] ** 2
    centred = -0.5 * (
        squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    )
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :2]
    # An eigenvector has no sign of its own: its largest part is positive here.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    at: NDArray[np.float64] = centred @ axes
    spread = np.abs(at).max()
    return at * (wanted.max() / 2 / spread) if spread > 0 else at


def _spread(count: int) -> NDArray[np.float64]:
    """Small steps that part nodes in the same place, which no force would move apart."""
    turn = np.arange(count) * GOLDEN_ANGLE
    return 0.1 * np.column_stack([np.cos(turn), np.sin(turn)])


def _lengths(at: NDArray[np.float64]) -> NDArray[np.float64]:
    across, down = (at[:, axis, None] - at[None, :, axis] for axis in (0, 1))
    return np.sqrt(across**2 + down**2)
