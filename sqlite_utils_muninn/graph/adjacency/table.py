"""graph_adjacency: the arrays of an edge table, kept in the file, so that a new process is warm.

The neighbour arrays are blobs in shadow tables; see `following` for how they stay true. Rows that
have changed are put into the arrays when they are read, and written down by 'incremental_rebuild'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Interrupted, Plan, Query, SQLError, WritableTable, quote

from .. import cache
from ..degree import counts_and_sums
from ..edge_table import EdgeTable, Statement, find_table, read, select
from ..work import Work
from . import storage
from .following import Followed, unwatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database

    from ..edge_table import Table
    from ..graph import Graph
    from .rows import Kept

MODULE = "graph_adjacency"
SHADOW = ("config", "nodes", "degree", "csr_fwd", "csr_rev")
TABLES = {
    "config": "key TEXT PRIMARY KEY, value",
    "nodes": "idx INTEGER PRIMARY KEY, id",
    "degree": "idx INTEGER PRIMARY KEY, in_degree, out_degree, weighted_in_degree, "
    "weighted_out_degree",
    "csr_fwd": "piece INTEGER PRIMARY KEY, name TEXT, data BLOB",
    "csr_rev": "piece INTEGER PRIMARY KEY, name TEXT, data BLOB",
    "delta": "edge INTEGER PRIMARY KEY",
}
LAYOUT = 2
"""Of the shadow tables: those of sqlite-muninn have the same names and say none."""

COLUMNS = (
    "node",
    "node_idx",
    "in_degree",
    "out_degree",
    "weighted_in_degree",
    "weighted_out_degree",
)
ARGUMENTS = ("edge_table", "src_col", "dst_col", "weight_col")


class Adjacency(WritableTable):
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
        made._make_tables()
        made._write_all({}, Work(MODULE, db.check))
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
        updated = self._updated(self._config(), work)
        return updated[0].graph() if updated else read(db, statement, work)

    def _config(self) -> dict[str, Any]:
        return dict(self.db.execute(f"SELECT key, value FROM {self.shadow('config')}"))

    def _followed(self) -> Followed:
        return Followed(self.db, MODULE, self._edge_table(), self.edges, self.name)

    def _updated(self, config: dict[str, Any], work: Work) -> tuple[Kept, bool] | None:
        """The arrays with all that has changed since, and whether the nodes kept their numbers.

        None where there is no way but to read the edge table.
        """
        followed = self._followed()
        if config.get("layout") != LAYOUT or not followed.is_watched():
            return None
        try:
            work.need(64 * sum(storage.counts(self.db, self.shadow)), "the graph")
            weighted = self.edges.weight is not None
            kept = storage.load(self.db, self.shadow, config["checksum"], weighted, work)
            return followed.update(kept, work) if kept else None
        except Interrupted:
            raise
        except (KeyError, TypeError, SQLError):  # a damaged file
            return None

    def filter(self, query: Query) -> tuple[Any, ...]:
        """All nodes and their degrees, as they are now."""
        graph = self.load(Work(MODULE, self.db.check))
        numbers = np.arange(graph.nodes)
        ids = graph.ids.take(numbers.tolist())
        return (ids, numbers, *counts_and_sums(graph), [None] * graph.nodes)

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
            self.incremental_rebuild()
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
        if not self._tables_are_ours():
            # SQLite drops no tables while a statement runs that writes one.
            raise SQLError(
                f"{MODULE}: {self.name!r} was made by another program, and only its edge table is "
                "read; DROP it and CREATE it again to keep arrays in the file"
            )
        self._write_all(self._config(), Work(MODULE, self.db.check))

    def _tables_are_ours(self) -> bool:
        """Whether the shadow tables have our columns."""
        sql = "SELECT name FROM pragma_table_info(?, ?)"
        wanted = {"csr_fwd": "data", "csr_rev": "data", "delta": "edge", "nodes": "id"}
        return all(
            (column,) in self.db.execute(sql, (f"{self.name}_{suffix}", self.place))
            for suffix, column in wanted.items()
        )

    def _write_all(self, config: dict[str, Any], work: Work) -> None:
        followed = self._followed()
        kept = followed.read(self.statement(), work)
        followed.watch()
        self._write(kept, config, work)

    def incremental_rebuild(self) -> None:
        """Put what has changed into the arrays and write those."""
        work = Work(MODULE, self.db.check)
        config = self._config()
        updated = self._updated(config, work)
        followed = self._followed()
        if updated is None or not followed.has_rowids_of(updated[0]):
            self.rebuild()
        elif followed.has_changed():
            kept, same_numbers = updated
            had = min(_count(config, "node_count"), len(kept.ids)) if same_numbers else 0
            self._write(kept, config, work, had=had)

    def _write(self, kept: Kept, config: dict[str, Any], work: Work, *, had: int = 0) -> None:
        checksum = storage.save(self.db, self.shadow, kept, work, had=had)
        new = {argument: getattr(self.edges, field) for argument, field in _FIELDS.items()}
        new["generation"] = _count(config, "generation") + 1
        new.update(node_count=len(kept.ids), edge_count=len(kept.source))
        new.update(layout=LAYOUT, checksum=checksum)
        self.db.execute(f"DELETE FROM {self.shadow('delta')}")
        self.db.execute(f"DELETE FROM {self.shadow('config')}")
        for key, value in new.items():
            self.db.execute(f"INSERT INTO {self.shadow('config')} VALUES (?, ?)", (key, value))

    def _make_tables(self) -> None:
        for suffix, columns in TABLES.items():
            self.db.execute(f"CREATE TABLE {self.shadow(suffix)} ({columns})")

    def _drop_tables(self) -> None:
        unwatch(self.db, self.place, self.name)
        for suffix in TABLES:
            self.db.execute(f"DROP TABLE IF EXISTS {self.shadow(suffix)}")

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO: shadow tables and triggers go along."""
        edges = self._edge_table().sql
        unwatch(self.db, self.place, self.name)
        for suffix in TABLES:
            new = quote(f"{new_name}_{suffix}")
            self.db.execute(f"ALTER TABLE {self.shadow(suffix)} RENAME TO {new}")
        self.name = new_name
        self.edges = EdgeTable(edges, self.edges.source, self.edges.target, self.edges.weight)
        self._followed().watch()

    def destroy(self) -> None:
        """DROP TABLE: what belongs to it goes, too."""
        self._drop_tables()


def _count(config: dict[str, Any], key: str) -> int:
    """A number out of the configuration; 0 where there is something else."""
    value = config.get(key)
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


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
