"""Rows with the very same vector: one of them is in the graph, the others hang on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sqlite_utils_muninn.vectors.engine import FLOATS
from sqlite_utils_muninn.vectors.options import METRICS

from .test_engine import clustered, graph_of, nearest, search


def with_equals(rows: int, equal: int, dimensions: int = 24, groups: int = 1) -> Any:
    """Clustered vectors, `equal` of which, anywhere among them, are one of a few."""
    matrix = clustered(rows, dimensions)
    chosen = np.random.default_rng(4).permutation(rows)[:equal]
    for group, part in enumerate(np.array_split(chosen, groups)):
        matrix[part] = clustered(groups, dimensions, seed=5)[group]
    return matrix


@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize(("equal", "groups"), [(1_000, 1), (3_000, 1), (3_000, 150), (3_900, 1)])
def test_equal_rows_hide_no_others(kind: str, codes: int, equal: int, groups: int) -> None:
    """The fault: they filled each other's lists, and the way ended at them: .07 found of .99."""
    matrix = with_equals(4_000, equal, groups=groups)
    graph, _ = graph_of(kind, matrix, codes)
    assert graph.link(4_000) == 0
    hits = 0
    for query in clustered(100, 24, seed=2):
        found = search(graph, query, 10)
        far = nearest(kind, matrix, query, np.arange(4_000), 10)[1]
        mine = nearest(kind, matrix, query, found, 10)[1]
        hits += int((mine <= far[-1] + 1e-9).sum())
    assert hits >= 0.99 * 1_000
