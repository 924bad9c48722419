"""Other implementations of the Leiden algorithm, and how good communities are."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

ITERATIONS, SEED = 2, 42


@dataclass(frozen=True)
class Undirected:
    """Edges (u <= v), parallel ones and those against each other added up."""

    names: dict[str, int]
    ends: list[tuple[int, int]]
    weights: list[float]


def read(path: str) -> Undirected:
    """Read the table e of a file."""
    names: dict[str, int] = {}
    count: Counter[tuple[int, int]] = Counter()
    conn = sqlite3.connect(path)
    for s, t in conn.execute("SELECT s, t FROM e ORDER BY rowid"):
        u, v = names.setdefault(s, len(names)), names.setdefault(t, len(names))
        count[min(u, v), max(u, v)] += 1
    conn.close()
    return Undirected(names, list(count), [float(n) for n in count.values()])


def labels(graph: Undirected, community: dict[str, int]) -> list[int]:
    """The community of each node; one that has none is alone."""
    return [community.get(name, -1 - number) for name, number in graph.names.items()]


def judge(graph: Undirected, label: Any) -> dict[str, Any]:
    """Modularity (Newman and Girvan 2004), communities, and how many of them fall apart."""
    import networkx as nx

    _, label = np.unique(np.asarray(label), return_inverse=True)
    u, v = np.array(graph.ends).T
    weight = np.array(graph.weights)
    total, groups = weight.sum(), int(label.max()) + 1
    strength = np.bincount(label[u], weight, groups) + np.bincount(label[v], weight, groups)
    inside = label[u] == label[v]
    share = strength / (2 * total)
    within = nx.Graph()
    within.add_nodes_from(range(len(label)))
    within.add_edges_from(zip(u[inside].tolist(), v[inside].tolist(), strict=True))
    return {
        "modularity": float(weight[inside].sum() / total - (share**2).sum()),
        "communities": groups,
        "apart": nx.number_connected_components(within) - groups,
    }


def graspologic(graph: Undirected) -> Callable[[], Any]:
    """Leiden of graspologic-native."""
    import graspologic_native as native  # type: ignore[import-untyped, unused-ignore]

    pairs = [(str(u), str(v), w) for (u, v), w in zip(graph.ends, graph.weights, strict=True)]

    def search() -> Any:
        found = native.leiden(
            pairs,
            starting_communities=None,
            resolution=1.0,
            randomness=0.001,
            iterations=ITERATIONS,
            use_modularity=True,
            seed=SEED,
            trials=1,
        )[1]
        return [found.get(str(node), -1 - node) for node in range(len(graph.names))]

    return search


def networkit(graph: Undirected) -> Callable[[], Any]:
    """ParallelLeiden of networkit, with one thread."""
    import networkit as nk  # type: ignore[import-untyped, unused-ignore]

    nk.setNumberOfThreads(1)
    nk.setSeed(SEED, False)
    made = nk.Graph(len(graph.names), weighted=True)
    for (u, v), weight in zip(graph.ends, graph.weights, strict=True):
        made.addEdge(u, v, weight)

    def search() -> Any:
        leiden = nk.community.ParallelLeiden(made, iterations=ITERATIONS)
        leiden.run()
        return leiden.getPartition().getVector()

    return search


def igraph(graph: Undirected) -> Callable[[], Any]:
    """Leiden of python-igraph (GPL)."""
    import random

    import igraph as ig  # type: ignore[import-untyped, unused-ignore]

    random.seed(SEED)
    made = ig.Graph(len(graph.names), graph.ends)

    def search() -> Any:
        return made.community_leiden(
            "modularity", weights=graph.weights, n_iterations=ITERATIONS
        ).membership

    return search
