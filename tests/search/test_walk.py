"""The walk against networkx, and the reasons against its sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pytest

from sqlite_utils_muninn.bridge import Dictionary
from sqlite_utils_muninn.graph.graph import Graph
from sqlite_utils_muninn.graph.work import Work
from sqlite_utils_muninn.search.names import names_of
from sqlite_utils_muninn.search.network import Network, TableNodes
from sqlite_utils_muninn.search.walk import Spread, Walk

if TYPE_CHECKING:
    from collections.abc import Callable

WORK = Work("test")
EXACT = {"tolerance": 1e-13, "steps": 10**9}


def network(
    nodes: int, edges: list[tuple[int, int]], weights: list[float] | None = None
) -> Network:
    source, target = (np.array([edge[n] for edge in edges], np.int32) for n in (0, 1))
    weight = None if weights is None else np.array(weights)
    table = TableNodes(0, np.arange(nodes), Dictionary(), np.arange(nodes, dtype=np.int32))
    graph = Graph(Dictionary(), source, target, weight, nodes=nodes)
    kinds = np.zeros(len(edges), np.int32)
    names = names_of([None] * nodes, [None] * nodes, lambda: None)
    return Network([table], names, graph, kinds, ["e"], np.array([0, len(edges)]))


def random_network(seed: int) -> tuple[Network, list[tuple[int, int]], list[float]]:
    """With parallel edges, self loops, loose nodes, and weights of 0."""
    rng = np.random.default_rng(seed)
    nodes, count = int(rng.integers(2, 40)), int(rng.integers(1, 120))
    edges = [tuple(pair) for pair in rng.integers(0, nodes, (count, 2)).tolist()]
    weights = rng.choice([0.0, 0.5, 1.0, 3.0], count).tolist()
    return network(nodes, edges, weights), edges, weights


def seeds_of(seed: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    chosen = rng.choice(nodes, min(nodes, int(rng.integers(1, 6))), replace=False)
    return chosen.astype(np.int64), rng.random(len(chosen)) + 0.01


def ball(
    graph: Any, starts: list[int], hops: int, cap: int, degree: Callable[[int], int]
) -> set[int]:
    """By hand: nodes with more than `cap` edges are reached, but not passed."""
    found, edge = set(starts), set(starts)
    for _ in range(hops):
        edge = {v for u in edge if degree(u) <= cap for v in graph.successors(u) if v not in found}
        found |= edge
    return found


@pytest.mark.parametrize("seed", range(60))
def test_ranks_are_networkxs(seed: int) -> None:
    loaded, edges, weights = random_network(seed)
    nodes, start = seeds_of(seed, loaded.graph.nodes)
    hops, cap = seed % 4, [1000, 6][seed % 2]
    damping = [0.5, 0.7, 0.85][seed % 3]
    ways = loaded.ways(WORK)

    def degree(node: int) -> int:
        return int(ways.offsets[node + 1] - ways.offsets[node])

    both = nx.MultiDiGraph()
    both.add_nodes_from(range(loaded.graph.nodes))
    for (source, target), weight in zip(edges, weights, strict=True):
        if weight:
            both.add_edge(source, target, weight=weight)
            if source != target:
                both.add_edge(target, source, weight=weight)
    inside = ball(both, nodes.tolist(), hops, cap, degree)
    small = both.subgraph(inside).copy()
    small.remove_edges_from([(u, v) for u, v in small.edges() if degree(u) > cap])
    for u in inside:
        if degree(u) > cap:
            small.remove_edges_from(list(small.out_edges(u, keys=True)))
    for u in inside:  # where the walk can go nowhere, it stays
        if not small.degree(u) and degree(u) <= cap:
            small.add_edge(u, u, weight=1)
    personal = dict(zip(nodes.tolist(), start.tolist(), strict=True))
    wanted = nx.pagerank(small, damping, personal, max_iter=1000, tol=1e-13, dangling=personal)
    with Walk(loaded, ways.weights, Spread(damping, hops, cap, **EXACT), WORK) as walk:
        reached = walk.run(nodes, start)
        found = dict(zip(reached.nodes.tolist(), reached.share.tolist(), strict=True))
    assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(60))
def test_shares_add_up_and_paths_are_edges(seed: int) -> None:
    loaded, edges, _ = random_network(seed)
    nodes, start = seeds_of(seed, loaded.graph.nodes)
    weights = loaded.ways(WORK).weights
    with Walk(loaded, weights, Spread(0.7, 2, 1000, **EXACT), WORK) as walk:
        reached = walk.run(nodes, start)
        origins = walk.origins(np.arange(len(reached.nodes)))
    for place, origin in enumerate(origins):
        assert origin.nodes[-1] == reached.nodes[place]
        assert origin.nodes[0] in nodes
        assert len(origin.nodes) == len(origin.edges) + 1 == len(origin.shares) + 1
        for n, edge in enumerate(origin.edges):
            ends = edges[edge % len(edges)]
            ends = ends if edge < len(edges) else ends[::-1]
            assert tuple(origin.nodes[n : n + 2]) == ends
        total = start.sum()
        own = {n: s / total for n, s in zip(nodes.tolist(), start.tolist(), strict=True)}
        stays = 0.3 if reached.strength[place] < 0 else 1.0
        direct = own.get(int(reached.nodes[place]), 0) / (reached.rank[place] * stays)
        assert origin.direct == pytest.approx(direct, rel=1e-6)
        last = origin.shares[-1] if origin.shares else 0
        assert -1e-9 <= 1 - origin.direct - last <= 1 + 1e-9
        assert 0 < origin.given <= 1 + 1e-9


def test_a_nodes_shares_are_those_of_its_edges() -> None:
    """1 and 2 are seeds, 3 hangs on both: three quarters by the edge of weight 3."""
    loaded = network(4, [(1, 3), (2, 3)], [3.0, 1.0])
    with Walk(loaded, loaded.ways(WORK).weights, Spread(0.5, 1, 1000, **EXACT), WORK) as walk:
        reached = walk.run(np.array([1, 2]), np.array([1.0, 1.0]))
        (origin,) = walk.origins(np.flatnonzero(reached.nodes == 3))
    # All that 1 and 2 have goes to 3: .5 + what comes back. By hand, q3 = .5 (q1 + q2),
    # q1 = .5 + .5 * .75 q3, q2 = .5 + .5 * .25 q3.
    q3 = 0.5 / (1 - 0.25)
    q1 = 0.5 + 0.375 * q3
    assert origin.nodes == [1, 3]
    assert origin.edges == [0]
    assert origin.direct == 0
    assert origin.shares == pytest.approx([0.5 * q1 / q3])


def test_the_seed_that_gives_most_is_named_not_the_nearest() -> None:
    """The neighbour is a weak seed, behind it stands a strong one."""
    loaded = network(3, [(0, 1), (1, 2)])
    with Walk(loaded, None, Spread(0.8, 2, 1000, **EXACT), WORK) as walk:
        reached = walk.run(np.array([1, 0]), np.array([0.01, 1.0]))
        (origin,) = walk.origins(np.flatnonzero(reached.nodes == 2))
    assert origin.nodes == [0, 1, 2]
    assert origin.edges == [0, 1]


def test_the_seed_is_named_even_when_it_is_further_away_than_the_ball_is_wide() -> None:
    """Node 4 is in the ball because of 5, a seed of no weight: all it has came from 0."""
    loaded = network(6, [(n, n + 1) for n in range(5)])
    with Walk(loaded, None, Spread(0.8, 2, 1000, **EXACT), WORK) as walk:
        reached = walk.run(np.array([5, 0]), np.array([0.0, 1.0]))
        (origin,) = walk.origins(np.flatnonzero(reached.nodes == 4))
    assert origin.nodes == [0, 1, 2, 3, 4]
    assert origin.shares[-1] == pytest.approx(1, abs=0.5)


def test_a_hub_is_reached_and_not_passed() -> None:
    edges = [(0, 1)] + [(1, leaf) for leaf in range(2, 12)]
    loaded = network(12, edges)
    with Walk(loaded, None, Spread(0.5, 3, 10), WORK) as walk:
        assert walk.run(np.array([0]), np.ones(1)).nodes.tolist() == [0, 1]
    with Walk(loaded, None, Spread(0.5, 3, 11), WORK) as walk:
        assert len(walk.run(np.array([0]), np.ones(1)).nodes) == 12


def test_memory_is_lent_clean_to_the_next_walk() -> None:
    loaded, _, _ = random_network(5)
    for _ in range(3):
        with Walk(loaded, None, Spread(0.5, 2, 1000), WORK) as walk:
            walk.run(*seeds_of(5, loaded.graph.nodes))
        (lent,) = loaded.scratch
        assert (lent.place == -1).all()
        assert np.isnan(lent.mass).all()


def test_a_walk_that_failed_leaves_no_memory_behind() -> None:
    loaded, _, _ = random_network(5)
    nodes, start = seeds_of(5, loaded.graph.nodes)

    def fails() -> None:
        with Walk(loaded, None, Spread(0.5, 2, 1000), WORK) as walk:
            walk.run(nodes, start)
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fails()
    assert loaded.scratch == []


@pytest.mark.parametrize("seed", range(5))
def test_the_default_precision_finds_the_same_first_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = nx.barabasi_albert_graph(3000, 4, seed=seed)
    loaded = network(3000, list(graph.edges))
    nodes = rng.choice(3000, 100, replace=False)
    start = rng.random(100) ** 5
    orders = []
    for precision in ({}, EXACT):
        with Walk(loaded, None, Spread(0.7, 2, 1000, **precision), WORK) as walk:
            reached = walk.run(nodes, start)
            orders.append(reached.nodes[np.argsort(-reached.share)][:20].tolist())
    assert orders[0] == orders[1]


def test_a_walk_ends_when_its_steps_are_used_up() -> None:
    graph = nx.barabasi_albert_graph(3000, 4, seed=1)
    loaded = network(3000, list(graph.edges))
    with Walk(loaded, None, Spread(0.7, 2, 1000, tolerance=1e-9, steps=2000), WORK) as walk:
        reached = walk.run(np.arange(100), np.ones(100))
    assert reached.share.sum() == pytest.approx(1)
    assert (reached.strength != 0).sum() <= 2000 / 4
