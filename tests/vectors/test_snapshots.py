"""Whatever is done, in whatever order, a query answers from its own snapshot.

A state machine does what users do on several connections at once and holds each answer against a
dictionary that does the same.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sqlite_utils_muninn.bridge import quote
from sqlite_utils_muninn.vectors.index import building, index
from sqlite_utils_muninn.vectors.storage import saving, storage
from sqlite_utils_muninn.vectors.tables import lookups, reader

from .conftest import open_connection

if TYPE_CHECKING:
    from collections.abc import Callable

DIMENSIONS = 3
NAMES = ("v", "my vectors", 'odd"name', "log")

ids = st.integers(-3, 40) | st.sampled_from([2**63 - 1, -(2**63)])
numbers = st.floats(-100, 100, width=32, allow_subnormal=False)
common = st.sampled_from([(1.0, 2.0, 3.0), (0.0, 0.0, 0.0), (2.0, 4.0, 6.0)])  # by many rows
vectors = common | st.lists(numbers, min_size=DIMENSIONS, max_size=DIMENSIONS).map(tuple)
rows = st.lists(st.tuples(ids, vectors), min_size=1, max_size=12)
conns = st.sampled_from([0, 0, 0, 1, 1, 2])  # the first one writes most

Vector = tuple[float, ...]
View = dict[int, Vector]


def distance(metric: str, a: Vector, b: Vector) -> float:
    if metric == "l2":
        return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    if metric == "inner_product":
        return -dot
    length = math.hypot(*a) * math.hypot(*b)
    return 1 - dot / length if length else 1.0


def blob(vector: Vector) -> bytes:
    return np.array(vector, dtype="<f4").tobytes()


def is_locked(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 5) & 0xFF in (5, 6) and "Operational" in repr(error)


class User:
    """One connection, and what it must see."""

    def __init__(self, path: Path, opener: Callable[..., Any]) -> None:
        self.path = path
        self.open = opener
        self.conn: Any = None
        self.view: View | None = None  # inside a transaction
        self.writes = False
        self.savepoints: list[View] = []
        self.reopen()

    def reopen(self) -> None:
        if self.conn:
            self.conn.close()
        self.conn = self.open(self.path, timeout=0)
        self.conn.execute("PRAGMA synchronous = OFF")


class Snapshots(RuleBasedStateMachine):
    """Users who write, read, change their minds, rename, vacuum and reopen."""

    column = "vector"
    """What users write."""

    def arguments(self, metric: str) -> str:
        """How the table is made."""
        return f"hnsw_index(dimensions={DIMENSIONS}, metric={metric})"

    def open(self, path: Path, **options: Any) -> Any:
        return open_connection(path, **options)

    def value(self, vector: Vector) -> Any:
        """What is written for a vector."""
        return blob(vector)

    def stored(self, vector: Vector) -> Any:
        """The vector that the row then has."""
        return blob(vector)

    def far(self, vector: Vector, probe: Vector) -> float | None:
        """The distance of a row; None: it cannot be found."""
        return distance(self.metric, vector, probe)

    @initialize(
        metric=st.sampled_from(["l2", "cosine", "inner_product"]),
        journal=st.sampled_from(["wal", "wal", "delete"]),
    )
    def create(self, metric: str, journal: str) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "t.db"
        self.metric = metric
        self.name = "v"
        self.committed: View = {}
        first = self.open(self.path)
        first.execute(f"PRAGMA journal_mode = {journal}")
        first.execute(f"CREATE VIRTUAL TABLE v USING {self.arguments(metric)}")
        first.close()
        self.users = [User(self.path, self.open) for _ in range(3)]

    def teardown(self) -> None:
        if hasattr(self, "users"):
            for user in self.users:
                user.conn.close()
            self.directory.cleanup()

    # ---- Helpers ----

    @property
    def table(self) -> str:
        return quote(self.name)

    def seen_by(self, user: User) -> View:
        return self.committed if user.view is None else user.view

    def attempt(self, user: User, sql: str, parameters: Any = ()) -> str:
        """Run a statement: 'done', 'refused' (a lock is held) or 'failed' (a constraint)."""
        try:
            user.conn.execute(sql, parameters)
        except Exception as error:
            if is_locked(error):
                return "refused"
            if type(error).__name__ == "IntegrityError":
                return "failed"
            raise
        return "done"

    def ask(self, user: User, sql: str, parameters: Any = ()) -> list[Any] | None:
        """Rows of a query; None where a lock keeps it from reading."""
        try:
            return list(user.conn.execute(sql, parameters))
        except Exception as error:
            if is_locked(error):
                return None
            raise

    def write(self, number: int, sql: str, parameters: Any, after: View) -> None:
        """Run a write that must leave `after`, in the user's transaction or by itself."""
        user = self.users[number]
        if user.view is not None and not user.writes:
            return  # a reader's snapshot may be too old to write
        outcome = self.attempt(user, sql, parameters)
        if outcome != "done":
            assert (outcome, user.writes) == ("refused", False)
            return
        if user.writes:
            user.view = after
        else:
            self.committed = after

    def changed(self, number: int, change: View, gone: tuple[int, ...] = ()) -> View:
        view = {**self.seen_by(self.users[number]), **change}
        return {i: v for i, v in view.items() if i not in gone}

    # ---- Writing ----

    @rule(number=conns, rows=rows, conflict=st.sampled_from(["", "OR IGNORE", "OR REPLACE"]))
    def insert(self, number: int, rows: list[tuple[int, Vector]], conflict: str) -> None:
        user = self.users[number]
        view = dict(self.seen_by(user))
        expected = "done"
        for i, vector in rows:
            if i not in view or conflict == "OR REPLACE":
                view[i] = vector
            elif not conflict:
                expected = "failed"
        values = ", ".join("(?, ?)" for _ in rows)
        flat = [x for i, vector in rows for x in (i, self.value(vector))]
        sql = f"INSERT {conflict} INTO {self.table}(rowid, {self.column}) VALUES {values}"
        if expected == "done":
            self.write(number, sql, flat, view)
        elif user.view is None or user.writes:
            assert self.attempt(user, sql, flat) in ("failed", "refused")

    @rule(number=conns, vector=vectors)
    def insert_anywhere(self, number: int, vector: Vector) -> None:
        user = self.users[number]
        if 2**63 - 1 in self.seen_by(user):
            return
        sql = f"INSERT INTO {self.table}({self.column}) VALUES (?)"
        i = max(self.seen_by(user), default=0) + 1
        self.write(number, sql, (self.value(vector),), self.changed(number, {i: vector}))

    @rule(number=conns, i=ids, vector=vectors)
    def update(self, number: int, i: int, vector: Vector) -> None:
        change = {i: vector} if i in self.seen_by(self.users[number]) else {}
        sql = f"UPDATE {self.table} SET {self.column} = ? WHERE rowid = ?"
        self.write(number, sql, (self.value(vector), i), self.changed(number, change))

    @rule(number=conns, old=ids, new=ids)
    def move(self, number: int, old: int, new: int) -> None:
        view = self.seen_by(self.users[number])
        sql = f"UPDATE OR REPLACE {self.table} SET rowid = ? WHERE rowid = ?"
        if old in view and old != new:
            after = self.changed(number, {new: view[old]}, (old,))
            self.write(number, sql, (new, old), after)

    @rule(number=conns, gone=st.lists(ids, min_size=1, max_size=6))
    def delete(self, number: int, gone: list[int]) -> None:
        marks = ", ".join("?" * len(gone))
        sql = f"DELETE FROM {self.table} WHERE rowid IN ({marks})"
        self.write(number, sql, gone, self.changed(number, {}, tuple(gone)))

    @rule(number=conns, command=st.sampled_from(["optimize", "rebuild"]))
    def command(self, number: int, command: str) -> None:
        sql = f"INSERT INTO {self.table}({self.table}) VALUES (?)"
        self.write(number, sql, (command,), self.changed(number, {}))

    @rule(number=conns, name=st.sampled_from(NAMES))
    def rename(self, number: int, name: str) -> None:
        # The name in use must be the committed one, so that all users can go on with it.
        user = self.users[number]
        if user.view is None and name != self.name:
            sql = f"ALTER TABLE {self.table} RENAME TO {quote(name)}"
            in_old_snapshots = any(other.view is not None for other in self.users)
            if not in_old_snapshots and self.attempt(user, sql) == "done":
                self.name = name

    @rule(number=conns, name=st.sampled_from(NAMES))
    def rename_and_regret(self, number: int, name: str) -> None:
        user = self.users[number]
        if user.writes and name != self.name:
            user.conn.execute("SAVEPOINT name")
            user.conn.execute(f"ALTER TABLE {self.table} RENAME TO {quote(name)}")
            user.conn.execute(f"DELETE FROM {quote(name)}")
            assert not user.conn.execute(f"SELECT * FROM {quote(name)}").fetchall()
            probe = blob((1.0,) * DIMENSIONS)
            sql = f"SELECT rowid FROM {quote(name)} WHERE vector MATCH ? AND k = 3"
            assert not user.conn.execute(sql, (probe,)).fetchall()
            user.conn.execute("ROLLBACK TO name")
            user.conn.execute("RELEASE name")

    # ---- Transactions ----

    @rule(number=conns, writes=st.booleans())
    def begin(self, number: int, writes: bool) -> None:
        user = self.users[number]
        if user.view is not None:
            return
        if self.attempt(user, "BEGIN IMMEDIATE" if writes else "BEGIN") == "done":
            if writes or self.attempt(user, f"SELECT 1 FROM {self.table}") == "done":
                user.view, user.writes = dict(self.committed), writes
            else:
                user.conn.execute("ROLLBACK")

    @rule(number=conns)
    def commit(self, number: int) -> None:
        user = self.users[number]
        if user.view is None:
            return
        if self.attempt(user, "COMMIT") == "done":
            self.committed = user.view if user.writes else self.committed
        else:  # a reader in the way, without WAL
            user.conn.execute("ROLLBACK")
        user.view, user.writes, user.savepoints = None, False, []

    @rule(number=conns)
    def rollback(self, number: int) -> None:
        user = self.users[number]
        if user.view is not None:
            user.conn.execute("ROLLBACK")
            user.view, user.writes, user.savepoints = None, False, []

    @rule(number=conns)
    def savepoint(self, number: int) -> None:
        user = self.users[number]
        if user.writes and user.view is not None:
            user.conn.execute(f"SAVEPOINT s{len(user.savepoints)}")
            user.savepoints.append(dict(user.view))

    @rule(number=conns, depth=st.integers(0, 5), again=st.booleans())
    def leave_savepoint(self, number: int, depth: int, again: bool) -> None:
        user = self.users[number]
        if depth < len(user.savepoints):
            if again:
                user.conn.execute(f"ROLLBACK TO s{depth}")
                user.view = dict(user.savepoints[depth])
                user.savepoints = user.savepoints[: depth + 1]
            else:
                user.conn.execute(f"RELEASE s{depth}")
                user.savepoints = user.savepoints[:depth]

    @rule(number=conns)
    def reopen(self, number: int) -> None:
        user = self.users[number]
        user.view, user.writes, user.savepoints = None, False, []
        user.reopen()

    @precondition(lambda self: all(user.view is None for user in self.users))
    @rule(number=conns)
    def vacuum(self, number: int) -> None:
        self.users[number].conn.execute("VACUUM")

    @rule()
    def let_graphs_be_built(self) -> None:
        from sqlite_utils_muninn.vectors.storage import shared

        for built in list(shared._indexes.values()):
            assert building.wait(built, 60)

    # ---- Reading ----

    @rule(number=conns, probe=vectors, k=st.integers(0, 60), among=st.none() | st.lists(ids))
    def search(self, number: int, probe: Vector, k: int, among: list[int] | None) -> None:
        user = self.users[number]
        sql = f"SELECT rowid, distance FROM {self.table} WHERE vector MATCH ? AND k = {k}"
        if among is not None:
            sql += f" AND rowid IN ({', '.join(map(str, among))})"
        self.compare(user, sql, probe, k, among)

    @rule(number=conns, probe=vectors, limit=st.integers(1, 60))
    def search_by_limit(self, number: int, probe: Vector, limit: int) -> None:
        user = self.users[number]
        sql = f"SELECT rowid, distance FROM {self.table} WHERE vector MATCH ? "
        self.compare(user, sql + f"ORDER BY distance LIMIT {limit}", probe, limit, None)

    @rule(number=conns, probe=vectors, among=st.sets(ids), again=st.booleans())
    def join(self, number: int, probe: Vector, among: set[int], again: bool) -> None:
        """Distances are asked for one by one, of the same probe as before or another."""
        user = self.users[number]
        sql = (
            f"SELECT v.rowid, v.distance FROM json_each('{sorted(among)}') j CROSS JOIN "
            f"{self.table} v ON v.rowid = j.value WHERE v.vector MATCH ? ORDER BY v.distance"
        )
        probe = (2.0,) * DIMENSIONS if again else probe
        self.compare(user, sql, probe, len(among), list(among))

    def compare(self, user: User, sql: str, probe: Vector, k: int, among: list[int] | None) -> None:
        found = self.ask(user, sql, (blob(probe),))
        if found is None:
            return
        view = self.seen_by(user)
        ids = view.keys() if among is None else view.keys() & set(among)
        every = {i: self.far(view[i], probe) for i in ids}
        expected = {i: far for i, far in every.items() if far is not None}
        for i, far in found:
            assert far == pytest.approx(expected[i], rel=1e-9, abs=1e-9)
        assert len({i for i, _ in found}) == len(found)
        distances = [far for _, far in found]
        assert distances == sorted(distances)
        best = sorted(expected.values())[:k]
        assert distances == pytest.approx(best, rel=1e-9, abs=1e-9)

    @invariant()
    def rows_are_as_written(self) -> None:
        for user in getattr(self, "users", []):
            view = self.seen_by(user)
            found = self.ask(user, f"SELECT rowid, vector FROM {self.table}")
            if found is not None:
                assert found == [(i, self.stored(view[i])) for i in sorted(view)]
                assert self.ask(user, f"SELECT count(*) FROM {self.table}") == [(len(view),)]

    @invariant()
    def searches_agree(self) -> None:
        for user in getattr(self, "users", []):
            sql = f"SELECT rowid, distance FROM {self.table} WHERE vector MATCH ? AND k = 5"
            self.compare(user, sql, (1.0,) * DIMENSIONS, 5, None)

    @rule(number=conns)
    def check(self, number: int) -> None:
        self.write(
            number,
            f"INSERT INTO {self.table}({self.table}) VALUES ('integrity-check')",
            (),
            self.changed(number, {}),
        )


@pytest.fixture(params=["small", "usual"])
def limits(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits lead a table of 40 rows through every path that a large one takes."""
    if request.param == "small":
        for module, name, value in (
            (index, "SCANNED_FLOATS", 30),
            (index, "REMEMBERED", 12),
            (index, "FOLLOWED", 6),
            (saving, "CHANGES", 5),
            (storage, "LOG_KEPT", 10),
            (storage, "PRUNED_EVERY", 4),
            (storage, "BLOCK", 1),
            (reader, "FIRST_BATCHES", (3, 8)),
            (reader, "BATCH", 4),
            (reader, "REREAD", 5),
            (reader, "PICKED", 3),
            (lookups, "FEW", 2),
            (lookups, "SHARE", 10),
        ):
            monkeypatch.setattr(module, name, value)


def run(examples: int, steps: int, machine: type[RuleBasedStateMachine] = Snapshots) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_query_answers_from_its_own_snapshot(limits: None) -> None:
    run(examples=25, steps=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_query_answers_from_its_own_snapshot_for_long(limits: None) -> None:
    run(examples=150, steps=200)
