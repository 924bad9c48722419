"""Whole searches against the method written down once more, slowly, with networkx.

Nothing here is shared with the engine but the words' splitting: candidates by looking at every
row, fusion in plain Python, the walk as networkx's personalized PageRank.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import EdgeTable, KnowledgeGraph, NodeTable
from sqlite_utils_muninn.search import walk as walk_module

DIMENSIONS = 8
WORDS = [f"w{n}" for n in range(60)]
TYPES = ["red", "green", "blue"]
KINDS = ["uses", "has", "knows"]
WEIGHTS = {"uses": 2.0, "knows": 0.5}


@dataclass
class World:
    """A file, and the same as Python objects."""

    conn: Any
    labels: dict[int, str] = field(default_factory=dict)
    types: dict[int, str] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    edges: list[tuple[int, int, str, float]] = field(default_factory=list)

    graph = KnowledgeGraph(
        "g",
        (
            NodeTable(
                "nodes", label="label", text=("body",), type="kind", fts="nodes_fts", vectors="v"
            ),
        ),
        (EdgeTable("links", "a", "b", type="kind", weight="w"),),
        WEIGHTS,
    )


def make(conn: Any, seed: int, nodes: int, metric: str) -> World:
    rng = np.random.default_rng(seed)
    world = World(conn)
    weights = 1 / np.arange(1, len(WORDS) + 1)
    conn.executescript(
        "CREATE TABLE nodes (id INTEGER PRIMARY KEY, label TEXT, kind TEXT, body TEXT, n INTEGER);"
        "CREATE TABLE links (a INTEGER, b INTEGER, kind TEXT, w REAL);"
        "CREATE VIRTUAL TABLE nodes_fts USING fts5(label, body, content=nodes, content_rowid=id);"
        f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={DIMENSIONS}, metric={metric});"
    )
    for node in (rng.permutation(nodes * 3)[:nodes] + 1).tolist():
        chosen = rng.choice(WORDS, int(rng.integers(2, 30)), p=weights / weights.sum())
        world.labels[node] = " ".join(rng.choice(WORDS, int(rng.integers(1, 3))))
        world.texts[node] = " ".join(chosen)
        world.types[node] = TYPES[int(rng.integers(3))]
        vector = rng.normal(size=DIMENSIONS)
        world.vectors[node] = (vector / np.linalg.norm(vector)).astype("<f4")
        conn.execute(
            "INSERT INTO nodes VALUES (?, ?, ?, ?, ?)",
            (node, world.labels[node], world.types[node], world.texts[node], node % 10),
        )
        if rng.random() < 0.9:
            conn.execute(
                "INSERT INTO v(rowid, vector) VALUES (?, ?)", (node, world.vectors[node].tobytes())
            )
        else:
            del world.vectors[node]
    ids = list(world.labels)
    for _ in range(nodes * 2):
        edge = (
            *rng.choice(ids, 2).tolist(),
            KINDS[int(rng.integers(3))],
            float(rng.integers(1, 4)),
        )
        world.edges.append(edge)
        conn.execute("INSERT INTO links VALUES (?, ?, ?, ?)", edge)
    conn.execute("INSERT INTO nodes_fts(nodes_fts) VALUES ('rebuild')")
    return world


# ---- The method once more ----


@dataclass
class Settings:
    """What the oracle is asked."""

    count: int = 100
    alpha: float = 0.4
    names: float = 1.2
    popularity: float = 0.08
    sharpness: float = 6.0
    damping: float = 0.6
    hops: int = 2
    allowed: Any = None  # node -> bool
    fusion: str = "convex"


def rows_with(world: World, word: str) -> int:
    return sum(word in (world.labels[n] + " " + world.texts[n]).split() for n in world.labels)


def full_text(world: World, query: str) -> list[tuple[int, float]]:
    """All matches, best first."""
    given = list(dict.fromkeys(re.findall(r"\w+", query)))
    many = len(world.labels) >= 50
    kept = []
    for word in given:
        share = rows_with(world, word)
        if not many or 0 < share < max(int(len(world.labels) * 0.1), 1_000) + 1:
            kept.append(word)
    if not kept:
        kept = [word for word in given if rows_with(world, word)][:1]
    if not kept:
        return []
    match = " OR ".join(f'"{word}"' for word in kept)
    return world.conn.execute(
        "SELECT rowid, bm25(nodes_fts) FROM nodes_fts WHERE nodes_fts MATCH ? ORDER BY rank",
        (match,),
    ).fetchall()


def distances(world: World, vector: np.ndarray, metric: str) -> dict[int, float]:
    found = {}
    for node, own in world.vectors.items():
        one, other = own.astype(float), vector.astype(float)
        if metric == "l2":
            found[node] = float(((one - other) ** 2).sum())
        elif metric == "cosine":
            lengths = math.sqrt((one @ one) * (other @ other))
            found[node] = 1 - float(one @ other) / lengths
        else:
            found[node] = -float(one @ other)
    return found


def cosine(metric: str, distance: float) -> float:
    return {"l2": 1 - distance / 2, "cosine": 1 - distance}.get(metric, -distance)


def named(world: World, query: str) -> dict[int, float]:
    words = re.findall(r"\w+", query)
    bearers: dict[tuple[str, ...], list[int]] = {}
    for node, label in world.labels.items():
        bearers.setdefault(tuple(label.split()), []).append(node)
    used: set[int] = set()
    found: dict[int, float] = {}
    rows = len(world.labels)
    whole = math.log(1 + rows)
    least = min(math.log(200), 0.75 * whole)
    for length in range(min(8, len(words)), 0, -1):
        for start in range(len(words) - length + 1):
            name, places = tuple(words[start : start + length]), range(start, start + length)
            if name in bearers and not used & set(places):
                used |= set(places)
                told = sum(math.log((1 + rows) / max(rows_with(world, w), 1)) for w in name)
                telling = min(1.0, max(0.0, (told - least) / (whole - least)))
                for node in bearers[name]:
                    if telling > 0:
                        found[node] = telling / math.sqrt(len(bearers[name]))
    return found


def scaled(values: dict[int, float]) -> dict[int, float]:
    low, high = min(values.values()), max(values.values())
    return {k: 1.0 if high == low else (v - low) / (high - low) for k, v in values.items()}


def fuse(
    pool: list[int], bm25: dict[int, float], cosines: dict[int, float], ask: Settings
) -> dict[int, float]:
    if ask.fusion == "rrf":
        total = dict.fromkeys(pool, 0.0)
        for values in (bm25, {k: -v for k, v in cosines.items()}):
            for rank, node in enumerate(sorted(values, key=lambda n: values[n]), 1):
                total[node] += 1 / (60 + rank)
        return {node: value * 61 / 2 for node, value in total.items()}
    text = scaled({node: -bm25.get(node, 0.0) for node in pool})
    least = min(cosines.values())
    meaning = scaled({node: cosines.get(node, least) for node in pool})
    return {node: ask.alpha * text[node] + (1 - ask.alpha) * meaning[node] for node in pool}


def oracle(
    world: World, query: str, vector: np.ndarray, metric: str, ask: Settings
) -> dict[int, dict[str, Any]]:
    """What is known of each node that qualifies, in no order."""
    matches = full_text(world, query)
    far = distances(world, vector, metric)
    near = sorted(far, key=lambda node: (far[node], node))
    allowed = ask.allowed or (lambda node: True)
    names = named(world, query) if ask.names else {}
    pool = list(
        dict.fromkeys(
            [
                *names,
                *(node for node, _ in matches[: ask.count]),
                *[node for node, _ in matches if allowed(node)][: ask.count],
                *near[: ask.count],
                *[node for node in near if allowed(node)][: ask.count],
            ]
        )
    )
    known = {node for node, _ in matches[: ask.count]}
    known |= set([node for node, _ in matches if allowed(node)][: ask.count])
    bm25 = {node: rank for node, rank in matches if node in known}
    cosines = {node: cosine(metric, far[node]) for node in pool if node in far}
    fused = fuse(pool, bm25, cosines, ask)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(world.labels)
    for a, b, kind, weight in world.edges:
        graph.add_edge(a, b, weight=weight * WEIGHTS.get(kind, 1.0))
        if a != b:
            graph.add_edge(b, a, weight=weight * WEIGHTS.get(kind, 1.0))
    degree = {node: len(set(graph.successors(node))) for node in pool}
    fused = {n: v * (1 + degree[n]) ** ask.popularity for n, v in fused.items()}
    fused = {n: v / max(fused.values()) for n, v in fused.items()}
    fused = {n: v + ask.names * names.get(n, 0.0) for n, v in fused.items()}
    fused = {n: v / max(fused.values()) for n, v in fused.items()}
    start = {n: v**ask.sharpness for n, v in scaled(fused).items()}
    ball, edge = set(pool), set(pool)
    hop = dict.fromkeys(pool, 0)
    for number in range(1, ask.hops + 1):
        edge = {v for u in edge for v in graph.successors(u)} - ball
        ball |= edge
        hop |= dict.fromkeys(edge, number)
    small = graph.subgraph(ball).copy()
    for node in list(small):
        if not small.degree(node):
            small.add_edge(node, node, weight=1)
    ppr = nx.pagerank(small, ask.damping, start, max_iter=2000, tol=1e-14, dangling=start)
    return {
        node: {
            "bm25": bm25.get(node),
            "distance": far.get(node) if node in pool else None,
            "name_match": names.get(node),
            "fused": fused.get(node),
            "ppr": ppr[node],
            "hop": hop[node],
            "score": ppr[node] * (1 + fused.get(node, 0.0)),
        }
        for node in ball
        if allowed(node)
    }


def compare(answer: Any, wanted: dict[int, dict[str, Any]], top_k: int) -> None:
    best = sorted((values["score"] for values in wanted.values()), reverse=True)[:top_k]
    assert [row.score for row in answer.rows] == pytest.approx(best, abs=1e-9)
    for row in answer.rows:
        for name, value in wanted[row.node].items():
            found = getattr(row, name)
            if value is None or found is None:
                assert found == value, (row.node, name)
            else:
                assert found == pytest.approx(value, abs=1e-6), (row.node, name)


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "TOLERANCE", 1e-12)
    monkeypatch.setattr(walk_module, "MOST_STEPS", 10**9)


@pytest.mark.parametrize("seed", range(12))
def test_rows_scores_and_all_columns(conn: Any, seed: int) -> None:
    metric = ["cosine", "l2", "inner_product"][seed % 3]
    world = make(conn, seed, [30, 120, 260][seed % 3], metric)
    rng = np.random.default_rng(seed + 100)
    for _ in range(3):
        query = " ".join(rng.choice(WORDS, 5))
        vector = rng.normal(size=DIMENSIONS)
        vector = (vector / np.linalg.norm(vector)).astype("<f4")
        ask = Settings(count=[100, 10][seed % 2], fusion=["convex", "rrf"][seed % 4 == 3])
        answer = search(
            conn,
            query,
            graph=world.graph,
            query_vector=vector.tobytes(),
            candidates=ask.count,
            fusion=ask.fusion,
            top_k=25,
        )
        wanted = oracle(world, query, vector, metric, ask)
        compare(answer, wanted, 25)


@pytest.mark.parametrize("seed", range(10))
def test_filters_are_exact_at_any_selectivity(conn: Any, seed: int) -> None:
    world = make(conn, seed, 200, "cosine")
    rng = np.random.default_rng(seed + 200)
    query = " ".join(rng.choice(WORDS, 5))
    vector = rng.normal(size=DIMENSIONS).astype("<f4")
    rare = int(rng.choice(list(world.labels)))
    filters: list[tuple[dict[str, Any], Any]] = [
        ({"node_types": "red"}, lambda n: world.types[n] == "red"),
        ({"node_types": ["red", "blue"]}, lambda n: world.types[n] != "green"),
        ({"where": "n = 3"}, lambda n: n % 10 == 3),
        ({"where": f"id = {rare}"}, lambda n: n == rare),
        (
            {"where": "n < 9 OR 0", "node_types": "blue"},
            lambda n: n % 10 < 9 and world.types[n] == "blue",
        ),
        ({"where": "1"}, lambda n: True),
        ({"where": "label IS NULL"}, lambda n: False),
    ]
    for given, allowed in filters:
        ask = Settings(count=7, allowed=allowed)
        answer = search(
            conn,
            query,
            graph=world.graph,
            query_vector=vector.tobytes(),
            candidates=7,
            top_k=12,
            **given,
        )
        wanted = oracle(world, query, vector, "cosine", ask)
        assert len(answer.rows) == min(12, len(wanted)), given
        compare(answer, wanted, 12)


@pytest.mark.parametrize("where", ["n = 3", "n < 8"])
def test_candidates_alone_are_filtered_exactly_too(conn: Any, where: str) -> None:
    world = make(conn, 3, 200, "cosine")
    vector = np.ones(DIMENSIONS, "<f4")
    far = distances(world, vector, "cosine")
    (least,) = re.findall(r"\d", where)
    good = [n for n in far if (n % 10 == 3 if "=" in where else n % 10 < int(least))]
    answer = search(
        conn,
        "",
        graph=world.graph,
        query_vector=vector.tobytes(),
        candidates=5,
        expand_hops=0,
        top_k=5,
        where=where,
    )
    nearest = sorted(good, key=lambda node: far[node])[:5]
    assert [row.node for row in answer.rows] == nearest


def test_neighbours_beyond_what_an_index_gives_are_looked_at_one_by_one(
    conn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlite_utils_muninn.search import nearest

    monkeypatch.setattr(nearest, "MOST_FROM_INDEX", 10)
    test_candidates_alone_are_filtered_exactly_too(conn, "n = 3")
