"""graph_adjacency: the arrays of an edge table, kept in the file, so that a new process is warm.

The neighbour arrays are blobs in shadow tables. Triggers on the edge table note every change in
``NAME_delta``; as long as that is empty, the arrays are what the edge table holds. When it is not,
the edge table itself is read, until a 'rebuild'. The triggers are plain SQL and write to a plain
table, so the edge table can be written where this module is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Plan, Query, SQLError, VirtualTable, quote

from . import cache, stored
from .edge_table import EdgeTable, Statement, find_table, read, select
from .work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database

    from .edge_table import Table
    from .graph import Graph

MODULE = "graph_adjacency"
SHADOW = ("config", "nodes", "degree", "csr_fwd", "csr_rev")
TABLES = {
    "config": "key TEXT PRIMARY KEY, value",
    "nodes": "idx INTEGER PRIMARY KEY, id",
    "degree": "idx INTEGER PRIMARY KEY, in_degree, out_degree, weighted_in_degree, "
    "weighted_out_degree",
    "csr_fwd": "piece INTEGER PRIMARY KEY, name TEXT, data BLOB",
    "csr_rev": "piece INTEGER PRIMARY KEY, name TEXT, data BLOB",
    "delta": "seq INTEGER PRIMARY KEY, op TEXT, src, dst, weight",
}
COLUMNS = (
    "node",
    "node_idx",
    "in_degree",
    "out_degree",
    "weighted_in_degree",
    "weighted_out_degree",
)
ARGUMENTS = ("edge_table", "src_col", "dst_col", "weight_col")


class Adjacency(VirtualTable):
    """A graph_adjacency table on one connection."""

    plans = (Plan("scan", order=(("node_idx", "ASC"),), cost=1e5, rows=100_000),)

    def __init__(self, db: Database, schema: str, table: str, edges: EdgeTable) -> None:
        self.db = db
        self.place, self.name, self.edges = schema, table, edges
        self.columns = (*COLUMNS, table)
        self.hidden = (table,)
        self.schema = (
            "CREATE TABLE x(node, node_idx INTEGER, in_degree INTEGER, out_degree INTEGER, "
            f"weighted_in_degree REAL, weighted_out_degree REAL, {quote(table)} HIDDEN)"
        )

    @classmethod
    def create(cls, db: Database, schema: str, table: str, arguments: Sequence[str]) -> Adjacency:
        """CREATE VIRTUAL TABLE: makes the shadow tables and triggers, and reads the edges."""
        made = cls(db, schema, table, _arguments(arguments))
        made._edge_table()  # says what is wrong before anything is made
        for suffix, columns in TABLES.items():
            db.execute(f"CREATE TABLE {made.shadow(suffix)} ({columns})")
        made._make_triggers()
        made.rebuild()
        return made

    @classmethod
    def connect(cls, db: Database, schema: str, table: str, arguments: Sequence[str]) -> Adjacency:
        """The table is there already."""
        return cls(db, schema, table, _arguments(arguments))

    def shadow(self, suffix: str, name: str | None = None) -> str:
        """Quoted name of a shadow table."""
        return f"{quote(self.place)}.{quote(f'{name or self.name}_{suffix}')}"

    # ---- Reading ----

    def statement(self) -> Statement:
        """The SELECT that reads the edges now."""
        edges = self.edges
        return select(self.db, MODULE, edges, self._edge_table())

    def load(self, work: Work) -> Graph:
        """The graph as it is now: from the arrays where nothing has changed since."""
        return cache.load(self.db, self.statement(), work, reader=self._read)

    def _read(self, db: Database, statement: Statement, work: Work) -> Graph:
        kept = None
        if not db.execute(f"SELECT 1 FROM {self.shadow('delta')} LIMIT 1"):
            kept = stored.load(db, self.shadow, statement.weighted, work)
        return kept or read(db, statement, work)

    def filter(self, query: Query) -> tuple[Any, ...]:
        """All nodes and their degrees, as they are now."""
        graph = self.load(Work(MODULE, self.db.check))
        inward = np.bincount(graph.target, minlength=graph.nodes)
        outward = np.bincount(graph.source, minlength=graph.nodes)
        weighted = (inward, outward)
        if graph.weight is not None:
            weighted = (
                np.bincount(graph.target, graph.weight, graph.nodes),
                np.bincount(graph.source, graph.weight, graph.nodes),
            )
        numbers = np.arange(graph.nodes)
        ids = graph.ids.take(numbers.tolist())
        sums = (column.astype(float) for column in weighted)
        nothing = [None] * graph.nodes
        return (ids, numbers, inward, outward, *sums, nothing)

    def _edge_table(self) -> Table:
        """The edge table, which must be one that can have triggers."""
        found = find_table(self.db, MODULE, self._current_name())
        if found.kind != "table" or found.schema != self.place:
            raise ValueError(
                f"{MODULE}: edge_table must be a table (no view, no virtual table) in "
                f"{self.place!r}, where this one is; {self.edges.table!r} is a {found.kind} "
                f"in {found.schema!r}"
            )
        return found

    def _current_name(self) -> str:
        """A renamed table took its triggers along: they know its name."""
        rows = self.db.execute(
            f"SELECT tbl_name FROM {quote(self.place)}.sqlite_master "
            "WHERE type = 'trigger' AND name = ?",
            (f"{self.name}_ai",),
        )
        return f"{quote(self.place)}.{quote(rows[0][0])}" if rows else self.edges.table

    # ---- Writing ----

    def insert(self, rowid: Any, values: Sequence[Any], conflict: str) -> int:
        """Run a command: INSERT INTO g(g) VALUES ('rebuild')."""
        command = values[-1]
        if command == "rebuild":
            self.rebuild()
        elif command == "incremental_rebuild":
            if self.db.execute(f"SELECT 1 FROM {self.shadow('delta')} LIMIT 1"):
                self.rebuild()
        else:
            raise SQLError(
                f"{MODULE}: the command must be 'rebuild' or 'incremental_rebuild', got {command!r}"
            )
        return 0

    def update(self, old_rowid: int, new_rowid: Any, values: Sequence[Any], conflict: str) -> None:
        """Refused."""
        raise SQLError(f"{MODULE}: rows follow {self.edges.table!r}, change that")

    def delete(self, rowid: int) -> None:
        """Refused."""
        raise SQLError(f"{MODULE}: rows follow {self.edges.table!r}, change that")

    def rebuild(self) -> None:
        """Read the edges and write their arrays."""
        work = Work(MODULE, self.db.check)
        graph = read(self.db, self.statement(), work)
        old = dict(self.db.execute(f"SELECT key, value FROM {self.shadow('config')}"))
        generation = int(old.get("generation", 0)) + 1
        for suffix in TABLES:
            self.db.execute(f"DELETE FROM {self.shadow(suffix)}")
        stored.save(self.db, self.shadow, graph, work)
        config = {argument: getattr(self.edges, field) for argument, field in _FIELDS.items()}
        config.update(generation=generation, node_count=graph.nodes, edge_count=graph.edges)
        for key, value in config.items():
            self.db.execute(f"INSERT INTO {self.shadow('config')} VALUES (?, ?)", (key, value))

    def _make_triggers(self) -> None:
        table = self._edge_table()
        statement = self.statement()
        delta = quote(f"{self.name}_delta")

        def note(op: str, row: str) -> str:
            ends = f"{row}.{statement.source}, {row}.{statement.target}"
            weight = f"{row}.{statement.weight}" if statement.weight else "1"
            return f"INSERT INTO {delta} (op, src, dst, weight) VALUES ('{op}', {ends}, {weight});"

        bodies = {
            "ai": ("INSERT", note("+", "new")),
            "ad": ("DELETE", note("-", "old")),
            "au": ("UPDATE", note("-", "old") + note("+", "new")),
        }
        for suffix, (event, body) in bodies.items():
            self.db.execute(
                f"CREATE TRIGGER {self.shadow(suffix)} AFTER {event} ON {quote(table.name)} "
                f"BEGIN {body} END"
            )

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO: shadow tables and triggers go along."""
        edges = self._edge_table().sql
        for suffix in ("ai", "ad", "au"):
            self.db.execute(f"DROP TRIGGER IF EXISTS {self.shadow(suffix)}")
        for suffix in TABLES:
            new = quote(f"{new_name}_{suffix}")
            self.db.execute(f"ALTER TABLE {self.shadow(suffix)} RENAME TO {new}")
        self.name = new_name
        self.edges = EdgeTable(edges, self.edges.source, self.edges.target, self.edges.weight)
        self._make_triggers()

    def destroy(self) -> None:
        """DROP TABLE: what belongs to it goes, too."""
        for suffix in ("ai", "ad", "au"):
            self.db.execute(f"DROP TRIGGER IF EXISTS {self.shadow(suffix)}")
        for suffix in TABLES:
            self.db.execute(f"DROP TABLE IF EXISTS {self.shadow(suffix)}")


_FIELDS = {"edge_table": "table", "src_col": "source", "dst_col": "target", "weight_col": "weight"}


def _arguments(given: Sequence[str]) -> EdgeTable:
    """Read edge_table=..., src_col=..., dst_col=..., weight_col=..."""
    found: dict[str, str] = {}
    for argument in given:
        key, equals, value = argument.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals or key not in ARGUMENTS:
            raise ValueError(
                f"{MODULE}: unknown parameter {argument.strip()!r} ({', '.join(ARGUMENTS)})"
            )
        if value[:1] == "'" and value[-1:] == "'" and len(value) > 1:
            value = value[1:-1].replace("''", "'")
        found[key] = value
    for key in ARGUMENTS[:3]:
        if not found.get(key):
            raise ValueError(f"{MODULE}: {key!r} parameter is required")
    return EdgeTable(
        found["edge_table"], found["src_col"], found["dst_col"], found.get("weight_col")
    )


def find(db: Database, table: Table) -> Adjacency | None:
    """The graph_adjacency table of this name, where it is one."""
    if table.kind != "virtual":
        return None
    rows = db.execute(
        f"SELECT sql FROM {quote(table.schema)}.sqlite_master WHERE name = ?", (table.name,)
    )
    sql = rows[0][0] if rows else ""
    head, _, _rest = sql.partition("(")
    if not head.lower().rstrip().endswith(f"using {MODULE}"):
        return None
    config = f"{quote(table.schema)}.{quote(table.name + '_config')}"
    given = dict(db.execute(f"SELECT key, value FROM {config}"))
    edges = EdgeTable(*(given.get(argument) for argument in ARGUMENTS))  # type: ignore[arg-type]
    return Adjacency(db, table.schema, table.name, edges)
