"""Edge tables: any table or view with a column for each end of an edge, read into arrays."""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary, quote, split_table

from .graph import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database

    from .work import Work


@dataclass(frozen=True)
class EdgeTable:
    """What a call says about its edges: names as the user writes them."""

    table: str
    source: str
    target: str
    weight: str | None = None
    timestamp: str | None = None
    time_start: Any = None
    time_end: Any = None
    type_column: str | None = None
    types: str | None = None


@dataclass(frozen=True)
class Table:
    """A table or view that is there, under its real name."""

    schema: str
    name: str
    kind: str
    has_rowid: bool
    columns: tuple[str, ...]

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def rowid(self) -> str | None:
        """A name for the rowid that no column has taken."""
        taken = {column.lower() for column in self.columns}
        free = [name for name in ("rowid", "_rowid_", "oid") if name not in taken]
        return free[0] if self.has_rowid and free else None


class Reads(Protocol):
    """A SELECT and its parameters."""

    @property
    def sql(self) -> str:
        """The text."""

    @property
    def parameters(self) -> tuple[Any, ...]:
        """What is bound."""


@dataclass(frozen=True)
class Statement:
    """The SELECT that reads the edges; the same text and values read the same edges.

    ``with_nulls`` also gives rows with a NULL end, and is a fifth faster where there are none.
    """

    sql: str
    with_nulls: str
    parameters: tuple[Any, ...]
    weighted: bool
    source: str
    target: str
    weight: str | None


def find_table(db: Database, caller: str, name: str) -> Table:
    """Find a table by name, ``schema.name`` or quoted. Raises ValueError naming the nearest."""
    for schema, table in _readings(name):
        rows = db.execute("SELECT schema, name, type, wr FROM pragma_table_list(?)", (table,))
        order = {row[1]: row[0] for row in db.execute("PRAGMA database_list")}
        rows = [row for row in rows if schema is None or row[0].lower() == schema.lower()]
        # SQLite's own order: temp, main, then as attached.
        rows.sort(key=lambda row: -1 if row[0] == "temp" else order.get(row[0], 0))
        if rows:
            found, real, kind, without_rowid = rows[0]
            columns = db.execute("SELECT name FROM pragma_table_xinfo(?, ?)", (real, found))
            has_rowid = kind in ("table", "shadow") and not without_rowid
            return Table(found, real, kind, has_rowid, tuple(row[0] for row in columns))
    names = db.execute("SELECT name FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'")
    raise ValueError(
        f"{caller}: no table or view is called {name!r}{_nearest(name, [n for (n,) in names])}"
    )


def _readings(name: str) -> list[tuple[str | None, str]]:
    """What a name may mean: as it is written, or with its quotes and its schema taken off."""
    try:
        schema, table = split_table(name)
    except ValueError:
        return [(None, name)]
    return (
        [(schema, table)] if schema is None and table == name else [(None, name), (schema, table)]
    )


def find_column(caller: str, argument: str, table: Table, name: str) -> str:
    """The real name of a column, quoted for SQL.

    It is looked up because SQLite takes a quoted name that is no column for a text.
    """
    for wanted in [name, *(table_part for _, table_part in _readings(name))]:
        for column in table.columns:
            if column.lower() == wanted.lower():
                return quote(column)
    raise ValueError(
        f"{caller}: argument {argument!r} must be a column of {table.name!r} "
        f"({', '.join(table.columns)}), got {name!r}"
    )


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def select(db: Database, caller: str, edges: EdgeTable, table: Table | None = None) -> Statement:
    """Compose the SELECT that reads the edges. Raises ValueError for names that are not there."""
    table = table or find_table(db, caller, edges.table)
    source = find_column(caller, "src_col", table, edges.source)
    target = find_column(caller, "dst_col", table, edges.target)
    columns = [source, target]
    weight = None
    if edges.weight is not None:
        weight = find_column(caller, "weight_col", table, edges.weight)
        columns.append(weight)
    # A plus keeps SQLite from using an index: rows are wanted in the order of their rowid.
    conditions = [f"+{source} IS NOT NULL", f"+{target} IS NOT NULL"]
    more, parameters = _filters(caller, table, edges)
    order = f" ORDER BY {table.rowid}" if table.rowid else ""
    head = f"SELECT {', '.join(columns)} FROM {table.sql}"
    sql = f"{head} WHERE {' AND '.join(conditions + more)}{order}"
    with_nulls = head + (f" WHERE {' AND '.join(more)}" if more else "") + order
    return Statement(sql, with_nulls, tuple(parameters), weight is not None, source, target, weight)


def _filters(caller: str, table: Table, edges: EdgeTable) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    parameters: list[Any] = []
    bounds = ((">=", "time_start", edges.time_start), ("<=", "time_end", edges.time_end))
    for sign, argument, bound in bounds:
        if bound is not None:
            if edges.timestamp is None:
                raise ValueError(f"{caller}: argument {argument!r} needs 'timestamp_col'")
            column = find_column(caller, "timestamp_col", table, edges.timestamp)
            conditions.append(f"{column} {sign} ?")
            parameters.append(bound)
    if edges.timestamp is not None:
        find_column(caller, "timestamp_col", table, edges.timestamp)
    if edges.types is not None:
        if edges.type_column is None:
            raise ValueError(f"{caller}: argument 'edge_types' needs 'edge_type_col'")
        column = find_column(caller, "edge_type_col", table, edges.type_column)
        types = [part.strip() for part in edges.types.split(",")]
        conditions.append(f"{column} IN ({', '.join('?' * len(types))})")
        parameters.extend(types)
    return conditions, parameters


def read(db: Database, statement: Statement, work: Work) -> Graph:
    """Read the edges that a statement selects.

    Raises OverLimit over the limit, ValueError for a weight that is no finite number.
    """
    graph = None
    with contextlib.suppress(TypeError):  # a weight that is none, maybe of a row that is left out
        graph = _read(db, statement.with_nulls, statement, work)
    if graph is None or (graph.edges and min(graph.source.min(), graph.target.min()) < 0):
        try:
            graph = _read(db, statement.sql, statement, work)
        except TypeError:
            raise _bad_weight(db, statement, work.caller) from None
    if graph.weight is not None and not np.isfinite(graph.weight).all():
        raise _bad_weight(db, statement, work.caller)
    return graph


def _read(db: Database, sql: str, statement: Statement, work: Work) -> Graph:
    """Read edges by one of the two texts; a NULL end is -1."""
    ids = Dictionary()
    kinds = ("code", "code", "real")[: 3 if statement.weighted else 2]
    with work.reading("the edge table"):
        columns = db.columns(
            sql, statement.parameters, kinds, dictionary=ids, limit=work.memory or 0
        )
    return Graph(ids, columns[0], columns[1], columns[2] if statement.weighted else None)


def _bad_weight(db: Database, statement: Statement, caller: str) -> ValueError:
    from sqlite_utils_muninn.bridge.declare import describe

    weight = statement.weight
    bad = f"(typeof({weight}) NOT IN ('integer', 'real') OR abs({weight}) > 1e308)"
    head, _, order = statement.sql.partition(" ORDER BY ")
    sql = f"{head} AND {bad}" + (f" ORDER BY {order}" if order else "") + " LIMIT 1"
    source, target, given = db.execute(sql, statement.parameters)[0]
    return ValueError(
        f"{caller}: the weight of an edge must be a finite number, "
        f"got {describe(given)} from {source!r} to {target!r}"
    )


def check_not_negative(graph: Graph, caller: str) -> None:
    """Raise ValueError where a weight is negative: shortest paths are not defined then."""
    if graph.weight is None or not len(graph.weight) or graph.weight.min() >= 0:
        return
    row = int(np.argmax(graph.weight < 0))
    source, target = graph.ids.take([graph.source[row], graph.target[row]])
    raise ValueError(
        f"{caller}: the weight of an edge must not be negative, "
        f"got {graph.weight[row]:g} from {source!r} to {target!r}"
    )


def databases_read(db: Database, statement: Reads) -> frozenset[int] | None:
    """Return which databases a statement reads, as `PRAGMA database_list` numbers them.

    None where the same files may give other edges: where a view asks the clock, chance, or a
    virtual table, which may stand for anything.
    """
    found = set()
    for row in db.execute("EXPLAIN " + statement.sql, statement.parameters):
        opcode, what = row[1], str(row[5])
        if opcode == "VOpen":
            return None
        if opcode in ("Function", "PureFunc") and what.partition("(")[0] not in PURE:
            return None
        if opcode == "Transaction":
            found.add(int(row[2]))
    return frozenset(found)


_PURE = """
abs char coalesce concat concat_ws format glob hex if ifnull iif instr json_array_length
json_extract json_quote json_type json_valid length like likelihood likely lower ltrim max min
nullif octet_length printf quote replace round rtrim sign substr substring trim typeof unhex
unicode unlikely upper -> ->>
"""
PURE = frozenset(_PURE.split())
"""SQLite's functions of their arguments alone."""


def affinity_of(declared: str) -> str:
    """What a column of a declared type makes of values (SQLite's documentation, Datatypes, 3.1)."""
    kind = declared.upper()
    for words, affinity in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(word in kind for word in words):
            return affinity
    return "NUMERIC" if kind else "BLOB"
