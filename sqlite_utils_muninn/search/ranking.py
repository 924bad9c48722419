"""The order of what the walk reached, or of the candidates alone, as far as it qualifies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .diversity import CONSIDERED
from .filters import qualifying
from .network import places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.graph.work import Work

    from .binding import Nodes
    from .filters import Filter
    from .network import Network
    from .options import Options
    from .pool import Candidate, Place, Pool
    from .seeds import Scores, Seeds
    from .walk import Field, Origin

FIRST_LOOK = 4
"""Nodes that are asked whether they qualify, for each row that is wanted; then 4 times as many."""

MOST_EXACT = 1000
"""Nodes of a graph whose betweenness is computed from all of them, not from a sample."""


@dataclass(frozen=True)
class Item:
    """One row of the answer before its texts are read."""

    place: Place
    score: float
    candidate: Candidate | None = None
    fused: float | None = None
    relevance: float | None = None
    rerank_score: float | None = None
    ppr: float | None = None
    hop: int | None = None
    node: int = -1
    at: int = -1
    """Its place in the walk's field."""


@dataclass(frozen=True)
class Ranked:
    """Rows in their order, and where to look for their reasons."""

    items: list[Item]
    network: Network | None = None
    weights: np.ndarray | None = None
    seeds: Seeds | None = None
    reasons: list[Origin] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    """How rows are ordered, and which may be among them."""

    db: Database
    nodes: Sequence[Nodes]
    filters: Mapping[int, Filter]
    options: Options
    check: Callable[[], None]

    def alone(self, pool: Pool, scores: Scores) -> Ranked:
        """Return the best of the pool by relevance."""
        places, candidates = list(pool.found), list(pool.found.values())
        order = np.argsort(-scores.relevance, kind="stable")
        allowed = self._qualifying(places)
        items = [
            Item(
                places[n],
                float(scores.relevance[n]),
                candidates[n],
                **_numbers(scores, n),
                hop=0,
            )
            for n in order.tolist()
            if places[n] in allowed
        ]
        return Ranked(items[: self.wanted])

    @property
    def wanted(self) -> int:
        """Rows that are ordered: more than are returned, where they are to be unlike each other."""
        return self.options.top_k * (1 if self.options.mmr is None else CONSIDERED)

    def walked(self, loaded: Network, reached: Field, seeds: Seeds, work: Work) -> Ranked:
        """Return the best of what the walk reached."""
        relevance = np.zeros(len(reached.nodes))
        relevance[: len(seeds.nodes)] = seeds.scores.relevance
        value = self._value(loaded, reached, relevance, work)
        items = [
            self._item(loaded, reached, seeds, at, value)
            for at in self._first(loaded, reached, relevance, value)
        ]
        return Ranked(items, loaded, reached.weights, seeds)

    def _value(
        self, loaded: Network, reached: Field, relevance: np.ndarray, work: Work
    ) -> np.ndarray:
        by = self.options.rank_by
        if by == "score":
            return relevance
        if by == "hop":
            return 1.0 / (1.0 + reached.hop)
        if by == "pagerank":
            from sqlite_utils_muninn.graph.pagerank import Walk, pagerank

            ranks: np.ndarray = pagerank(loaded.graph, Walk(), work)[reached.nodes]
            return ranks
        if by == "betweenness":
            from sqlite_utils_muninn.graph.betweenness import node_betweenness

            plain = loaded.graph.unweighted()  # a weight is strength here, not length
            found = node_betweenness(plain, "both", MOST_EXACT, work, normalized=True)
            between: np.ndarray = found[reached.nodes]
            return between
        shares: np.ndarray = reached.share * (1 + relevance)
        return shares

    def _first(
        self, loaded: Network, reached: Field, relevance: np.ndarray, value: np.ndarray
    ) -> list[int]:
        """The first rows by value that qualify, as many as are wanted.

        Ties go by the match itself, then by the walk, then by the order of the nodes.
        """
        ties = (reached.nodes, -reached.rank, -relevance)
        if not self.filters:
            first: list[int] = greatest(value, ties, self.wanted).tolist()
            return first
        found: list[int] = []
        start, size = 0, FIRST_LOOK * self.wanted
        while start < len(value) and len(found) < self.wanted:
            part = greatest(value, ties, start + size)[start:]
            places = places_of(loaded, reached.nodes[part])
            allowed = self._qualifying(places)
            found += [int(at) for at, p in zip(part, places, strict=True) if p in allowed]
            start, size = start + size, size * 4
            self.check()
        return found[: self.wanted]

    def _qualifying(self, places: Iterable[Place]) -> set[Place]:
        if not self.filters:
            return set(places)
        by_table: dict[int, list[Any]] = {}
        for table, key in places:
            by_table.setdefault(table, []).append(key)
        return {
            (table, key)
            for table, keys in by_table.items()
            for key in qualifying(self.db, self.nodes[table], keys, self.filters.get(table))
        }

    def _item(
        self, loaded: Network, reached: Field, seeds: Seeds, at: int, value: np.ndarray
    ) -> Item:
        node = reached.nodes[at : at + 1]
        place = places_of(loaded, node)[0]
        is_seed = at < len(seeds.nodes)
        return Item(
            place,
            float(value[at]),
            seeds.candidates[at] if is_seed else None,
            **(_numbers(seeds.scores, at) if is_seed else {}),
            ppr=float(reached.rank[at] / reached.rank.sum()),
            hop=int(reached.hop[at]),
            node=int(node[0]),
            at=at,
        )


def greatest(value: np.ndarray, ties: tuple[np.ndarray, ...], count: int) -> np.ndarray:
    """Return the places of the `count` greatest values; among equals the last tie counts most."""
    if count <= 0:
        return np.empty(0, np.int64)
    places = np.arange(len(value))
    if count < len(value):
        least = np.partition(value, len(value) - count)[len(value) - count]
        places = np.flatnonzero(value >= least)
    order = np.lexsort((*(tie[places] for tie in ties), -value[places]))
    return places[order][:count]


def _numbers(scores: Scores, n: int) -> dict[str, Any]:
    reranked = float(scores.reranked[n])
    return {
        "fused": float(scores.fused[n]),
        "relevance": float(scores.relevance[n]),
        "rerank_score": None if np.isnan(reranked) else reranked,
    }
