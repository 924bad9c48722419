"""Coarse copies of vectors in memory, a neighbour graph over them, and scans.

The work is done in C (src/hnsw.h says how). A vector is kept as one byte a coordinate, measured
from a centre and with a scale of its own: at 384 dimensions 0.55 kB with its place in the graph.
What is found are candidates: whoever asks reads their vectors and computes the distances. Every
copy knows how much of its vector rounding lost, so a scan gives all rows that may belong to the
nearest; a search in the graph, those that nearly certainly do among the rows that it met. Of more
equal vectors than are wanted, both give those with the lowest ids.

Measured on real text embeddings, one thread, AVX-512: see docs/vectors.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _hnsw
from ..options import COSINE, INNER_PRODUCT
from . import metric

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..blob import Ids, Matrix, Packed
    from ..options import GraphOptions

BYTES, FLOATS = 0, 1  # what a coordinate is kept in

LEAST_EF, MORE_EF = 64, 16  # neighbours looked at, and more for each doubling beyond EF_ENOUGH
EF_ENOUGH = 5_000
# And for each neighbour beyond the tenth: of 110 in 10,000 texts .966 are found without, .995 with.
EF_EACH, USUAL_COUNT = 2, 10
CENTRED = 64  # rows that are enough to tell a centre
# An error of rounding points anywhere: along a difference it is this many times shorter than the
# root of the dimensions, four standard deviations of a normal distribution.
DEVIATIONS = 4.0


@dataclass(frozen=True)
class Shape:
    """How vectors are turned into coarse copies."""

    kind: int = BYTES
    unit: float = 1.0
    """What coordinates are multiplied by, a power of two."""
    centre: bytes | None = None
    """float32 coordinates, multiplied already."""


def shape_for(matrix: Matrix, kind: str) -> Shape:
    """The shape that suits vectors like these."""
    rows = metric.unit(matrix) if kind == COSINE else matrix
    centre = rows.mean(axis=0, dtype=np.float64) if len(rows) >= CENTRED else np.zeros(1)
    span = np.abs(rows - centre).max(initial=0.0)
    if not np.isfinite(span) or not span:
        return Shape()
    exponent = 0 if kind == COSINE else -math.frexp(span)[1]
    unit = 2.0 ** max(-120, min(120, exponent))
    centre = (centre * unit).astype("<f4")
    far_off = not np.isfinite(centre).all() or np.abs(centre).max() > 1e14
    return Shape(BYTES, unit, None if len(rows) < CENTRED or far_off else centre.tobytes())


class Search(NamedTuple):
    """What is searched for. Distances are those of the metric."""

    query: Packed
    most: int | None  # neighbours; None: all that are near enough
    ef: int | None = None
    ids: Ids | None = None  # only these, sorted
    within: float = math.inf  # the largest distance that is wanted
    beyond: float = -math.inf  # the smallest

    @property
    def is_bounded(self) -> bool:
        """Whether not every distance will do."""
        return self.within < math.inf or self.beyond > -math.inf

    @property
    def is_empty(self) -> bool:
        """Whether no row can satisfy it; bounds that cannot be compared with are NaN."""
        return self.most == 0 or not self.within >= self.beyond


@lru_cache(maxsize=64)
def _usual_ef(nodes: int) -> int:
    return LEAST_EF + round(MORE_EF * math.log2(max(1.0, nodes / EF_ENOUGH)))


class Graph:
    """An index of ids. A removed id leaves a dead node behind; `dead` counts them.

    It proposes candidates; whoever asks computes their distances. One thread at a time.
    """

    def __init__(self, dimensions: int, options: GraphOptions, shape: Shape | None = None) -> None:
        self.dimensions = dimensions
        self.options = options
        self.shape = shape or Shape()
        self.core = _hnsw.Index(
            dimensions,
            metric.NUMBERS[options.metric],
            self.shape.kind,
            options.m,
            options.ef_construction,
            self.shape.unit,
            self.shape.centre,
        )
        self._trust = min(1.0, DEVIATIONS / math.sqrt(dimensions))
        centre = np.frombuffer(self.shape.centre or b"", "<f4").astype(np.float64)
        self._shift = float(centre @ centre)

    def __len__(self) -> int:
        return self.core.nodes - self.core.dead

    def __contains__(self, id_: int) -> bool:
        return self.core.has(id_)

    @property
    def dead(self) -> int:
        """Dead nodes."""
        return self.core.dead

    @property
    def linked(self) -> int:
        """Nodes in the graph; the others are scanned."""
        return self.core.linked

    @property
    def unlinked(self) -> int:
        """Nodes that are scanned."""
        return self.core.nodes - self.core.linked

    @property
    def bytes(self) -> int:
        """Bytes of memory."""
        return self.core.memory

    def ef(self, count: int) -> int:
        """How many neighbours a search keeps in sight, if the statement does not say."""
        in_lists = self.core.nodes - self.core.twins
        return _usual_ef(in_lists) + EF_EACH * max(0, count - USUAL_COUNT)

    def add(self, ids: Ids, matrix: Matrix) -> Ids:
        """Take new ids, to be scanned until they are linked. Returns those that cannot be kept.

        Those have coordinates beyond all others' (or NaN), or are there already.
        """
        ids = np.asarray(ids, dtype="<i8")
        refused = self.core.add(ids.tobytes(), np.ascontiguousarray(matrix, "<f4"))
        return ids[np.frombuffer(refused, np.bool_)]

    def fill(self, ids: Ids, matrix: Matrix) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Make the copies of some ids of a saved index.

        Returns which of them it has no place for, or has already.
        """
        ids = np.asarray(ids, dtype="<i8")
        vectors = np.ascontiguousarray(matrix, "<f4")
        return np.frombuffer(self.core.snapshot_fill(ids.tobytes(), vectors), np.bool_)

    def drop(self, id_: int) -> bool:
        """Forget an id. Returns whether it was there."""
        return self.core.drop(id_)

    def link(self, count: int) -> int:
        """Put the next `count` nodes into the graph. Returns how many are left."""
        return self.core.link(count)

    def ids(self) -> Ids:
        """All ids."""
        return np.frombuffer(self.core.ids(), "<i8")

    # ---- Searching: candidates, nearest first; None where the query cannot be compared ----

    def search(
        self, query: Packed, count: int, ef: int | None = None, passing: Collection[int] = ()
    ) -> Packed | None:
        """Candidates for the `count` nearest, by the graph and a scan of what is not in it."""
        sight, passed = ef or self.ef(count), _packed(passing) if passing else b""
        return self.core.search(query, count, sight, self._trust, math.inf, -math.inf, passed, None)

    def scan(self, search: Search, passing: Collection[int] = ()) -> Packed | None:
        """All ids that may belong to what is searched for, by looking at each."""
        return self.core.search(
            search.query,
            self.core.nodes if search.most is None else search.most,
            0,
            1.0,
            self._bound(search.within),
            self._bound(search.beyond),
            _packed(passing),
            None if search.ids is None else search.ids.tobytes(),
        )

    def _bound(self, distance: float) -> float:
        """A distance as the engine measures it."""
        if self.options.metric == COSINE:
            return 2 * distance  # squared L2 of vectors of length 1
        scaled = distance * self.shape.unit**2
        return scaled + self._shift if self.options.metric == INNER_PRODUCT else scaled


def _packed(ids: Collection[int]) -> bytes:
    return np.fromiter(ids, dtype="<i8", count=len(ids)).tobytes() if ids else b""
