"""Seeds out of scores, and the order of what the walk reached."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import fusion
from .diversity import CONSIDERED
from .filters import qualifying
from .network import places_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.graph.work import Work

    from .binding import Nodes
    from .filters import Filter
    from .network import Loaded, Network
    from .options import Options
    from .pool import Candidate, Place, Pool
    from .vocabulary import Vocabulary
    from .walk import Field, Origin

FIRST_LOOK = 4
"""Nodes that are asked whether they qualify, for each row that is wanted; then 4 times as many."""

MOST_EXACT = 1000
"""Nodes of a graph whose betweenness is computed from all of them, not from a sample."""


class Scores(NamedTuple):
    """Scores of the pool's candidates, in their order; NaN: not looked at."""

    fused: np.ndarray
    relevance: np.ndarray
    reranked: np.ndarray


@dataclass(frozen=True)
class Seeds:
    """Candidates as nodes of a network."""

    nodes: np.ndarray
    start: np.ndarray
    """Their weights; sum to 1."""
    rank: np.ndarray
    """Place of each by weight, 1 is the first."""
    candidates: list[Candidate]
    scores: Scores


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


def by_name(query: str, network: Network, vocabulary: Vocabulary, pool: Pool) -> int:
    """Put the nodes into the pool that the query names; return how many."""
    found = 0
    for name in network.names.find(query):
        telling = vocabulary.telling(name.words)
        telling = name.telling if telling is None else telling
        if telling > 0:
            for place in places_of(network, np.array(name.nodes, np.int64)):
                candidate = pool.at(place)
                candidate.named = telling / math.sqrt(len(name.nodes))
                candidate.called = name.said
            found += len(name.nodes)
    return found


def numbers_of(loaded: Network, nodes: Sequence[Nodes], pool: Pool) -> np.ndarray:
    """Return the node of each candidate, -1 where it is none."""
    numbers = np.full(len(pool), -1, np.int64)
    places = list(pool.found)
    for table in nodes:
        own = [n for n, place in enumerate(places) if place[0] == table.number]
        numbers[own] = loaded.tables[table.number].find([places[n][1] for n in own])
    return numbers


def neighbours(loaded: Loaded, nodes: Sequence[Nodes], pool: Pool, work: Work) -> np.ndarray:
    """Return how many neighbours each candidate has, along edges that are followed."""
    numbers = numbers_of(loaded.network, nodes, pool)
    degrees = loaded.network.degrees(loaded.weights, np.maximum(numbers, 0), work)
    found: np.ndarray = np.where(numbers >= 0, degrees, 0)
    return found


def seeds(
    loaded: Network,
    nodes: Sequence[Nodes],
    pool: Pool,
    scores: Scores,
    options: Options,
    work: Work,
) -> Seeds:
    """Return the pool as seeds: its scores sharpened."""
    numbers = numbers_of(loaded, nodes, pool)
    weights = fusion.sharpen(scores.relevance, options.sharpness)
    if options.specificity:
        weights = weights * specificity(loaded, nodes, numbers, work) ** options.specificity
    kept = np.flatnonzero(numbers >= 0)
    start = weights[kept] if weights[kept].any() else np.ones(len(kept))
    start = start / max(start.sum(), 1e-300)
    rank = np.empty(len(kept), np.int64)
    rank[np.argsort(-start, kind="stable")] = np.arange(1, len(kept) + 1)
    candidates = list(pool.found.values())
    return Seeds(
        numbers[kept],
        start,
        rank,
        [candidates[n] for n in kept],
        Scores(*(column[kept] for column in scores)),
    )


def specificity(
    loaded: Network, nodes: Sequence[Nodes], numbers: np.ndarray, work: Work
) -> np.ndarray:
    """Return 1 / number of documents with an edge to it for entities, 1 for all others.

    Node specificity of HippoRAG, arXiv 2405.14831.
    """
    found = np.ones(len(numbers))
    entities = {table.number for table in nodes if table.is_entity}
    if not entities:
        return found
    ways = loaded.ways(work)
    tables = loaded.table_of(numbers)
    for n in np.flatnonzero((numbers >= 0) & np.isin(tables, list(entities))):
        node = int(numbers[n])
        others = np.unique(ways.targets[ways.offsets[node] : ways.offsets[node + 1]])
        documents = ~np.isin(loaded.table_of(others), list(entities))
        found[n] = 1 / max(int(documents.sum()), 1)
    return found


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
