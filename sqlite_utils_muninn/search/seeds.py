"""Candidates as nodes of the network, and the weights with which a walk starts at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import fusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.graph.work import Work

    from .binding import Nodes
    from .network import Loaded, Network
    from .options import Options
    from .pool import Candidate, Pool


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


def seeds_of(
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
