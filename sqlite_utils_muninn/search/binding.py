"""A declaration held against the file: real names, quoted, of tables that are there.

What the caller may not see does not exist: it is left out without a word. What is not there is a
sentence in `problems`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import quote
from sqlite_utils_muninn.graph import edge_table
from sqlite_utils_muninn.vectors.storage.schema import module_of, vector_tables

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlite_utils_muninn.vectors.storage.schema import VectorTable

    from .declared import EdgeTable, KnowledgeGraph, NodeTable


@dataclass(frozen=True)
class Table(edge_table.Table):
    """A table or view that is there, under its real name."""

    keys: tuple[str, ...]
    affinity: Mapping[str, str]
    """Of each column, by its name in lower case."""

    def column(self, name: str) -> str | None:
        """The real name of a column, quoted; None where there is none.

        It is looked up because SQLite takes a quoted name that is no column for a text.
        """
        for column in self.columns:
            if column.lower() == name.lower():
                return quote(column)
        return self.rowid if name.lower() == "rowid" else None


@dataclass(frozen=True)
class FullText:
    """An FTS5 table whose rowids are those of a node table."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return f"{quote(self.schema)}.{quote(self.name)}"


@dataclass(frozen=True)
class Nodes:
    """A node table: SQL for everything that is read of it."""

    number: int
    table: Table
    id: str
    """The column that edges refer to, quoted."""
    affinity: str
    label: str | None
    aliases: tuple[str, ...]
    text: tuple[str, ...]
    type: str | None
    is_entity: bool
    fts: FullText | None = None
    vectors: VectorTable | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name


@dataclass(frozen=True)
class Edges:
    """An edge table: SQL for everything that is read of it."""

    table: Table
    source: str
    target: str
    type: str | None
    weight: str | None
    timestamp: str | None
    kind: str
    """The type of edges whose row does not say it."""
    source_nodes: int | None
    """The number of the node table that sources lie in; None: any."""
    target_nodes: int | None
    source_affinity: str
    target_affinity: str
    timestamp_affinity: str | None = None


@dataclass
class Bound:
    """A declaration whose names are real."""

    declared: KnowledgeGraph
    nodes: list[Nodes] = field(default_factory=list)
    edges: list[Edges] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def bind(
    conn: Any,
    graph: KnowledgeGraph,
    *,
    schema: str = "main",
    visible: Collection[str] | None = None,
) -> Bound:
    """Look up every table and column that a declaration names.

    `conn` is a connection, a sqlite_utils.Database or the bridge's handle; `visible` are the names
    of the tables that the caller may see.
    """
    return _Binder(conn, graph, schema, visible).bind()


class _Binder:
    def __init__(
        self, conn: Any, graph: KnowledgeGraph, schema: str, visible: Collection[str] | None
    ) -> None:
        self.conn = conn
        self.execute = getattr(conn, "conn", conn).execute
        self.graph = graph
        self.schema = schema
        self.visible = None if visible is None else {name.lower() for name in visible}
        self.bound = Bound(graph)
        self.places: dict[str, int] = {}
        self.hidden: set[str] = set()
        self._vectors: list[VectorTable] | None = None

    def bind(self) -> Bound:
        for node in self.graph.nodes:
            if not self.sees(node.table):
                self.hidden.add(node.table)
                continue
            bound = self.nodes(node)
            if bound is not None:
                self.places[node.table] = bound.number
                self.bound.nodes.append(bound)
        for edge in self.graph.edges:
            ends = {edge.source_table, edge.target_table}
            if self.sees(edge.table) and not ends & self.hidden:
                found = self.edges(edge)
                if found is not None:
                    self.bound.edges.append(found)
        return self.bound

    def sees(self, name: str) -> bool:
        return self.visible is None or name.lower() in self.visible

    def problem(self, text: str) -> None:
        self.bound.problems.append(f"knowledge graph {self.graph.name!r} {text}")

    # ---- Tables ----

    def table(self, name: str) -> Table | None:
        found = find_table(self.execute, self.schema, name)
        if found is None:
            self.problem(f"names the table {name!r}, which is not there")
        return found

    def column(self, table: Table, name: str | None, what: str) -> str | None:
        if name is None:
            return None
        found = table.column(name)
        if found is None:
            self.problem(
                f"names {name!r} as the {what} of {table.name!r}, which has no such column "
                f"({', '.join(table.columns)})"
            )
        return found

    def columns(self, table: Table, names: Sequence[str], what: str) -> tuple[str, ...]:
        found = [self.column(table, name, what) for name in names]
        return tuple(column for column in found if column is not None)

    def nodes(self, node: NodeTable) -> Nodes | None:
        table = self.table(node.table)
        if table is None:
            return None
        name = node.id or (table.keys[0] if len(table.keys) == 1 else "rowid")
        id_ = self.column(table, name, "id")
        if id_ is None:
            return None
        return Nodes(
            len(self.bound.nodes),
            table,
            id_,
            table.affinity.get(name.lower(), "INTEGER"),
            self.column(table, node.label, "label"),
            self.columns(table, node.aliases, "aliases"),
            self.columns(table, node.text, "text"),
            self.column(table, node.type, "type"),
            node.entity,
            self.full_text(node, table),
            self.vectors(node, table),
        )

    def edges(self, edge: EdgeTable) -> Edges | None:
        table = self.table(edge.table)
        if table is None:
            return None
        source = self.column(table, edge.source, "source")
        target = self.column(table, edge.target, "target")
        ends = [end for end in (edge.source_table, edge.target_table) if end is not None]
        if source is None or target is None or any(end not in self.places for end in ends):
            return None
        return Edges(
            table,
            source,
            target,
            self.column(table, edge.type, "type"),
            self.column(table, edge.weight, "weight"),
            self.column(table, edge.timestamp, "timestamp"),
            edge.name or table.name,
            None if edge.source_table is None else self.places[edge.source_table],
            None if edge.target_table is None else self.places[edge.target_table],
            table.affinity.get(edge.source.lower(), "INTEGER"),
            table.affinity.get(edge.target.lower(), "INTEGER"),
            table.affinity.get((edge.timestamp or "").lower()),
        )

    # ---- Full text and vectors ----

    def full_text(self, node: NodeTable, table: Table) -> FullText | None:
        if node.fts is None:
            return None
        found = full_text_tables(self.execute, self.schema).get(node.fts.lower())
        if found is None:
            self.problem(f"names the full-text table {node.fts!r}, which is not there")
            return None
        if found.module != "fts5":
            self.problem(f"names {node.fts!r}, which is {found.module}: only FTS5 can rank")
            return None
        if not self._belongs(found.name, found.content, table, "full-text table"):
            return None
        rows = (table.column(found.content_rowid) or "").strip('"').lower()
        key = table.keys[0].lower() if len(table.keys) == 1 else ""
        if found.content and rows not in ("rowid", "_rowid_", "oid", key):
            self.problem(f"names {node.fts!r}, which numbers rows by {found.content_rowid!r}")
            return None
        return FullText(self.schema, found.name)

    def vectors(self, node: NodeTable, table: Table) -> VectorTable | None:
        if node.vectors is None:
            return None
        if self._vectors is None:
            self._vectors = vector_tables(self.conn, self.schema)
        wanted = node.vectors.lower()
        found = next((t for t in self._vectors if t.name.lower() == wanted), None)
        if found is None:
            self.problem(f"names the vector table {node.vectors!r}, which is not there")
            return None
        if not self._belongs(found.name, found.source, table, "vector table"):
            return None
        return found

    def _belongs(self, name: str, content: str | None, table: Table, what: str) -> bool:
        """Whether an index is made from a node table: another's would show through it."""
        if table.name.lower() in (name.lower(), (content or "").lower()):
            return True
        if content is None and self.sees(name):
            return True
        if self.visible is None:
            self.problem(
                f"names the {what} {name!r} for {table.name!r}; it is made from {content!r}"
            )
        return False


def find_table(execute: Any, schema: str, name: str) -> Table | None:
    """Return a table or view of a schema by its exact name, in any case."""
    rows = list(
        execute(
            "SELECT name, type, wr FROM pragma_table_list(?) WHERE lower(schema) = lower(?)",
            (name, schema),
        )
    )
    if not rows:
        return None
    real, kind, without_rowid = rows[0]
    info = list(
        execute("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?, ?)", (real, schema))
    )
    columns = tuple(row[0] for row in info if row[3] != 1)
    keys = tuple(row[0] for row in sorted(info, key=lambda row: row[2]) if row[2])
    affinity = {row[0].lower(): edge_table.affinity_of(row[1] or "") for row in info}
    has_rowid = kind != "view" and not without_rowid
    return Table(schema, real, kind, has_rowid, columns, keys, affinity)


@dataclass(frozen=True)
class _FullTextTable:
    name: str
    module: str
    content: str | None
    """The table whose texts it indexes; None: they are its own, or not kept."""
    content_rowid: str


_OPTION = (
    r"""[,(]\s*{}\s*=\s*(?:'((?:[^']|'')*)'|"((?:[^"]|"")*)"|\[([^\]]*)\]|`([^`]*)`|([^\s,)'"]+))"""
)


def full_text_tables(execute: Any, schema: str) -> dict[str, _FullTextTable]:
    """Return the FTS tables of a schema by name, in lower case."""
    found = {}
    for name, sql in execute(
        f"SELECT name, sql FROM {quote(schema)}.sqlite_master "
        "WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%fts%'"
    ):
        module = module_of(sql)
        if module in ("fts3", "fts4", "fts5"):
            content = _option(sql, "content")
            rows = _option(sql, "content_rowid") or "rowid"
            found[name.lower()] = _FullTextTable(name, module, content or None, rows)
    return found


def _option(sql: str, name: str) -> str | None:
    match = re.search(_OPTION.format(name), sql, re.IGNORECASE)
    if match is None:
        return None
    return next((part for part in match.groups() if part is not None), "").replace("''", "'")
