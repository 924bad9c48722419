"""The rows of an edge table as arrays, and how a few rows that have changed are put into them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..graph import Graph, Neighbours

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Dictionary


class Rows(NamedTuple):
    """Rows by rising rowid: ends are codes, -1 where they are NULL."""

    rowids: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class Kept:
    """All rows: the edges by rising rowid, and the rowids of rows with a NULL end.

    ``rowids`` is empty where the edge table has none that could be asked for.
    """

    ids: Dictionary
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    rowids: np.ndarray
    skipped: np.ndarray
    ways: dict[str, Neighbours] = field(default_factory=dict)

    @classmethod
    def of_rows(cls, ids: Dictionary, rows: Rows) -> Kept:
        """What was just read, and nothing else in the dictionary."""
        is_edge = (rows.source >= 0) & (rows.target >= 0)
        weight = None if rows.weight is None else rows.weight[is_edge]
        ends = rows.source[is_edge], rows.target[is_edge]
        kept = cls(ids, *ends, weight, rows.rowids[is_edge], rows.rowids[~is_edge])
        return kept.renumbered()[0]

    @classmethod
    def of_ways(
        cls,
        ids: Dictionary,
        ways: dict[str, Neighbours],
        rowids: np.ndarray,
        skipped: np.ndarray,
    ) -> Kept:
        """What was sorted by node before."""
        forward = ways["forward"]
        owner = np.repeat(np.arange(len(ids), dtype=np.int32), np.diff(forward.offsets))
        source, target = np.empty_like(owner), np.empty_like(owner)
        source[forward.edges], target[forward.edges] = owner, forward.targets
        weight = None
        if forward.weights is not None:
            weight = np.empty(len(owner))
            weight[forward.edges] = forward.weights
        return cls(ids, source, target, weight, rowids, skipped, ways)

    @property
    def rows(self) -> int:
        """How many rows the edge table has."""
        return len(self.source) + len(self.skipped)

    def graph(self) -> Graph:
        """The graph of the edges."""
        graph = Graph(self.ids, self.source, self.target, self.weight)
        graph.put(self.ways)
        return graph

    def with_rows(self, touched: np.ndarray, rows: Rows) -> tuple[Kept, bool]:
        """Put rows in the place of all that have the rowids `touched`, which rise.

        The codes of ``rows`` are those of the dictionary, which may have grown. Gives also whether
        the nodes that were there before still have their numbers.
        """
        is_edge = (rows.source >= 0) & (rows.target >= 0)
        stay = ~_found_in(self.rowids, touched)
        rowids, new = self.rowids[stay], rows.rowids[is_edge]
        places = np.searchsorted(rowids, new)

        def put(old: np.ndarray, more: np.ndarray) -> np.ndarray:
            return np.insert(old[stay], places, more[is_edge])

        weight = None
        if self.weight is not None and rows.weight is not None:
            weight = put(self.weight, rows.weight)
        skipped = self.skipped[~_found_in(self.skipped, touched)]
        nulls = rows.rowids[~is_edge]
        return Kept(
            self.ids,
            put(self.source, rows.source),
            put(self.target, rows.target),
            weight,
            np.insert(rowids, places, new),
            np.insert(skipped, np.searchsorted(skipped, nulls), nulls),
        ).renumbered()

    def renumbered(self) -> tuple[Kept, bool]:
        """The same rows, nodes numbered as they first appear; and whether they were already.

        (New ones at the end are no change.)
        """
        ends = np.empty(2 * len(self.source), np.int32)
        ends[::2], ends[1::2] = self.source, self.target
        first = np.full(len(self.ids), len(ends), np.int64)
        # Where a place is assigned to more than once, the last value stays.
        first[ends[::-1]] = np.arange(len(ends))[::-1]
        if len(first) == 0 or (first[-1] < len(ends) and (np.diff(first) > 0).all()):
            return self, True
        order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(ends))]
        number = np.empty(len(first), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        ids = self.ids.keep(order.tolist())
        source, target = number[self.source], number[self.target]
        return Kept(ids, source, target, self.weight, self.rowids, self.skipped), False


def _found_in(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which numbers are wanted."""
    found = np.zeros(len(rising), bool)
    places = np.searchsorted(rising, wanted)
    is_there = places < len(rising)
    places, wanted = places[is_there], wanted[is_there]
    found[places[rising[places] == wanted]] = True
    return found
