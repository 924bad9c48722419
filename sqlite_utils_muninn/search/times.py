"""When edges were: their timestamps as ranks, so that a window is two comparisons."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
NUMBERS = frozenset({"INTEGER", "REAL", "NUMERIC"})


@dataclass(frozen=True)
class Times:
    """The timestamps of all edges."""

    rank: np.ndarray
    """int32: the place of each among `values`; -1 where there is none."""
    values: list[Any]
    """Different ones, in SQLite's order."""
    affinities: tuple[str | None, ...]
    """Of the column of each edge table; None: the table has no times, its edges are of all."""

    @property
    def nbytes(self) -> int:
        """Memory held, about."""
        return self.rank.nbytes + 80 * len(self.values)

    def equals(self, other: Times) -> bool:
        """Whether both are the same times."""
        return (
            np.array_equal(self.rank, other.rank)
            and self.values == other.values
            and self.affinities == other.affinities
        )

    def within(self, first_edges: Sequence[int], start: Any, end: Any) -> np.ndarray:
        """Return whether each edge is of the window, both ends of which are in it; None: open.

        As `timestamp >= start AND timestamp <= end` in SQL: an edge without a time is of no window.
        """
        found = np.ones(len(self.rank), bool)
        for number, affinity in enumerate(self.affinities):
            if affinity is None:
                continue
            least, beyond = 0, len(self.values)
            if start is not None:
                least = bisect_left(self.values, order_of(_applied(start, affinity)), key=order_of)
            if end is not None:
                beyond = bisect_right(self.values, order_of(_applied(end, affinity)), key=order_of)
            own = slice(int(first_edges[number]), int(first_edges[number + 1]))
            found[own] = (self.rank[own] >= least) & (self.rank[own] < beyond)
        return found


def times_of(codes: np.ndarray, values: list[Any], affinities: Sequence[str | None]) -> Times:
    """Return the times of edges, given codes of distinct values; -1 is none."""
    order = sorted(range(len(values)), key=lambda code: order_of(values[code]))
    rank = np.full(len(values) + 1, -1, np.int32)
    rank[order] = np.arange(len(values), dtype=np.int32)
    return Times(rank[codes], [values[code] for code in order], tuple(affinities))


def order_of(value: Any) -> tuple[int, Any]:
    """Return what sorts values as SQLite does: numbers, texts by code point, blobs."""
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, value)


def _applied(bound: Any, affinity: str) -> Any:
    """What a column's affinity makes of a value that it is compared with."""
    if affinity == "TEXT" and isinstance(bound, int | float):
        return str(bound)
    if affinity in NUMBERS and isinstance(bound, str) and _NUMBER.fullmatch(bound):
        return int(bound) if bound.strip().lstrip("+-").isdecimal() else float(bound)
    return bound
