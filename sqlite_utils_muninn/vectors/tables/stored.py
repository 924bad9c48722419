"""What hnsw_index and hnsw_text tables have in common: rows, plans, transactions, names."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import NOCHANGE, Database, Plan, Query, Rows, SQLError, quote
from ..blob import Ids, Matrix, Packed, vector
from ..storage import saving
from ..storage.shared import Transaction, forget, transactions
from ..storage.storage import Storage
from .lookups import Lookups
from .mendable import MendableTable, in_plain_words
from .reader import Answer, Ranked, Reader
from .request import BOUNDS, condition, request, rowids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..index.engine import Search
    from ..options import Column, GraphOptions

SCANNED = 256  # rows of a full scan read at a time
# What a join without k costs, in SQLite's unit, a row looked at: the distances of 500 rows take as
# long as to go through the nearest until 10 of those 500 have come (100,000 rows of 384).
STREAM, STREAMED, LOOKUP = 20_000.0, 1_000, 40.0
# Without ANALYZE, SQLite takes every index for one that leaves ten rows, be it half of all. Then
# the stream is better, which is slow at worst where one row qualifies; not where it is sure of one.
LOOKUP_UNSURE = 4_500.0


class StoredTable(MendableTable):
    """A vector table on one connection. Subclasses say what a row is."""

    metadata: tuple[Column, ...] = ()
    can_look_up = True
    """Whether a row is found wherever it has a vector: a join may ask for it by its rowid."""

    def __init__(
        self, db: Database, schema: str, table: str, dimensions: int | None, options: GraphOptions
    ) -> None:
        self.db = db
        self.options = options
        self.storage = Storage(db, schema, table, self.owner, dimensions)
        self.reader = Reader(self.storage, options)
        self.lookups = Lookups(self.reader)

    def declare(
        self, columns: Sequence[tuple[str, str]], hidden: Sequence[tuple[str, str]]
    ) -> None:
        """Set the columns that SQLite sees; the last one is for commands and named as the table."""
        taken = {name.casefold() for name, _ in (*columns, *hidden)}
        command = self.storage.table
        # A table named like one of its columns can be had, but has no commands.
        commands = [] if command.casefold() in taken else [(command, "TEXT")]
        behind = [*hidden, *commands]
        self.columns = [name for name, _ in (*columns, *behind)]
        self.places = {name: place for place, name in enumerate(self.columns)}
        self.hidden = [name for name, _ in behind]
        self.command_column = len(self.columns) - 1 if commands else None
        declared = [f"{quote(name)} {kind}" for name, kind in columns]
        declared += [f"{quote(name)} {kind} HIDDEN" for name, kind in behind]
        self.schema = f"CREATE TABLE x({', '.join(declared)})"

    def plans_for(self, searched: Sequence[str], more: Sequence[str] = ()) -> list[Plan]:
        """The plans of a table: a search on any of some columns, rows by rowid, all rows."""
        by_id = (("rowid", "ASC"),)
        lookup = LOOKUP if self.storage.is_analyzed else LOOKUP_UNSURE
        return [
            *(plan for column in searched for plan in _searches(column, more, lookup)),
            Plan("rowids", ("rowid in",), order=by_id, cost=20.0, rows=10),
            Plan("rowid", ("rowid =",), order=by_id, cost=5.0, rows=1, unique=True),
            Plan("all", order=by_id, cost=1e6, rows=100_000),
        ]

    # ---- Reading ----

    @in_plain_words
    def filter(self, query: Query) -> Rows | Iterator[Rows]:
        """Answer a statement."""
        self.storage.check_origin()
        if query.plan.endswith(" match"):
            if "rowid =" in query.constraints and "k =" not in query.constraints:
                return self._look_up(query)
            if self.lookups.given:
                self.lookups.forget()
            return self._search(query, self.probe(query))
        if query.plan == "rowid":
            return self._listed(rowids([query.constraints["rowid ="]]), query)
        if query.plan == "rowids":
            return self._listed(rowids(query.constraints["rowid in"]), query)
        return self._all(query)

    def _look_up(self, query: Query) -> Rows | Iterator[Rows]:
        """One row with its distance, of the many that a join may ask for."""
        wanted = self.asked(query)
        probe = self.lookups.probe(wanted)
        if probe is None:
            probe = self.probe(query)
            if probe is None:
                return iter(())
            self.lookups.begin(wanted, probe)
        id_ = query.constraints["rowid ="]
        if not self.can_look_up or len(query.constraints) > 2 or not isinstance(id_, int):
            return self._search(query, probe)
        known = self.lookups.everything()
        if known is None:
            return self.rows(*self.reader.among(probe, np.array([id_], np.int64)), query)
        return self._kept(*known, query)

    def _kept(self, ids: Ids, distances: Any, query: Query) -> Rows:
        """All rows, of which this query asks for one: those that the join asks for next, too."""
        columns: list[Any] = [None] * len(self.columns)
        for place, name in enumerate(self.columns):
            if name not in ("k", "ef_search") and place != self.command_column:
                columns[place] = partial(self._value, name, query)
        columns[self.places["distance"]] = distances
        return Rows(columns, ids, kept_for=self.storage.schema)

    def _value(self, name: str, query: Query, id_: int) -> Any:
        """One column of a row that was looked up."""
        ids = np.array([id_], np.int64)
        if name == "vector":
            return self.blobs(ids)[0]
        return self.values(ids, query)[name][0]

    def asked(self, query: Query) -> tuple[object, ...]:
        """What the vector that is searched for depends on."""
        return query.plan, query.constraints[query.plan]

    def _search(self, query: Query, probe: Packed | None) -> Rows | Iterator[Rows]:
        search = request(query, self.owner, probe or b"")
        if probe is None or search.is_empty:
            return iter(())
        answer = self.answers(search, query)
        if isinstance(answer, tuple):
            return self.rows(*_near_enough(answer, search.within), query)
        return self._streamed(answer, search.within, query)

    def _streamed(self, answer: Iterator[Ranked], within: float, query: Query) -> Iterator[Rows]:
        for ranked in answer:
            ids, distances = _near_enough(ranked, within)
            if len(ids):
                yield self.rows(ids, distances, query)
            if len(ids) < len(ranked[0]):
                return

    def answers(self, search: Search, query: Query) -> Answer:
        """Ranked rows."""
        search = self.narrowed(search, query)
        if search.most is None and search.ids is None and not search.is_bounded:
            return self.reader.stream(search.query)
        return self.reader.find(search)

    def narrowed(self, search: Search, query: Query) -> Search:
        """A search among the rows that conditions on metadata columns leave."""
        where = condition(query, self.metadata) if self.metadata else None
        if where is None:
            return search
        ids = self.storage.ids(*where)
        return search._replace(ids=ids if search.ids is None else ids[np.isin(ids, search.ids)])

    def probe(self, query: Query) -> Packed | None:
        """The vector that a query searches for; None for MATCH NULL."""
        value = query.constraints["vector match"]
        return None if value is None else vector(value, self.storage.dimensions, self.owner)

    def vector(self, value: object) -> Packed:
        """Check a vector that was given."""
        return vector(value, self.storage.dimensions, self.owner)

    def _listed(self, ids: Ids, query: Query) -> Iterator[Rows]:
        for start in range(0, len(ids), SCANNED):
            present = self.present(ids[start : start + SCANNED])
            if len(present):
                yield self.rows(present, None, query)

    def present(self, ids: Ids) -> Ids:
        """Those of some ids that have a row, in order."""
        there = self.storage.rows(ids, ())
        return np.array([i for i in ids.tolist() if i in there], dtype=np.int64)

    def _all(self, query: Query) -> Iterator[Rows]:
        ids = self.storage.ids(count=SCANNED)
        while len(ids):
            yield self.rows(ids, None, query)
            ids = self.storage.ids("id > ?", (int(ids[-1]),), SCANNED)

    def rows(self, ids: Ids, distances: Any, query: Query) -> Rows:
        """All columns of some rows."""
        columns: list[Any] = [None] * len(self.columns)
        places, given = self.places, query.constraints
        if distances is not None:
            columns[places["distance"]] = distances
        for name in ("k", "ef_search"):
            value = given.get(f"{name} =")
            columns[places[name]] = int(value) if isinstance(value, str) else value
        if self.reads(query, "vector"):
            # SQLite counts a column as read that only MATCH names: it is made when asked for.
            columns[places["vector"]] = self.reader.take(ids) or partial(self.blobs, ids)
        for name, values in self.values(ids, query).items():
            columns[places[name]] = values
        self.reader.forget()
        return Rows(columns, ids)

    def values(self, ids: Ids, query: Query) -> dict[str, list[Any]]:
        """The values of further columns, those that the query reads."""
        raise NotImplementedError

    def reads(self, query: Query, column: str) -> bool:
        """Whether a query reads a column (SQLite counts those from the 64th on together)."""
        return bool(query.used >> min(self.places[column], 63) & 1)

    @in_plain_words
    def blobs(self, ids: Ids) -> list[bytes | None]:
        """The stored vectors of some rows."""
        return _in_order(ids, *self.storage.read(ids))

    # ---- Writing ----

    @in_plain_words
    def insert(self, rowid: Any, values: Sequence[Any], conflict: str) -> int:
        """INSERT: a row, or a command in the column that is named as the table."""
        command = values[self.command_column] if self.command_column is not None else None
        if command is not None:
            self.run_command(command)
            last: int = self.db.last_insert_rowid
            return last
        id_ = None if rowid is None else _as_rowid(rowid)
        self.refuse_computed(values)
        is_there = id_ is not None and self.storage.has(id_)
        if is_there and conflict != "replace":
            raise self.storage.duplicate()
        row = self.new_row(id_, values)
        if is_there and id_ is not None:
            self.replace_row(id_, row)
            return id_
        return self.insert_row(id_, row)

    @in_plain_words
    def update(self, old_rowid: int, new_rowid: Any, values: Sequence[Any], conflict: str) -> None:
        """UPDATE, of the rowid too."""
        kept = self.db.last_insert_rowid
        new_rowid = _as_rowid(new_rowid)
        self.refuse_computed(values)
        if new_rowid != old_rowid:
            values = self.complete(old_rowid, values)
        row = self.new_row(new_rowid, values)
        if new_rowid == old_rowid:
            self.replace_row(old_rowid, row)
        else:
            self._move(old_rowid, new_rowid, row, conflict)
        self.db.last_insert_rowid = kept

    def _move(self, old: int, new: int, row: Any, conflict: str) -> None:
        if self.storage.has(new):
            if conflict != "replace":
                raise self.storage.duplicate()
            self.delete_row(new)
        self.delete_row(old)
        self.insert_row(new, row)

    @in_plain_words
    def delete(self, rowid: int) -> None:
        """DELETE."""
        kept = self.db.last_insert_rowid
        self.delete_row(rowid)
        self.db.last_insert_rowid = kept

    def refuse_computed(self, values: Sequence[Any]) -> None:
        """Raise where a column is given that only a search computes."""
        for name in ("distance", "k", "ef_search"):
            if values[self.columns.index(name)] not in (None, NOCHANGE):
                raise ValueError(f"{self.owner}: column '{name}' cannot be written")

    def new_row(self, rowid: int | None, values: Sequence[Any]) -> Any:
        """Check and work out all that a write needs, before anything is written."""
        raise NotImplementedError

    def complete(self, rowid: int, values: Sequence[Any]) -> list[Any]:
        """Replace NOCHANGE by what the row has."""
        raise NotImplementedError

    def insert_row(self, rowid: int | None, row: Any) -> int:
        """Write a new row."""
        raise NotImplementedError

    def replace_row(self, rowid: int, row: Any) -> None:
        """Write a row that is there."""
        raise NotImplementedError

    def delete_row(self, rowid: int) -> None:
        """Remove a row."""
        self.storage.delete(rowid)

    # ---- Transactions ----

    def _key(self) -> tuple[str, str] | None:
        try:
            return (self.storage.schema, self.storage.id)
        except SQLError:  # damaged: whatever is asked next says so
            return None

    def begin(self) -> None:
        """The first write of a transaction, before it is done."""
        self.storage.check_origin()
        key = self._key()
        if key:
            transactions(self.db).setdefault(key, Transaction(wrote=False))
            saving.catch_up(self.storage)

    @in_plain_words
    def sync(self) -> None:
        """The transaction is about to be committed."""
        if self._key():
            saving.keep_up(self.storage)

    def commit(self) -> None:
        """The transaction is over."""
        self._end()

    def rollback(self) -> None:
        """The transaction is over."""
        self._end()

    def _end(self) -> None:
        # Only what is remembered: after a rolled-back CREATE the tables are gone.
        if self.storage.known_id:
            transactions(self.db).pop((self.storage.schema, self.storage.known_id), None)

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO."""
        self.storage.check_origin()
        self.storage.rename(new_name, self.parts.suffixes)

    def destroy(self) -> None:
        """DROP TABLE."""
        key = self._key()
        if key:
            forget(self.db, key)
        self.storage.drop(self.parts.suffixes)


def _searches(column: str, more: Sequence[str], lookup: float) -> list[Plan]:
    """The plans of a search: the first that fits is taken.

    `rowid = 5`, which is what SQLite makes of `rowid IN (5)`, and conditions on metadata narrow a
    search before its k rows are counted. A join can offer the same conditions with a value from
    each row of the other table; then k rows would be found for each. So such a plan looks costly:
    where SQLite may choose, it searches first and joins what was found.

    Without k every row is found, in whichever order of tables, and the distance of one row costs
    little. Where a join is known to want few rows (a unique column, an index, ANALYZE), SQLite
    begins with the other table; else with the nearest rows, of which LIMIT may want few.
    """
    uses = ("k =", "ef_search =", *BOUNDS)
    order = (("distance", "ASC"), ("rowid", "ASC"))
    lists = [use for use in ("rowid in", *more) if use.endswith(" in")]
    others = [use for use in ("rowid =", *more) if not use.endswith(" in")]

    def plan(*narrowed: str, cost: float, rows: int) -> Plan:
        more_uses = (use for use in ("rowid in", *more) if narrowed and use not in narrowed)
        name = f"{column} match"
        return Plan(name, (name, *narrowed), (*uses, *more_uses), order, cost=cost, rows=rows)

    return [
        *(plan(narrowed, cost=50.0, rows=10) for narrowed in lists),
        plan("k =", "rowid =", cost=1e12, rows=10),
        plan("rowid =", cost=lookup, rows=1),
        *(plan(narrowed, cost=1e12, rows=10) for narrowed in others[1:]),
        plan("k =", cost=50.0, rows=10),
        plan(cost=STREAM, rows=STREAMED),
    ]


def _near_enough(ranked: Ranked, within: float) -> Ranked:
    """The rows up to a distance."""
    if within == math.inf:
        return ranked
    ids, distances = ranked
    near = int(np.searchsorted(distances, within, side="right"))
    return ranked if near == len(ids) else (ids[:near], distances[:near])


def _in_order(ids: Ids, found: Ids, matrix: Matrix) -> list[bytes | None]:
    blobs = {id_: row.tobytes() for id_, row in zip(found.tolist(), matrix, strict=True)}
    return [blobs.get(id_) for id_ in ids.tolist()]


def _as_rowid(value: object) -> int:
    if isinstance(value, int):  # the rule; looking at it as at a list takes 30 us
        return value
    ids = rowids([value])
    if not len(ids):
        raise SQLError("datatype mismatch", 20)
    return int(ids[0])
