"""The index in memory: its candidates never leave out a row that belongs to the nearest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sqlite_utils_muninn.vectors import _hnsw
from sqlite_utils_muninn.vectors.index import metric
from sqlite_utils_muninn.vectors.index.engine import FLOATS, Graph, Search, Shape, shape_for
from sqlite_utils_muninn.vectors.options import METRICS, GraphOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

floats = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-9, 9, width=32)
matrices = st.integers(1, 5).flatmap(
    lambda d: st.tuples(
        arrays.arrays(np.float32, st.tuples(st.integers(1, 90), st.just(d)), elements=floats),
        arrays.arrays(np.float32, d, elements=floats),
    )
)


def graph_of(kind: str, matrix: Any, codes: int = 0, **options: int) -> tuple[Graph, Any]:
    """An index of a matrix by row number, and the rows that it refused."""
    shape = shape_for(matrix, kind) if not codes else Shape(FLOATS, shape_for(matrix, kind).unit)
    graph = Graph(matrix.shape[1], GraphOptions(kind, **options), shape)
    return graph, graph.add(np.arange(len(matrix)), matrix)


def clustered(rows: int, dimensions: int, seed: int = 1) -> Any:
    """Vectors with the neighbourhoods that embeddings have: a few directions, and noise."""
    random = np.random.default_rng(seed)
    basis = random.standard_normal((12, dimensions))
    noise = random.standard_normal((rows, dimensions)) * 0.3
    return (random.standard_normal((rows, 12)) @ basis + noise).astype("<f4")


def nearest(kind: str, matrix: Any, query: Any, ids: Any, count: int) -> Any:
    far = metric.distances(kind, matrix[ids], query)
    return ids[np.lexsort((ids, far))][:count], np.sort(far)[:count]


def scan(
    graph: Graph, query: Any, most: int | None, passing: Collection[int] = (), **more: Any
) -> Any:
    """Candidates, as an array."""
    found = graph.scan(Search(query.tobytes(), most, **more), passing)
    return None if found is None else np.frombuffer(found, "<i8")


def search(graph: Graph, query: Any, count: int, ef: int | None = None) -> Any:
    """Candidates by the graph, as an array."""
    found = graph.search(query.tobytes(), count, ef)
    return None if found is None else np.frombuffer(found, "<i8")


@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
@settings(deadline=None)
@given(data=matrices, count=st.integers(0, 95), passing=st.sets(st.integers(0, 20)))
def test_a_scan_leaves_out_no_neighbour(
    kind: str, codes: int, data: Any, count: int, passing: set[int]
) -> None:
    matrix, query = data
    graph, refused = graph_of(kind, matrix, codes)
    found = scan(graph, query, count, passing=passing)
    if found is None:  # no such vector is near any that is kept
        return
    assert len(set(found.tolist())) == len(found)
    assert not passing & set(found.tolist())
    candidates = np.union1d(found, np.setdiff1d(refused, list(passing)))
    everything = np.setdiff1d(np.arange(len(matrix)), list(passing))
    best = nearest(kind, matrix, query, everything, count)[1]
    assert nearest(kind, matrix, query, candidates, count)[1].tolist() == best.tolist()


@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
@settings(deadline=None)
@given(data=matrices, bounds=st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_bounds_leave_out_no_row_within_them(
    kind: str, codes: int, data: Any, bounds: tuple[float, float]
) -> None:
    matrix, query = data
    graph, refused = graph_of(kind, matrix, codes)
    beyond, within = sorted(bounds)
    found = scan(graph, query, None, within=within, beyond=beyond)
    if found is None:
        return
    far = metric.distances(kind, matrix, query)
    wanted = np.flatnonzero((far >= beyond) & (far <= within))
    assert set(wanted.tolist()) <= {*found.tolist(), *refused.tolist()}
    nearest_beyond = scan(graph, query, 3, beyond=beyond)
    assert nearest_beyond is not None
    candidates = np.union1d(nearest_beyond, refused)
    expected = np.sort(far[far >= beyond])[:3].tolist()
    assert np.sort(far[candidates][far[candidates] >= beyond])[:3].tolist() == expected


@pytest.mark.parametrize("kind", METRICS)
def test_rows_far_from_the_origin_are_told_apart(kind: str) -> None:
    # Around 1e4, float32 products are off by 1e1: the differences here are 1e-2.
    random = np.random.default_rng(1)
    matrix = (1e4 + random.standard_normal((500, 32)) * 0.01).astype(np.float32)
    graph, _ = graph_of(kind, matrix)
    found = scan(graph, matrix[7], 10)
    assert found is not None
    best = nearest(kind, matrix, matrix[7], np.arange(500), 10)[0]
    assert set(best.tolist()) <= set(found.tolist())
    if kind == "l2":
        assert len(found) < 60


def test_only_some_ids_are_looked_at() -> None:
    matrix = clustered(2_000, 24)
    graph, _ = graph_of("l2", matrix)
    for size in (1, 3, 50, 1_000):
        ids = np.sort(np.random.default_rng(size).choice(3_000, size, replace=False))
        found = scan(graph, matrix[5], 10, ids=ids)
        there = ids[ids < 2_000]
        best = nearest("l2", matrix, matrix[5], there, 10)[0]
        assert found is not None
        assert set(best.tolist()) <= set(found.tolist()) <= set(there.tolist())


@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
def test_the_graph_finds_nearly_all(kind: str, codes: int) -> None:
    matrix = clustered(3_000, 48)
    graph, _ = graph_of(kind, matrix, codes)
    assert graph.link(2_500) == 500  # the rest is scanned
    hits = 0
    for query in clustered(100, 48, seed=2):
        found = search(graph, query, 10)
        assert found is not None
        best = nearest(kind, matrix, query, np.arange(3_000), 10)[0]
        hits += len(set(best.tolist()) & set(found.tolist()))
    assert hits >= 0.99 * 1_000


def test_the_graph_finds_nearly_all_of_many() -> None:
    # As many in sight as are wanted would be too few: the last of them have no neighbours in sight.
    count = 110
    matrix = clustered(4_000, 48)
    graph, _ = graph_of("cosine", matrix)
    assert graph.link(4_000) == 0
    hits = 0
    for query in clustered(40, 48, seed=2):
        found = search(graph, query, count)
        assert found is not None
        best = nearest("cosine", matrix, query, np.arange(4_000), count)[0]
        hits += len(set(best.tolist()) & set(found.tolist()))
    assert hits >= 0.99 * 40 * count


def test_removed_rows_are_not_found_and_can_come_back() -> None:
    matrix = clustered(1_000, 16)
    graph, _ = graph_of("cosine", matrix)
    graph.link(1_000)
    for id_ in range(0, 1_000, 2):
        assert graph.drop(id_)
        assert not graph.drop(id_)
    assert (len(graph), graph.dead, 4 in graph, 5 in graph) == (500, 500, False, True)
    found = search(graph, matrix[4], 400, ef=10)
    assert found is not None
    assert len(set(found.tolist())) >= 400
    assert not set(found.tolist()) & set(range(0, 1_000, 2))
    assert set(search(graph, matrix[4], 10, ef=2**63 - 1).tolist()) <= set(range(1, 1_000, 2))
    assert not len(graph.add(np.array([4]), matrix[4:5]))
    assert graph.add(np.array([4]), matrix[4:5]).tolist() == [4]  # it is there
    again = search(graph, matrix[4], 1)
    assert again is not None
    assert again[0] == 4
    graph.core.compact()
    assert (len(graph), graph.dead, graph.linked) == (501, 0, 0)
    assert sorted(graph.ids().tolist()) == sorted([4, *range(1, 1_000, 2)])


def test_the_same_rows_make_the_same_graph() -> None:
    matrix = clustered(800, 20)
    snapshots = []
    for steps in ([800], [1, 9, 290, 500]):
        graph, _ = graph_of("cosine", matrix, m=6)
        for step in steps:
            graph.link(step)
        snapshots.append(graph.core.snapshot_read(0, graph.core.snapshot_size()))
    assert snapshots[0] == snapshots[1]


@pytest.fixture
def _best_loops() -> Iterator[None]:
    yield
    _hnsw.use_loops(None)


@pytest.mark.usefixtures("_best_loops")
@pytest.mark.parametrize("dimensions", [1, 3, 63, 64, 65, 384])
@pytest.mark.parametrize("codes", [0, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
def test_every_cpu_makes_the_same_graph(kind: str, codes: int, dimensions: int) -> None:
    matrix = clustered(300, dimensions)
    made = set()
    for name in ("plain", "avx2", "avx512-vnni"):
        try:
            assert _hnsw.use_loops(name) == name
        except ValueError:
            continue  # this one has them not
        graph, _ = graph_of(kind, matrix, codes, m=4, ef_construction=20)
        graph.link(250)
        assert graph.add(np.arange(300, 303), np.zeros((3, dimensions), "<f4")).size in (0, 3)
        found = [scan(graph, query, 5) for query in matrix[:20]]
        answers = b"".join(b"" if ids is None else ids.tobytes() for ids in found)
        made.add((graph.core.snapshot_read(0, graph.core.snapshot_size()), answers))
    assert len(made) == 1


@pytest.mark.parametrize("m", [2, 5, 32])
def test_m_and_ef_construction_act(m: int) -> None:
    """More neighbours cost memory and find more."""
    matrix = clustered(1_500, 32)
    shares = []
    for construction in (4, 200):
        graph, _ = graph_of("l2", matrix, m=m, ef_construction=construction)
        graph.link(1_500)
        hits = 0
        for query in clustered(50, 32, seed=3):
            found = search(graph, query, 10, ef=10)
            assert found is not None
            best = nearest("l2", matrix, query, np.arange(1_500), 10)[0]
            hits += len(set(best.tolist()) & set(found.tolist()))
        shares.append(hits / 500)
        assert graph.bytes / 1_500 == pytest.approx(64 + 8 * m + 30, rel=0.5)
    assert shares[1] >= shares[0]
    assert shares[1] >= {2: 0.05, 5: 0.5, 32: 0.9}[m]


def test_what_cannot_be_kept_is_refused() -> None:
    graph, _ = graph_of("l2", np.ones((100, 2), "<f4"))
    odd = np.array([[np.nan, 1], [np.inf, 1], [3e38, 3e38], [1, 1]], "<f4")
    assert graph.add(np.arange(200, 204), odd).tolist() == [200, 201, 202]
    assert scan(graph, odd[2], 1) is None
    assert search(graph, odd[0], 1) is None


def test_calls_that_do_not_fit_are_refused() -> None:
    graph, _ = graph_of("l2", np.ones((100, 2), "<f4"))
    core = graph.core
    for call in (
        lambda: core.add(b"1234567", b""),
        lambda: core.add(b"12345678", b"1234"),
        lambda: core.search(b"1234", 1, 1, 1.0, math.inf, -math.inf, b"", None),
        lambda: core.search(b"12345678", 1, 1, 1.0, math.inf, -math.inf, b"1", None),
        lambda: core.search(b"12345678", -1, 1, 1.0, math.inf, -math.inf, b"", None),
        lambda: core.snapshot_read(-1, 5),
        lambda: core.snapshot_read(0, 2**62),
        lambda: type(core)(2, 7, 0, 16, 200, 1.0, None),
        lambda: type(core)(2, 0, 0, 999, 200, 1.0, None),
        lambda: type(core)(2, 0, 0, 16, 200, math.nan, None),
        lambda: type(core)(2, 0, 0, 16, 200, 1.0, b"1234"),
    ):
        with pytest.raises(ValueError, match=r"size|fit|bounds|part"):
            call()
    with pytest.raises(RuntimeError, match="not been made"):
        type(core).__new__(type(core)).ids()
