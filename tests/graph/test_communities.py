"""graph_leiden and graph_conductance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from hypothesis import strategies as st

from .generated import DIRECTIONS, close, edge_rows, holds_for, kept, networkx_graph, store

if TYPE_CHECKING:
    from collections.abc import Callable


def undirected(rows: list[Any], weighted: bool) -> Any:
    """Parallel edges and edges against each other add up."""
    graph = nx.Graph()
    for s, t, w in kept(rows):
        weight = (graph[s][t]["weight"] if graph.has_edge(s, t) else 0) + (w if weighted else 1)
        graph.add_edge(s, t, weight=weight)
    return graph


@holds_for(edge_rows(), st.booleans(), st.sampled_from([0.5, 1.0, 2.0]))
def test_leiden(conn: Any, rows: list[Any], weighted: bool, resolution: float) -> None:
    """Communities are connected, numbered by size, and the modularity is theirs."""
    store(conn, rows)
    found = conn.execute(
        "SELECT node, community_id, modularity FROM graph_leiden('e', 's', 't', ?, ?)",
        ("w" if weighted else None, resolution),
    ).fetchall()
    graph = undirected(rows, weighted)
    assert {row[0] for row in found} == set(graph)
    if not found:
        return
    parts: dict[int, set[Any]] = {}
    for node, community, _ in found:
        parts.setdefault(community, set()).add(node)
    assert list(parts) == list(range(len(parts)))
    sizes = [len(part) for part in parts.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert all(nx.is_connected(graph.subgraph(part)) for part in parts.values())
    if graph.size("weight") == 0:
        assert found[0][2] == 0
        return
    expected = nx.community.modularity(graph, parts.values(), resolution=resolution)
    assert close(found[0][2], expected)
    # At least as good as everybody alone and as whole components.
    for other in ([{node} for node in graph], list(nx.connected_components(graph))):
        least = nx.community.modularity(graph, other, resolution=resolution)
        assert found[0][2] >= least - 1e-9


@pytest.mark.parametrize("direction", ["forward", "reverse", "both"])
def test_leiden_is_undirected_and_ends(edges: Callable[..., Any], direction: str) -> None:
    """sqlite-muninn's 'forward' never ends."""
    conn = edges(*nx.karate_club_graph().edges)
    sql = "SELECT * FROM graph_leiden('e', 's', 't', NULL, 1.0, ?)"
    assert len(conn.execute(sql, (direction,)).fetchall()) == 34


def test_leiden_finds_communities_of_karate_near_the_best(edges: Callable[..., Any]) -> None:
    conn = edges(*nx.karate_club_graph().edges)
    sql = "SELECT modularity FROM graph_leiden('e', 's', 't') LIMIT 1"
    assert conn.execute(sql).fetchone()[0] > 0.4198 - 0.002  # the optimum


def test_leiden_gives_the_same_twice_and_differs_by_seed(connect: Callable[..., Any]) -> None:
    graph = nx.gnp_random_graph(300, 0.03, seed=1)
    results = []
    for seed in (42, 42, 7):
        conn = connect()
        conn.execute("CREATE TABLE e (s, t)")
        conn.executemany("INSERT INTO e VALUES (?, ?)", graph.edges)
        sql = "SELECT * FROM graph_leiden WHERE edge_table='e' AND src_col='s' AND dst_col='t'"
        results.append(conn.execute(sql + " AND seed = ?", (seed,)).fetchall())
    assert results[0] == results[1] != results[2]


def by_graspologic(graph: Any) -> float:
    native = pytest.importorskip(
        "graspologic_native", reason="graspologic-native, a peer, is not installed"
    )
    pairs = [(str(u), str(v), 1.0) for u, v in graph.edges]
    found: float = native.leiden(
        pairs,
        starting_communities=None,
        resolution=1.0,
        randomness=0.001,
        iterations=2,
        use_modularity=True,
        seed=42,
        trials=1,
    )[0]
    return found


def by_networkit(graph: Any) -> float:
    networkit = pytest.importorskip("networkit", reason="networkit, a peer, has no wheel here")
    networkit.setSeed(42, False)
    other = networkit.nxadapter.nx2nk(nx.convert_node_labels_to_integers(graph))
    search = networkit.community.ParallelLeiden(other, iterations=2)
    search.run()
    found: float = networkit.community.Modularity().getQuality(search.getPartition(), other)
    return found


def by_igraph(graph: Any) -> float:
    igraph = pytest.importorskip("igraph", reason="igraph, a peer, has no wheel here")
    other = igraph.Graph.from_networkx(graph)
    found: float = other.community_leiden("modularity", n_iterations=2).modularity
    return found


@pytest.mark.parametrize("peer", [by_graspologic, by_networkit, by_igraph])
@pytest.mark.parametrize(
    "graph",
    [nx.karate_club_graph(), nx.barabasi_albert_graph(10_000, 5, seed=1)],
    ids=["karate", "power law"],
)
def test_leiden_is_as_good_as_others(edges: Callable[..., Any], graph: Any, peer: Any) -> None:
    """In two iterations each. (Debian's packages: see the report of benchmarks/graph.)"""
    conn = edges(*graph.edges)
    sql = "SELECT modularity FROM graph_leiden('e', 's', 't') LIMIT 1"
    # What is optimized is unweighted here, karate's own weights are not asked for.
    plain = nx.Graph(graph.edges)
    assert conn.execute(sql).fetchone()[0] > peer(plain) - 0.005


@pytest.mark.parametrize("scale", [1e-307, 1e-200, 1e6, 1e300])
def test_leiden_does_not_care_what_weights_are_counted_in(
    edges: Callable[..., Any], scale: float
) -> None:
    """Sums of such weights overflow, and a fixed least gain is above or below all of them."""
    graph = nx.karate_club_graph()
    weights = [1 + (u * v) % 7 for u, v in graph.edges]
    sql = "SELECT node, community_id, modularity FROM graph_leiden('e', 's', 't', 'w')"
    usual = edges(*((*edge, w) for edge, w in zip(graph.edges, weights, strict=True)))
    expected = usual.execute(sql).fetchall()
    other = edges(*((*edge, w * scale) for edge, w in zip(graph.edges, weights, strict=True)))
    found = other.execute(sql).fetchall()
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert found[0][2] == pytest.approx(expected[0][2], rel=1e-12)


def test_leiden_of_a_long_chain(edges: Callable[..., Any]) -> None:
    """What moves there wakes one neighbour, again and again, also against the order of visits."""
    count = 20_000
    conn = edges(*((i, i - 1) for i in range(count, 0, -1)))
    sql = "SELECT count(DISTINCT community_id), max(modularity) FROM graph_leiden('e', 's', 't')"
    communities, modularity = conn.execute(sql).fetchone()
    # The best are about sqrt(count) parts: 1 - 2 / sqrt(count).
    assert modularity > 0.97
    assert 20 < communities < 1000


GROUPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=16)


@holds_for(edge_rows(), GROUPS, DIRECTIONS, st.booleans())
def test_conductance(
    conn: Any, rows: list[Any], groups: Any, direction: str, weighted: bool
) -> None:
    """By the definition, group by group; groups may overlap."""
    store(conn, rows)
    graph = networkx_graph(rows, "forward", nx.MultiDiGraph)
    nodes = list(graph)
    membership = [(g, nodes[i] if i < len(nodes) else f"nowhere {i}") for g, i in groups]
    conn.execute("CREATE TABLE IF NOT EXISTS m (g, n)")
    conn.execute("DELETE FROM m")
    conn.executemany("INSERT INTO m VALUES (?, ?)", [*membership, (None, 1), (9, None)])
    sql = (
        "SELECT group_id, size, internal, cut, vol, phi FROM graph_conductance"
        "('e', 's', 't', ?, ?, NULL, NULL, NULL, 'm', 'g', 'n')"
    )
    found = conn.execute(sql, ("w" if weighted else None, direction)).fetchall()
    # The fault: a group of names that no edge has was listed, with a phi of NULL.
    assert sorted(row[0] for row in found) == sorted({g for g, n in membership if n in nodes})
    for group, size, internal, cut, volume, phi in found:
        members = {n for g, n in membership if g == group and n in nodes}
        assert size == len(members)
        assert {type(number) for number in (internal, cut, volume)} == {float}
        inside = across = ends = total = 0.0
        for s, t, stored in kept(rows):
            w = stored if weighted else 1
            near, far = (t, s) if direction == "reverse" else (s, t)
            for one, other in ((near, far), (far, near))[: 2 if direction == "both" else 1]:
                total += w
                ends += w * (one in members)
                across += w * (one in members and other not in members)
            inside += w * (s in members and t in members)
        assert (close(internal, inside), close(cut, across), close(volume, ends)) == (True,) * 3
        least = min(ends, total - ends)
        if least > 1e-12:
            assert close(phi, across / least)
        else:  # nothing leads out, or all of it with nothing outside to compare
            assert phi == (0.0 if across <= 1e-12 else None)
