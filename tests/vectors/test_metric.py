"""Distances are exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlite_utils_muninn.vectors.index import metric
from sqlite_utils_muninn.vectors.options import METRICS

numbers = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
vectors = st.lists(numbers, min_size=4, max_size=4)


def distance(kind: str, a: list[float], b: list[float]) -> float:
    if kind == "l2":
        return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    length = math.hypot(*a) * math.hypot(*b)
    return -dot if kind == "inner_product" else 1 - dot / length if length else 1.0


@pytest.mark.parametrize("kind", METRICS)
@given(rows=st.lists(vectors, min_size=1, max_size=10), query=vectors)
def test_distances_are_those_of_the_definition(kind: str, rows: Any, query: Any) -> None:
    found = metric.distances(kind, np.array(rows, "<f4"), np.array(query, "<f4"))
    expected = [distance(kind, row, query) for row in rows]
    size = max(1.0, math.hypot(*query) * max(math.hypot(*row) for row in rows))
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12 * size)


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1.0, 1e20, 3e38])
def test_cosine_does_not_depend_on_length(scale: float) -> None:
    matrix = (np.eye(3, dtype=np.float32) + 0.5) * np.float32(scale / 1.5)
    found = metric.distances("cosine", matrix, matrix[1])
    assert found == pytest.approx([4 / 11, 0, 4 / 11], abs=1e-6)


def test_equal_vectors_have_equal_distances_wherever_they_stand() -> None:
    random = np.random.default_rng(2)
    one = random.standard_normal(37).astype(np.float32)
    matrix = np.tile(one, (3001, 1))
    query = random.standard_normal(37).astype(np.float32)
    for kind in METRICS:
        alone = metric.distances(kind, matrix[:1], query)[0]
        assert set(metric.distances(kind, matrix, query).tolist()) == {alone}


def in_lanes(products: Any) -> float:
    """A sum as the compiled file adds it up: eight lanes, then those in pairs."""
    sums = [0.0] * 8
    for i, product in enumerate(products.tolist()):
        sums[i % 8] += product
    a, b, c, d, e, f, g, h = sums
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@pytest.mark.parametrize("dimensions", [1, 7, 8, 9, 16, 37, 384])
def test_sums_are_in_an_order_that_no_compiler_and_no_cpu_changes(dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    matrix = random.standard_normal((3, dimensions)).astype("<f4")
    rows, query = matrix.astype(np.float64), matrix[0].astype(np.float64)
    dots = [in_lanes(row * query) for row in rows]
    assert metric.distances("inner_product", matrix, matrix[0]).tolist() == [-dot for dot in dots]
    squares = [in_lanes((row - query) ** 2) for row in rows]
    assert metric.distances("l2", matrix, matrix[0]).tolist() == squares
    lengths = [in_lanes(row * row) for row in rows]
    cosines = [dot / math.sqrt(length * dots[0]) for dot, length in zip(dots, lengths, strict=True)]
    expected = [1 - min(1.0, max(-1.0, cosine)) for cosine in cosines]
    assert metric.distances("cosine", matrix, matrix[0]).tolist() == expected


def test_a_zero_vector_is_at_distance_one() -> None:
    matrix = np.array([[0, 0], [1, 0]], dtype=np.float32)
    assert metric.distances("cosine", matrix, matrix[1]).tolist() == [1, 0]
    assert metric.distances("cosine", matrix, matrix[0]).tolist() == [1, 1]
