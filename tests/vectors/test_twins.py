"""Rows with the very same vector: one of them is in the graph, the others hang on it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from sqlite_utils_muninn.vectors.index.engine import BYTES, FLOATS, Graph
from sqlite_utils_muninn.vectors.options import METRICS, GraphOptions

from .test_engine import clustered, graph_of, nearest, scan, search
from .test_restored import reread, snapshot
from .test_saved import (
    _small_tables_have_graphs,
    command,
    fill,
    fresh,
    shared_index,
)
from .test_saved import matrix as rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .conftest import Connect

__all__ = ["_small_tables_have_graphs"]

LIST = 32  # numbers in a list on the ground, for m=16


def with_equals(rows: int, equal: int, dimensions: int = 24, groups: int = 1) -> tuple[Any, Any]:
    """Clustered vectors, `equal` of which, anywhere among them, are one of a few; and queries."""
    every = clustered(rows + groups + 100, dimensions)
    matrix = every[:rows].copy()
    chosen = np.random.default_rng(4).permutation(rows)[:equal]
    for group, part in enumerate(np.array_split(chosen, groups)):
        matrix[part] = every[rows + group]
    return matrix, every[rows + groups :]


def linked_graph(equal: int, rows: int = 300, **options: int) -> tuple[Graph, Any]:
    """A graph in which that many rows are equal, beginning with 0, and its rows."""
    matrix = clustered(rows, 8)
    matrix[:equal] = matrix[0]
    graph, _ = graph_of("l2", matrix, **options)
    assert graph.link(rows) == 0
    assert graph.core.twins == max(0, equal - 1)
    return graph, matrix


def best(kind: str, matrix: Any, query: Any, found: Any, count: int) -> list[int]:
    """The nearest candidates, as whoever asked for them ranks them."""
    ids: list[int] = nearest(kind, matrix, query, np.asarray(found), count)[0].tolist()
    return ids


# ---- Searches ----


@pytest.mark.parametrize("codes", [BYTES, FLOATS])
@pytest.mark.parametrize("kind", METRICS)
@pytest.mark.parametrize(("equal", "groups"), [(1_000, 1), (3_000, 150), (3_900, 1)])
def test_equal_rows_hide_no_others(kind: str, codes: int, equal: int, groups: int) -> None:
    """The fault: they filled each other's lists, and the way ended at them: .03 found of .99."""
    matrix, queries = with_equals(4_000, equal, groups=groups)
    graph, _ = graph_of(kind, matrix, codes)
    assert graph.link(4_000) == 0
    assert graph.core.twins == equal - groups
    hits = 0
    for query in queries:
        far = nearest(kind, matrix, query, np.arange(4_000), 10)[1]
        mine = nearest(kind, matrix, query, search(graph, query, 10), 10)[1]
        hits += int((mine <= far[-1] + 1e-9).sum())
    assert hits >= 0.99 * 10 * len(queries)


def test_of_equal_rows_the_lowest_ids_are_found() -> None:
    """In whatever order they came: so a second page goes on where the first one ended."""
    matrix = clustered(2_500, 16)
    ids = np.random.default_rng(2).permutation(2_500)
    matrix[500:] = matrix[500]
    graph = Graph(16, GraphOptions("cosine"))
    graph.add(ids, matrix[ids])
    graph.link(2_500)
    for query in (matrix[500], matrix[500] + 0.01):
        for count in (1, 10, 700):
            found = search(graph, query, count)
            assert len(found) < 2 * count + 10
            mine = best("cosine", matrix, query, found, count)
            assert mine == best("cosine", matrix, query, np.arange(2_500), count)
    for id_ in range(500, 1_900, 2):
        graph.drop(id_)
    left = graph.ids()
    mine = best("cosine", matrix, matrix[500], search(graph, matrix[500], 30), 30)
    assert mine == best("cosine", matrix, matrix[500], left, 30)


def test_rows_that_are_passed_over_leave_the_others() -> None:
    matrix = np.concatenate([clustered(100, 8), np.ones((3_000, 8), "<f4")])
    graph, _ = graph_of("l2", matrix)
    graph.link(3_100)
    found = graph.search(matrix[-1].tobytes(), 5, passing=set(range(100, 1_500)))
    assert found is not None
    there = np.frombuffer(found, "<i8")
    assert best("l2", matrix, matrix[-1], there, 5) == [1_500, 1_501, 1_502, 1_503, 1_504]
    assert len(there) < 20
    assert best("l2", matrix, matrix[-1], search(graph, matrix[-1], 2), 2) == [100, 101]


def test_a_scan_hands_out_no_more_equal_rows_than_are_wanted() -> None:
    """The fault: where thousands are equal, all of their vectors were read for ten neighbours."""
    matrix, queries = with_equals(4_000, 3_500, groups=2)
    for codes in (BYTES, FLOATS):
        graph, _ = graph_of("cosine", matrix, codes)
        for query in queries[:30]:
            for ids in (None, np.arange(0, 4_000, 3)):
                found = scan(graph, query, 10, ids=ids)
                among = np.arange(4_000) if ids is None else ids
                mine = best("cosine", matrix, query, found, 10)
                assert mine == best("cosine", matrix, query, among, 10)
                assert len(found) < 100
        assert len(scan(graph, queries[0], None)) == 4_000


def test_vectors_whose_copies_are_equal_are_not_twins() -> None:
    """Bytes cannot tell them apart, nor can the length of what was lost."""
    matrix = np.tile(np.array([1, 1e-4, 2e-4, 0], "<f4"), (50, 1))
    matrix[::2] = [1, 2e-4, 1e-4, 0]
    graph, _ = graph_of("l2", matrix)
    graph.link(50)
    assert graph.core.twins == 48
    for query in matrix[:2]:
        found = search(graph, query, 3)
        assert best("l2", matrix, query, found, 3) == best("l2", matrix, query, np.arange(50), 3)


# ---- Whatever is done ----

ids = st.integers(0, 60)
ALPHABET = np.array([[1, 2, 3], [0, 0, 0], [1, 1, 1], [2, 2, 2], [-1, 0, 5], [1, 2, 3.001]], "<f4")
letters = st.integers(0, len(ALPHABET) - 1)


class Group(RuleBasedStateMachine):
    """A graph of very few distinct vectors, held against a dictionary."""

    @initialize(kind=st.sampled_from(METRICS), codes=st.sampled_from([BYTES, FLOATS]))
    def begin(self, kind: str, codes: int) -> None:
        self.kind = kind
        self.graph, refused = graph_of(kind, ALPHABET, codes, m=4)
        self.rows = {i: i for i in range(len(ALPHABET)) if i not in refused}

    def matrix(self) -> Any:
        """Vectors by id; those of other ids are never looked at."""
        every = np.zeros((61, 3), "<f4")
        for id_, letter in self.rows.items():
            every[id_] = ALPHABET[letter]
        return every

    @rule(rows=st.dictionaries(ids, letters, min_size=1))
    def add(self, rows: dict[int, int]) -> None:
        vectors = ALPHABET[list(rows.values())]
        refused = self.graph.add(np.array(list(rows)), vectors).tolist()
        for id_, letter in rows.items():
            if id_ not in refused:
                self.rows[id_] = letter
            else:  # there already, or a zero vector, which floats cannot keep
                assert id_ in self.rows or not ALPHABET[letter].any()

    @rule(gone=st.sets(ids, min_size=1))
    def drop(self, gone: set[int]) -> None:
        for id_ in gone:
            assert self.graph.drop(id_) == (self.rows.pop(id_, None) is not None)

    @rule(count=st.integers(1, 80))
    def link(self, count: int) -> None:
        left = self.graph.unlinked
        assert self.graph.link(count) == max(0, left - count)

    @rule()
    def compact(self) -> None:
        self.graph.core.compact()
        assert (self.graph.linked, self.graph.dead, self.graph.core.twins) == (0, 0, 0)

    @rule(lost=st.sets(ids))
    def restore(self, lost: set[int]) -> None:
        gone = sorted(lost & self.rows.keys())
        core = self.graph.core
        before = (core.nodes, core.linked, core.twins, core.dead + len(gone))
        data = snapshot(self.graph)
        self.graph = reread(self.graph, self.matrix(), gone)
        core = self.graph.core
        assert (core.nodes, core.linked, core.twins, core.dead) == before
        assert gone or snapshot(self.graph) == data
        for id_ in gone:
            del self.rows[id_]

    @rule(
        letter=letters,
        off=st.sampled_from([0, 0, 0.01, 1]),
        count=st.integers(1, 70),
        passing=st.sets(ids),
    )
    def search(self, letter: int, off: float, count: int, passing: set[int]) -> None:
        query = (ALPHABET[letter] + off).astype("<f4")
        found = self.graph.search(query.tobytes(), count, passing=passing)
        if found is None:  # a zero vector, where copies are floats
            return
        self.compare(np.frombuffer(found, "<i8"), query, count, passing)
        self.compare(scan(self.graph, query, count, passing), query, count, passing)

    def compare(self, found: Any, query: Any, count: int, passing: Iterable[int]) -> None:
        assert len(set(found.tolist())) == len(found)
        there = np.array(sorted(self.rows.keys() - set(passing)), np.int64)
        assert set(found.tolist()) <= set(there.tolist())
        mine = best(self.kind, self.matrix(), query, found, count)
        assert mine == best(self.kind, self.matrix(), query, there, count)

    @invariant()
    def knows_its_rows(self) -> None:
        if hasattr(self, "rows"):
            assert sorted(self.graph.ids().tolist()) == sorted(self.rows)


def run_groups(examples: int, steps: int) -> None:
    limits = settings(max_examples=examples, stateful_step_count=steps, deadline=None)
    run_state_machine_as_test(Group, settings=limits)


def test_searches_find_the_nearest_whatever_was_done() -> None:
    run_groups(examples=60, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_searches_find_the_nearest_whatever_was_done_for_long() -> None:
    run_groups(examples=2_000, steps=120)


def test_a_lost_elder_stands_where_it_stood() -> None:
    """Its twins have its copy: nothing is guessed from its neighbours."""
    graph, matrix = linked_graph(40)
    lost = [0, 1, 2]
    again = reread(graph, matrix, lost)
    for id_ in lost:
        graph.drop(id_)
    found = search(again, matrix[0], 5)
    assert best("l2", matrix, matrix[0], found, 5) == [3, 4, 5, 6, 7]
    for query in matrix[40:80]:
        assert search(again, query, 10).tolist() == search(graph, query, 10).tolist()
    # A vector that comes back hangs on it again.
    again.add(np.array([0]), matrix[:1])
    again.link(10)
    assert (again.core.twins, again.linked) == (40, 301)


def test_rows_that_come_back_take_no_new_place_in_the_lists() -> None:
    """Written again and again, the same vectors do not fill the graph with dead nodes."""
    graph, matrix = linked_graph(0)
    for _ in range(3):
        for id_ in range(300):
            graph.drop(id_)
        assert not len(graph.add(np.arange(300), matrix))
        graph.link(300)
    assert (graph.core.nodes, graph.core.twins, len(graph)) == (1_200, 900, 300)
    for query in matrix[:50]:
        mine = best("l2", matrix, query, search(graph, query, 10), 10)
        assert mine == best("l2", matrix, query, np.arange(300), 10)


# ---- Snapshots that hold anything ----


def read_back(graph: Graph, data: bytes) -> Graph:
    """A graph from bytes, as far as its check lets it."""
    core, again = graph.core, Graph(graph.dimensions, graph.options, graph.shape)
    again.core.snapshot_start(core.nodes, core.linked, core.dead, 0, len(data))
    again.core.snapshot_write(0, data)
    again.core.snapshot_check()
    return again


@pytest.mark.parametrize(
    ("node", "place", "value"),
    [
        (5, 0, -2 - 300),  # no such node
        (5, 0, -(2**31)),
        (5, 0, -2 - 5),  # itself
        (5, 0, -2 - 6),  # another twin
        (0, 0, -2 - 1),  # each other's
        (50, 0, 7),  # a neighbour that is a twin
    ],
)
def test_twins_that_hang_on_nothing_are_refused(node: int, place: int, value: int) -> None:
    graph, _ = linked_graph(10)
    data = bytearray(snapshot(graph))
    at = graph.core.nodes * 9 + 4 * (LIST * node + place)
    data[at : at + 4] = value.to_bytes(4, "little", signed=True)
    with pytest.raises(ValueError, match="a neighbour is not in the graph"):
        read_back(graph, bytes(data))


def test_rows_that_are_not_equal_are_refused_as_twins() -> None:
    graph, matrix = linked_graph(10)
    again = read_back(graph, snapshot(graph))
    matrix[4, 1] = np.nextafter(matrix[4, 1], np.float32(9))  # their copies are equal
    assert not again.fill(np.arange(300), matrix).any()
    with pytest.raises(ValueError, match="rows that should be equal are not"):
        again.core.snapshot_finish()
    for call in (again.core.snapshot_finish, lambda: search(again, matrix[0], 1)):
        with pytest.raises(RuntimeError, match=r"in use|not whole"):
            call()


def test_places_in_a_tree_are_not_believed() -> None:
    graph, matrix = linked_graph(60)
    data = bytearray(snapshot(graph))
    for node in range(1, 60):
        at = graph.core.nodes * 9 + 4 * (LIST * node + 1)
        data[at : at + 12] = random.Random(node).randbytes(12)
    again = read_back(graph, bytes(data))
    assert not again.fill(np.arange(300), matrix).any()
    again.core.snapshot_finish()
    assert snapshot(again) == snapshot(graph)
    assert best("l2", matrix, matrix[0], search(again, matrix[0], 60), 60) == list(range(60))


def craft(cases: int, seed: int) -> None:
    chance = random.Random(seed)
    graph, matrix = linked_graph(120, m=2)
    for id_ in (*range(5), 130, 140, 150):  # the elder too
        graph.drop(id_)
    data, used = snapshot(graph), 0
    start, kept = graph.core.nodes * 9, graph.ids()
    for _ in range(cases):
        forged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            at = start + 4 * chance.randrange(300 * 4)
            value = chance.choice([-1, -2, -(2**31), 2**31 - 1, -2 - chance.randrange(300)])
            value = chance.choice([value, chance.randrange(300)])
            forged[at : at + 4] = value.to_bytes(4, "little", signed=True)
        try:
            again = read_back(graph, bytes(forged))
            again.core.snapshot_lose(np.array([7, 200], "<i8").tobytes())
            again.fill(kept, matrix[kept])
            again.core.snapshot_finish()
        except ValueError:
            continue
        used += 1
        for id_ in (7, 8, 60, 210):
            again.drop(id_)
        again.add(np.array([0, 7]), matrix[[0, 9]])
        again.link(chance.choice([1, 9]))
        assert len(set(search(again, matrix[3], 400).tolist())) <= len(kept)
    assert 0 < used < cases


def test_crafted_snapshots_with_twins_do_no_harm() -> None:
    craft(cases=400, seed=1)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_crafted_snapshots_with_twins_do_no_harm() -> None:
    craft(cases=50_000, seed=2)


# ---- In a file ----

EQUAL = range(50, 250)


def make_equal(connect: Connect, path: Path) -> tuple[Any, dict[int, Any]]:
    """A table of 400 rows, half of which are equal, and its rows."""
    conn = connect(path)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=8, metric=cosine, m=8)")
    rows = dict(enumerate(rows_of()))
    rows.update(dict.fromkeys(EQUAL, rows[50]))
    fill(conn, rows, rows.values())
    command(conn, "optimize")
    return conn, rows


def page_of(conn: Any, vector: Any, limit: int, offset: int) -> list[int]:
    sql = "SELECT rowid FROM v WHERE vector MATCH ? ORDER BY distance LIMIT ? OFFSET ?"
    return [row[0] for row in conn.execute(sql, (bytes(vector), limit, offset))]


def test_pages_of_equal_rows_follow_each_other(connect: Connect, path: Path) -> None:
    _, rows = make_equal(connect, path)
    for _ in range(2):
        each = fresh(connect, path)
        for offset in range(0, 70, 7):
            assert page_of(each, rows[50], 7, offset) == list(EQUAL[offset : offset + 7])
        assert shared_index().graph.core.twins == len(EQUAL) - 1


def test_equal_rows_that_change_are_followed(connect: Connect, path: Path) -> None:
    conn, rows = make_equal(connect, path)
    common = rows[50]
    conn.execute("PRAGMA journal_mode = wal")
    before = connect(path)
    before.execute("BEGIN")
    assert page_of(before, common, 2, 0) == [50, 51]
    conn.execute("DELETE FROM v WHERE rowid BETWEEN 50 AND 59")  # the one in the graph, and others
    fill(conn, range(60, 70), rows_of(10, seed=4))
    fill(conn, [300, 301, 5], [common] * 3)
    now = {i: row for i, row in rows.items() if not 50 <= i < 60}
    now.update(zip(range(60, 70), rows_of(10, seed=4), strict=True))
    now.update(dict.fromkeys([300, 301, 5], common))
    for each in (conn, fresh(connect, path)):
        assert page_of(each, common, 4, 0) == [5, 70, 71, 72]
        assert page_of(each, common, 2, 181) == [300, 301]
    assert page_of(before, common, 12, 0) == list(range(50, 62))
    before.execute("COMMIT")
    command(conn, "integrity-check")
    command(conn, "optimize")
    command(conn, "integrity-check")
    agree_by_distance(fresh(connect, path), now)


def agree_by_distance(conn: Any, rows: dict[int, Any]) -> None:
    ids, stored = np.array(list(rows)), np.array(list(rows.values()))
    for probe in [*rows_of(20, seed=9), rows[5]]:
        far = 1 - (stored @ probe) / np.linalg.norm(stored, axis=1) / np.linalg.norm(probe)
        found = page_of(conn, probe, 8, 0)
        mine = [far[ids.tolist().index(id_)] for id_ in found]
        assert mine == pytest.approx(np.sort(far)[:8].tolist(), abs=1e-6)


def test_vectors_changed_behind_the_log_are_found(connect: Connect, path: Path) -> None:
    """Two that were equal when the index was saved, and are not: it is made anew."""
    conn, rows = make_equal(connect, path)
    rows[60] = rows_of(1, seed=6)[0]
    (last,) = conn.execute("SELECT max(seq) FROM v_log").fetchone()
    conn.execute("UPDATE v SET vector = ? WHERE rowid = 60", (bytes(rows[60]),))
    conn.execute("DELETE FROM v_log WHERE seq > ?", (last,))
    other = fresh(connect, path)
    assert page_of(other, rows[60], 1, 0) == [60]
    assert shared_index().saved is None
    agree_by_distance(other, rows)
    command(other, "optimize")
    command(other, "integrity-check")


def test_a_table_of_nearly_nothing_but_equal_rows_stays_in_bytes(
    connect: Connect, path: Path
) -> None:
    """The fault: their copies were taken for too coarse, and three times the memory was used."""
    conn = connect(path)
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=8, metric=cosine)")
    rows = dict(enumerate(rows_of()))
    rows.update(dict.fromkeys(range(0, 400, 5), rows[1]))
    rows.update(dict.fromkeys(range(0, 400, 2), rows[1]))
    fill(conn, rows, rows.values())
    agree_by_distance(conn, rows)
    assert shared_index().graph.shape.kind == BYTES
