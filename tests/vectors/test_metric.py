"""Distances are exact, and the float32 shortlist never loses a row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sqlite_utils_muninn.vectors import metric
from sqlite_utils_muninn.vectors.options import METRICS

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
matrices = st.integers(1, 5).flatmap(
    lambda d: st.tuples(
        arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(d)), elements=floats),
        arrays.arrays(np.float32, d, elements=floats),
    )
)


def nearest(kind: str, matrix: Any, query: Any, count: int, keep: Any = None) -> Any:
    vectors = metric.Vectors(kind, matrix, metric.lengths(matrix))
    return metric.nearest(vectors, query, count, keep)


@pytest.mark.parametrize("kind", METRICS)
@given(data=matrices, count=st.integers(0, 35))
def test_nearest_is_the_sorted_distances(kind: str, data: Any, count: int) -> None:
    matrix, query = data
    rows, found = nearest(kind, matrix, query, count)
    everything = metric.distances(kind, matrix, query)
    best = np.sort(everything)[:count]
    assert len(set(rows.tolist())) == len(rows)
    assert np.sort(found)[: len(best)].tolist() == best.tolist()
    assert everything[rows].tolist() == found.tolist()


@pytest.mark.parametrize("kind", METRICS)
def test_rows_far_from_the_origin_keep_their_order(kind: str) -> None:
    # Near 1e4, float32 products are off by 1e1: the differences here are 1e-2.
    random = np.random.default_rng(1)
    matrix = (1e4 + random.standard_normal((500, 32)) * 0.01).astype(np.float32)
    query = matrix[7].copy()
    rows, found = nearest(kind, matrix, query, 10)
    exact = [distance(kind, row, query) for row in matrix]
    order = sorted(range(500), key=lambda i: (exact[i], i))[:10]
    assert [r for _, r in sorted(zip(found, rows, strict=True))] == order


def distance(kind: str, a: Any, b: Any) -> float:
    a, b = a.astype(float).tolist(), b.astype(float).tolist()
    if kind == "l2":
        return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return -dot if kind == "inner_product" else 1 - dot / (math.hypot(*a) * math.hypot(*b))


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1.0, 1e20, 3e38])
def test_cosine_does_not_depend_on_length(scale: float) -> None:
    matrix = (np.eye(3, dtype=np.float32) + 0.5) * np.float32(scale / 1.5)
    rows, found = nearest("cosine", matrix, matrix[1], 1)
    assert rows.tolist() == [1]
    assert found == pytest.approx([0], abs=1e-6)


def test_equal_vectors_have_equal_distances_wherever_they_stand() -> None:
    random = np.random.default_rng(2)
    one = random.standard_normal(37).astype(np.float32)
    matrix = np.tile(one, (3001, 1))
    query = random.standard_normal(37).astype(np.float32)
    for kind in METRICS:
        alone = metric.distances(kind, matrix[:1], query)[0]
        assert set(metric.distances(kind, matrix, query).tolist()) == {alone}


def test_a_zero_vector_is_at_distance_one() -> None:
    matrix = np.array([[0, 0], [1, 0]], dtype=np.float32)
    assert metric.distances("cosine", matrix, matrix[1]).tolist() == [1, 0]
    assert metric.distances("cosine", matrix, matrix[0]).tolist() == [1, 1]
    rows, found = nearest("cosine", matrix, matrix[0], 1)
    assert (len(rows), found.tolist()) == (2, [1, 1])  # a tie: the caller decides


def test_rows_can_be_passed_over() -> None:
    matrix = np.arange(20, dtype=np.float32).reshape(-1, 1)
    keep = np.ones(20, dtype=bool)
    keep[3:6] = False
    rows, _ = nearest("l2", matrix, matrix[4], 2, keep)
    assert sorted(rows.tolist()) == [2, 6]
