"""The neighbour graph: usearch's HNSW behind the few calls that an index needs.

Measured on 20,000 x 384, one thread, at recall@10 .99 (ef 96, exact re-ranking of 20):
int8 180 us a query and 0.9 kB a vector, bfloat16 230, float16 340, float32 760 us and 3.4 kB.
Cosine therefore stores int8. The other metrics store float32: their coordinates have no bound,
and a coarse number would lose near vectors that are far from the origin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import metric
from .options import COSINE, INNER_PRODUCT, L2

if TYPE_CHECKING:
    from collections.abc import Collection

    from .blob import Matrix
    from .flat import Ids
    from .options import GraphOptions

DEFAULT_EF = 96

_KINDS = {
    COSINE: ("ip", "i8"),
    INNER_PRODUCT: ("ip", "f32"),
    L2: ("l2sq", "f32"),
}


class Graph:
    """An approximate index of ids. A removed id leaves a dead node behind; `wasted` tells how many.

    It proposes candidates; whoever asks computes their distances. Not safe for threads.
    """

    def __init__(self, dimensions: int, options: GraphOptions) -> None:
        from usearch.index import Index

        kind, dtype = _KINDS[options.metric]
        self._normalized = options.metric == COSINE
        self._engine: Any = Index(
            ndim=dimensions,
            metric=kind,
            dtype=dtype,
            connectivity=options.m,
            expansion_add=options.ef_construction,
        )
        # Nodes are numbered as they come: a rowid may be negative, and may come again.
        self._ids: Ids = np.empty(64, dtype=np.int64)
        self._alive = np.zeros(64, dtype=np.bool_)
        self._node: dict[int, int] = {}
        self._nodes = 0

    def __len__(self) -> int:
        return len(self._node)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._node

    @property
    def wasted(self) -> int:
        """Dead nodes."""
        return self._nodes - len(self._node)

    @property
    def bytes(self) -> int:
        """Bytes of the engine and its id arrays."""
        return int(self._engine.memory_usage) + self._ids.nbytes + self._alive.nbytes

    def add(self, ids: Ids, matrix: Matrix) -> None:
        """Index new ids."""
        nodes = np.arange(self._nodes, self._nodes + len(ids), dtype=np.uint64)
        self._engine.add(nodes, metric.unit(matrix) if self._normalized else matrix, threads=1)
        self._make_room(self._nodes + len(ids))
        end = self._nodes + len(ids)
        self._ids[self._nodes : end] = ids
        self._alive[self._nodes : end] = True
        self._node.update(zip(ids.tolist(), range(self._nodes, end), strict=True))
        self._nodes = end

    def drop(self, id_: int) -> bool:
        """Forget an id. Returns whether it was there."""
        node = self._node.pop(id_, None)
        if node is None:
            return False
        self._alive[node] = False
        return True

    def search(self, query: Matrix, count: int, ef: int, passing: Collection[int] = ()) -> Ids:
        """Return `count` or more ids near `query`, nearest first, none of `passing`."""
        vector = metric.unit(query[None, :])[0] if self._normalized else query
        wanted = min(count, len(self._node) - sum(id_ in self._node for id_ in passing))
        asked = count + 8
        avoided = np.fromiter(passing, dtype=np.int64, count=len(passing))
        while True:
            found = self._ask(vector, asked, ef)
            ids = self._ids[found[self._alive[found]]]
            if len(avoided):
                ids = ids[~np.isin(ids, avoided)]
            if len(ids) >= wanted or asked >= self._nodes:
                return ids
            asked *= 2

    def _ask(self, vector: Matrix, count: int, ef: int) -> Ids:
        self._engine.expansion_search = max(ef, count)
        found = self._engine.search(vector, min(count, self._nodes), threads=1)
        nodes: Ids = np.asarray(found.keys, dtype=np.int64)
        return nodes[(nodes >= 0) & (nodes < self._nodes)]

    def _make_room(self, count: int) -> None:
        if count > len(self._ids):
            room = max(count, 2 * len(self._ids))
            self._ids = np.concatenate([self._ids, np.empty(room - len(self._ids), np.int64)])
            self._alive = np.concatenate([self._alive, np.zeros(room - len(self._alive), np.bool_)])
