"""Positions of a drawn graph: true to the graph, with room for labels, the same every time."""

from __future__ import annotations

import hashlib
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

import datasette_muninn
from datasette_muninn.drawing.distances import APART, components, hops
from datasette_muninn.drawing.drawn import COLOURS, draw
from datasette_muninn.drawing.layout import MOST, layout
from datasette_muninn.drawing.stress import place, stress
from datasette_muninn.graph_search.found import ids_of
from sqlite_utils_muninn.search.answer import Answer, Edge, Node, Row, Via

BOX = (110.0, 40.0)


def random_graph(nodes: int, seed: int, more: int = 0) -> nx.Graph:
    graph = nx.barabasi_albert_graph(nodes, 1, seed=seed)
    random = np.random.default_rng(seed)
    graph.add_edges_from(map(tuple, random.integers(0, nodes, (more, 2))))
    return graph


def edges_of(graph: nx.Graph) -> list[tuple[int, int]]:
    return [(int(one), int(other)) for one, other in graph.edges]


def test_distances_are_those_of_networkx() -> None:
    for seed in range(5):
        graph = nx.gnm_random_graph(60, 55, seed=seed)
        pairs = np.array([*edges_of(graph), (3, 3)], np.int64)  # and a node linked to itself
        found = hops(60, pairs)
        want = np.full((60, 60), APART)
        for one, row in nx.all_pairs_shortest_path_length(graph):
            for other, length in row.items():
                want[one, other] = length
        assert (found == want).all()
        parts = {frozenset(part.tolist()) for part in components(found)}
        assert parts == set(map(frozenset, nx.connected_components(graph)))


def test_no_nodes_one_node_and_nodes_without_edges() -> None:
    assert layout(0, [], []) == []
    assert layout(1, [], [BOX]) == [(0, 0)]
    assert len(set(layout(5, [], [BOX] * 5))) == 5
    assert len(set(layout(2, [(0, 1), (1, 0), (0, 0)], [BOX] * 2))) == 2


def test_the_same_graph_has_the_same_places() -> None:
    graph = random_graph(80, 1, 30)
    once, again = (layout(80, edges_of(graph), [BOX] * 80) for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    "graph", [nx.path_graph(9), nx.cycle_graph(12), nx.star_graph(20), random_graph(60, 2, 20)]
)
def test_it_is_as_true_to_the_distances_as_networkx_kamada_kawai(graph: nx.Graph) -> None:
    count = len(graph)
    wanted = hops(count, np.array(edges_of(graph), np.int64))
    drawn = place(wanted)
    peer = np.array([at for _, at in sorted(nx.kamada_kawai_layout(graph).items())])
    lengths = np.hypot(*(peer[:, None] - peer[None]).transpose(2, 0, 1))
    # Its layout is scaled to its own unit: give it the scale that suits it best.
    off = ~np.eye(count, dtype=bool)
    ratio = lengths[off] / wanted[off]
    scale = ratio.sum() / (ratio**2).sum()
    assert (
        stress(drawn, wanted.astype(float))
        <= stress(peer * scale, wanted.astype(float)) * 1.05 + 0.01
    )


def test_labels_do_not_lie_on_each_other() -> None:
    for seed in range(4):
        graph = random_graph(60, seed, 15)
        at = np.array(layout(60, edges_of(graph), [BOX] * 60))
        apart = np.abs(at[:, None] - at[None])
        np.fill_diagonal(apart[:, :, 0], 1_000)
        overlap = ((BOX[0] - apart[:, :, 0]) > 2) & ((BOX[1] - apart[:, :, 1]) > 2)
        assert overlap.sum() / 2 <= 2


def test_leaves_of_one_node_are_not_on_one_spot() -> None:
    """The fault: all distances of two leaves are the same, and so are their places."""
    places = layout(31, [(0, leaf) for leaf in range(1, 31)], [BOX] * 31)
    assert len(set(places)) == 31


def test_parts_do_not_overlap() -> None:
    edges = [(0, 1), (1, 2), (3, 4), (5, 6)]
    at = np.array(layout(8, edges, [BOX] * 8))
    boxes = [at[part] for part in ([0, 1, 2], [3, 4], [5, 6], [7])]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            low = np.maximum(one.min(axis=0) - BOX[0] / 2, other.min(axis=0) - BOX[0] / 2)
            high = np.minimum(one.max(axis=0) + BOX[0] / 2, other.max(axis=0) + BOX[0] / 2)
            gap = high - low - (0, BOX[0] - BOX[1])
            assert (gap <= 1).any()


def test_a_page_of_300_nodes_takes_less_cpu_than_networkx() -> None:
    """A seventh of it in truth, a sixth of a second."""
    graph = random_graph(300, 3, 100)
    layout(30, edges_of(random_graph(30, 1)), [BOX] * 30)  # libraries are warm
    nx.kamada_kawai_layout(random_graph(30, 1))
    begun = time.thread_time()
    layout(300, edges_of(graph), [BOX] * 300)
    ours = time.thread_time() - begun
    nx.kamada_kawai_layout(graph)
    assert ours < time.thread_time() - begun - ours


def test_too_many_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2,001 nodes to draw, at most 2,000 are drawn"):
        layout(MOST + 1, [], [BOX] * (MOST + 1))


def answer_of(rows: int, others: int, edges: list[Edge]) -> Answer:
    nothing: dict[str, Any] = dict.fromkeys((each.name for each in fields(Row)), None)
    same = {
        **nothing,
        "table": "t",
        "type": "kind",
        "text": "",
        "score": 1.0,
        "via": Via(None, 1.0),
    }
    found = [
        Row(**{**same, "node": n, "rowid": n, "label": f"row {n}", "rank": n + 1})
        for n in range(rows)
    ]
    between = [Node("t", n, n, f"node {n}", f"kind {n % 12}") for n in range(rows, rows + others)]
    return Answer("g", True, "q", found, between, edges, [], [])


def edge(source: int, target: int, kind: str = "link") -> Edge:
    return Edge(source, "t", target, "t", kind, 1.0, "links")


def test_all_rows_are_drawn_and_what_is_left_out_is_said() -> None:
    edges = [edge(n % 50, n) for n in range(50, 2100)]
    answer = answer_of(50, 2050, edges)
    drawn = draw(answer, ids_of(answer), {})
    assert len(drawn.nodes) == MOST
    assert [node.rank for node in drawn.nodes[:50]] == list(range(1, 51))
    named = {node.id for node in drawn.nodes}
    assert all({each.source, each.target} <= named for each in drawn.edges)
    assert drawn.left_out == "Drawn are 2,000 of 2,100 nodes and 1,950 of 2,050 edges."


def test_one_edge_of_each_kind_between_two_nodes() -> None:
    answer = answer_of(2, 0, [edge(0, 1), edge(0, 1), edge(1, 0), edge(0, 1, "other"), edge(0, 0)])
    drawn = draw(answer, ids_of(answer), {})
    assert [(each.source, each.target, each.type) for each in drawn.edges] == [
        ("t/0", "t/1", "link"),
        ("t/1", "t/0", "link"),
        ("t/0", "t/1", "other"),
        ("t/0", "t/0", "link"),
    ]
    assert drawn.left_out is None


def test_many_kinds_share_the_last_colour() -> None:
    answer = answer_of(3, 30, [])
    drawn = draw(answer, ids_of(answer), {})
    assert max(drawn.colours.values()) == COLOURS - 1
    assert [colour for _, colour in drawn.types][-1] == COLOURS - 1


def test_ids_tell_numbers_from_texts_and_tables_from_each_other() -> None:
    nodes = [Node(*key, None, "x", None) for key in (("a", 1), ("a", "1"), ("b", 1), ("a", b"1"))]
    answer = Answer("g", True, "q", [], nodes, [], [], [])
    ids = ids_of(answer)
    assert len(set(ids.values())) == len(ids) == 4


def test_cytoscape_is_whole_unmodified_and_licensed() -> None:
    """The fault: an edited copy of somebody else's file, or one without its licence."""
    folder = Path(datasette_muninn.__file__).parent / "static" / "cytoscape"
    script = (folder / "cytoscape.min.js").read_bytes()
    version = (folder / "VERSION").read_text()
    assert f"sha256 {hashlib.sha256(script).hexdigest()}" in version
    assert "3.34." in version
    assert "Permission is hereby granted" in (folder / "LICENSE").read_text()
