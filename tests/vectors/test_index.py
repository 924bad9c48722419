"""The index alone, against histories that branch as no single test of SQL makes them."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlite_utils_muninn.vectors.index import index as index_module
from sqlite_utils_muninn.vectors.index import metric
from sqlite_utils_muninn.vectors.index.engine import Search
from sqlite_utils_muninn.vectors.index.index import Change, Index, Position
from sqlite_utils_muninn.vectors.options import GraphOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

_tags = itertools.count(1)


@dataclass
class History:
    """A table and its log, in memory."""

    vectors: dict[int, float] = field(default_factory=dict)
    log: list[Change] = field(default_factory=lambda: [Change(1, next(_tags), None)])

    def write(self, id_: int, value: float | None) -> None:
        if value is None:
            self.vectors.pop(id_, None)
        else:
            self.vectors[id_] = value
        self.log.append(Change(self.log[-1].seq + 1, next(_tags), id_))

    @property
    def position(self) -> Position:
        return Position(self.log[-1].seq, self.log[-1].tag)

    def changes(self, first: int, last: int) -> list[Change]:
        return [change for change in self.log if first <= change.seq <= last]

    def read(self, ids: Any) -> tuple[Any, Any]:
        there = [i for i in ids.tolist() if i in self.vectors]
        return self._arrays(there)

    def blocks(self) -> Iterator[tuple[Any, Any]]:
        yield self._arrays(list(self.vectors))

    def _arrays(self, ids: list[int]) -> tuple[Any, Any]:
        values = [[self.vectors[i], 1.0] for i in ids]
        return np.array(ids, np.int64), np.array(values, np.float32).reshape(-1, 2)

    def saved(self, dimensions: int, options: GraphOptions) -> None:
        return None

    def check(self) -> None:
        pass


def nearest(index: Index, history: History, at: float, *, advance: bool) -> list[float] | None:
    query = np.array([at, 1], np.float32)
    with index.hold():
        changed = index.reach(history, history.position, advance=advance)
        if changed is None:
            return None
        found = index.candidates(Search(query.tobytes(), 3), changed)
    assert found is not None
    ids = np.frombuffer(found[0], "<i8").tolist()
    assert not changed & set(ids)
    _, matrix = history.read(np.array([*ids, *changed], np.int64))
    return sorted(metric.distances("l2", matrix, query).tolist())[:3]


step = st.tuples(
    st.integers(0, 2),  # which branch
    st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(-9, 9).map(float)), max_size=3),
    st.none() | st.integers(1, 4),  # how much of the log is kept
    st.sampled_from([True, True, False]),
)


@settings(max_examples=300, deadline=None)
@given(common=st.integers(0, 4), steps=st.lists(step, min_size=2, max_size=20))
def test_no_branch_is_taken_for_another(common: int, steps: list[Any]) -> None:
    # Three copies of one file, each written for itself and put in the place of the others.
    first = History()
    for i in range(common):
        first.write(i, float(i))
    branches = [first, copy.deepcopy(first), copy.deepcopy(first)]
    index = Index(2, GraphOptions("l2"))
    for number, writes, kept, advance in steps:
        now = branches[number]
        for id_, value in writes:
            now.write(id_, value)
        if kept:
            del now.log[:-kept]
        found = nearest(index, now, 2.0, advance=advance)
        if found is not None:
            assert found == sorted((v - 2.0) ** 2 for v in now.vectors.values())[:3]


def test_an_index_that_is_ahead_of_all_readers_is_given_up() -> None:
    index = Index(2, GraphOptions("l2"))
    history = History()
    for i in range(5):
        history.write(i, float(i))
    restored = History({1: 1.0}, history.log[:1])
    assert nearest(index, history, 0, advance=True) == [0, 1, 4]
    answers = [nearest(index, restored, 0, advance=True) for _ in range(index_module.PATIENCE)]
    assert answers == [None, None, [1]]


def test_old_readers_do_not_throw_the_index_back(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(2, GraphOptions("l2"))
    history = History()
    history.write(0, 0.0)
    nearest(index, history, 0, advance=True)
    old = copy.deepcopy(history)
    monkeypatch.setattr(Index, "load", lambda *_: pytest.fail("loaded again"))
    for i in range(1, 30):
        history.write(i, float(i))
        assert nearest(index, history, 0, advance=True) == [j * j for j in range(min(3, i + 1))]
        assert nearest(index, old, 0, advance=True) == [0]
