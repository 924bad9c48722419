"""node2vec: vectors of nodes that walks meet together (Grover and Leskovec 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work

SEED = 42
"""The same graph gives the same vectors: training runs on one thread."""

NOISE = 1 << 20
"""Length of the table that negative samples are drawn from."""


@dataclass(frozen=True)
class Training:
    """How to walk and how to learn, by the names of the paper."""

    dimensions: int = 128
    p: float = 1.0
    q: float = 1.0
    num_walks: int = 10
    walk_length: int = 80
    window: int = 10
    neg_samples: int = 5
    learning_rate: float = 0.025
    epochs: int = 1


def train(graph: Graph, how: Training, work: Work) -> np.ndarray:
    """A vector for each node: float32 of shape (nodes, dimensions), each of length 1.

    Edges are walked both ways. Skip-gram with negative sampling, negatives by degree to the power
    of 3/4 (Mikolov et al. 2013).
    """
    nodes, random = graph.nodes, np.random.default_rng(SEED)
    count = nodes * how.num_walks
    work.need(4 * (count * (how.walk_length + 1) + 2 * nodes * how.dimensions), "the walks")
    walks = _walk(graph, how, random, work)
    degree = np.bincount(graph.source, minlength=nodes) + np.bincount(graph.target, minlength=nodes)
    share = degree**0.75
    noise = np.repeat(
        np.arange(nodes, dtype=np.int32), np.maximum(1, NOISE * share / share.sum()).astype(int)
    )
    vectors = np.zeros((nodes + 1, how.dimensions), np.float32)
    vectors[:-1] = (random.random((nodes, how.dimensions)) - 0.5) / how.dimensions
    contexts = np.zeros(nodes * how.dimensions, np.float32)
    progress = np.array([0, count * how.epochs], np.int64)
    for epoch in range(how.epochs):
        work.run(
            "skip_gram",
            *(walks, noise, random.permutation(count).astype(np.int32), vectors.reshape(-1)),
            *(contexts, how.walk_length, how.dimensions, float(how.learning_rate), how.window),
            *(progress, how.neg_samples << 32 | SEED + epoch),
            steps=count * how.walk_length * how.window,
        )
    trained = vectors[:-1]
    length = np.linalg.norm(trained, axis=1, keepdims=True)
    unit: np.ndarray = trained / np.maximum(length, 1e-12)
    return unit


def _walk(graph: Graph, how: Training, random: np.random.Generator, work: Work) -> np.ndarray:
    """Walks from every node, -1 after a dead end, one after the other."""
    ways = graph.neighbours("both", work)
    owner = np.repeat(np.arange(graph.nodes), np.diff(ways.offsets))
    order = np.lexsort((ways.targets, owner))  # the kernel looks edges up
    targets = ways.targets[order]
    sums = None if ways.weights is None else np.cumsum(ways.weights[order])
    starts = np.tile(np.arange(graph.nodes, dtype=np.int32), how.num_walks)
    random.shuffle(starts)
    walks = np.empty(len(starts) * how.walk_length, np.int32)
    work.run(
        "walks",
        *(ways.offsets, targets, sums, float(how.p), float(how.q), how.walk_length),
        *(starts, walks, SEED),
        steps=len(walks),
    )
    return walks
