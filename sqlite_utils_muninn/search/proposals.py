"""A declaration proposed from what a file has: foreign keys, full-text and vector tables, names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.graph.edge_columns import SOURCES, TARGETS
from sqlite_utils_muninn.vectors.storage.schema import vector_tables

from .binding import find_table, full_text_tables
from .declared import MOST_TABLES, EdgeTable, KnowledgeGraph, NodeTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlite_utils_muninn.vectors.storage.schema import VectorTable

    from .binding import Table

NAME = "knowledge"

LABELS = ("name", "title", "label", "heading", "headline", "subject", "term", "caption")
ALIASES = ("aliases", "alias", "synonyms", "also_known_as", "aka", "other_names")
NODE_TYPES = ("type", "kind", "category", "class", "entity_type")
EDGE_TYPES = (
    *("type", "rel", "relation", "relationship", "rel_type", "relation_type", "edge_type"),
    *("relationship_type", "predicate", "kind", "label"),
)
WEIGHTS = ("weight", "strength", "confidence")
TIMES = ("timestamp", "time", "date", "datetime", "created", "created_at", "valid_from")


@dataclass(frozen=True)
class _Key:
    """A foreign key of one column."""

    column: str
    table: str
    to: str | None


@dataclass
class _Found:
    """A table, and what else the file has about it."""

    table: Table
    keys: list[_Key]
    fts: str | None = None
    vectors: str | None = None
    indexed: tuple[str, ...] = ()
    """The columns that those are made from."""
    ends: tuple[str, str] | None = None

    @property
    def is_indexed(self) -> bool:
        return self.fts is not None or self.vectors is not None

    @property
    def is_edges(self) -> bool:
        return self.ends is not None


def propose(
    conn: Any,
    name: str = NAME,
    *,
    schema: str = "main",
    visible: Collection[str] | None = None,
) -> KnowledgeGraph:
    """Return the graph that a file seems to hold. Nothing is written.

    Tables with a foreign key at each end, or columns named like source and target, are edges;
    those that edges refer to, those with full-text or vector tables, and those that these refer
    to, are nodes; a foreign key from one node table to another is an edge, too. Raises ValueError
    where no table has texts.
    """
    tables = _tables(conn, schema, visible)
    edges = {key: found for key, found in tables.items() if found.is_edges}
    nodes = _node_tables(tables, edges)
    if not nodes:
        raise ValueError("there is no table with texts to search")
    chosen = list(nodes.values())[:MOST_TABLES]
    ids = _ids(chosen, [*edges.values(), *chosen])
    declared = [_node(found, ids, nodes, edges) for found in chosen]
    proposed = [_edge(found, nodes) for found in edges.values()]
    proposed += [edge for found in chosen for edge in _references(found, nodes, ids)]
    return KnowledgeGraph(name, tuple(declared), tuple(proposed[: MOST_TABLES - len(declared)]))


def _tables(conn: Any, schema: str, visible: Collection[str] | None) -> dict[str, _Found]:
    execute = getattr(conn, "conn", conn).execute
    seen = None if visible is None else {name.lower() for name in visible}
    names = execute(
        "SELECT name FROM pragma_table_list WHERE lower(schema) = lower(?) "
        "AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
        "AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name",
        (schema,),
    )
    full_texts = full_text_tables(execute, schema)
    vectors = vector_tables(conn, schema)
    found = {}
    for (name,) in list(names):
        table = find_table(execute, schema, name)
        if table is None or (seen is not None and name.lower() not in seen):
            continue
        one = _Found(table, _keys(execute, schema, name))
        one.fts = _fts_over(name, full_texts)
        over = _vectors_over(name, vectors)
        one.vectors = over.name if over else None
        searched = find_table(execute, schema, one.fts) if one.fts else None
        one.indexed = (*(searched.columns if searched else ()), *(over.columns if over else ()))
        one.ends = None if table.kind == "virtual" else _ends(one)
        if table.kind == "table" or (one.is_indexed and name in (one.fts, one.vectors)):
            found[name.lower()] = one
    return found


def _keys(execute: Any, schema: str, name: str) -> list[_Key]:
    rows = list(
        execute(
            'SELECT id, "from", "table", "to" FROM pragma_foreign_key_list(?, ?) ORDER BY id, seq',
            (name, schema),
        )
    )
    numbers = [row[0] for row in rows]
    # SQLite gives them last first.
    return [_Key(*row[1:]) for row in reversed(rows) if numbers.count(row[0]) == 1]


def _fts_over(name: str, full_texts: dict[str, Any]) -> str | None:
    over = [
        t.name
        for t in full_texts.values()
        if t.module == "fts5" and (t.content or t.name).lower() == name.lower()
    ]
    return over[0] if over else None


def _vectors_over(name: str, vectors: Sequence[VectorTable]) -> VectorTable | None:
    over = [t for t in vectors if t.source and t.source.lower() == name.lower()]
    own = [t for t in vectors if t.kind == "hnsw_text" and not t.source and t.name == name]
    found = over or own
    return found[0] if found else None


def _ends(found: _Found) -> tuple[str, str] | None:
    """The columns of an edge's ends, where a table is one of edges."""
    lower = {column.lower(): column for column in found.table.columns}
    for source, target in zip(SOURCES, TARGETS, strict=True):
        if len(source) > 1 and source in lower and target in lower:
            return lower[source], lower[target]
    if len(found.keys) == 2 and not found.is_indexed:
        first, second = sorted(found.keys, key=lambda key: _place(found.table, key.column))
        return first.column, second.column
    return None


def _place(table: Table, column: str) -> int:
    names = [name.lower() for name in table.columns]
    return names.index(column.lower()) if column.lower() in names else len(names)


def _node_tables(tables: dict[str, _Found], edges: dict[str, _Found]) -> dict[str, _Found]:
    wanted = {key.table.lower() for found in edges.values() for key in found.keys}
    wanted |= {name for name, found in tables.items() if found.is_indexed}
    wanted = _with_referred(wanted, tables)
    nodes = {name: found for name, found in tables.items() if name in wanted and name not in edges}
    if not any(_text_columns(found) for found in nodes.values()):
        others = {name: found for name, found in tables.items() if name not in edges}
        nodes |= {name: found for name, found in others.items() if _text_columns(found)}
    return nodes


def _with_referred(names: set[str], tables: dict[str, _Found]) -> set[str]:
    """Names of tables, and of those that their foreign keys refer to, and so on."""
    found, new = set(names), set(names)
    while new:
        keys = (key for name in new if name in tables for key in tables[name].keys)
        new = {key.table.lower() for key in keys} - found
        found |= new
    return found


def _text_columns(found: _Found) -> list[str]:
    affinity = found.table.affinity
    kinds = ("TEXT", "BLOB") if found.table.kind == "virtual" else ("TEXT",)
    # Columns of FTS5 tables have no declared type.
    return [c for c in found.table.columns if affinity[c.lower()] in kinds]


def _ids(nodes: Sequence[_Found], referring: Sequence[_Found]) -> dict[str, str]:
    """The column that most foreign keys refer to, by node table."""
    ids = {}
    for node in nodes:
        name = node.table.name.lower()
        keys = [key for found in referring for key in found.keys if key.table.lower() == name]
        columns = [key.to for key in keys if key.to]
        default = node.table.keys[0] if len(node.table.keys) == 1 else "rowid"
        ids[name] = max(columns, key=columns.count) if columns else default
    return ids


def _node(
    found: _Found, ids: dict[str, str], nodes: dict[str, _Found], edges: dict[str, _Found]
) -> NodeTable:
    table = found.table
    id_ = ids[table.name.lower()]
    texts = _text_columns(found)
    label = _named(table, LABELS) or next(
        (c for c in texts if c.lower() != id_.lower() or len(texts) == 1), None
    )
    kind = None if table.kind == "virtual" else _named(table, NODE_TYPES, but=(label,))
    aliases = _named(table, ALIASES, but=(label, id_, *(set(table.columns) - set(texts))))
    keys = {key.column.lower() for key in found.keys}
    indexed = {column.lower() for column in found.indexed}
    text = [c for c in table.columns if c.lower() in indexed] or [
        c for c in texts if c not in (kind, id_) and c.lower() not in keys
    ]
    is_default = [id_] == list(table.keys) or (not table.keys and id_ == "rowid")
    return NodeTable(
        table.name,
        id=None if is_default else id_,
        label=label,
        aliases=() if aliases is None else (aliases,),
        text=tuple(text),
        type=kind,
        fts=found.fts,
        vectors=found.vectors,
        entity=_is_entity(found, text, label, nodes, edges),
    )


def _is_entity(
    found: _Found,
    text: list[str],
    label: str | None,
    nodes: dict[str, _Found],
    edges: dict[str, _Found],
) -> bool:
    """Whether it has names alone, and edges from a table that has texts besides."""
    if any(column != label for column in text):
        return False
    name = found.table.name.lower()
    for edge in edges.values():
        tables = {key.table.lower() for key in edge.keys}
        others = [nodes[t] for t in tables - {name} if t in nodes]
        if name in tables and any(len(_text_columns(other)) > 1 for other in others):
            return True
    return False


def _edge(found: _Found, nodes: dict[str, _Found]) -> EdgeTable:
    assert found.ends is not None
    source, target = found.ends
    table = found.table
    refers = {key.column.lower(): key.table for key in found.keys}
    many = len(nodes) > 1

    def end(column: str) -> str | None:
        named = refers.get(column.lower(), "").lower()
        return nodes[named].table.name if many and named in nodes else None

    weight = _named(table, WEIGHTS, but=found.ends)
    if weight is not None and table.affinity[weight.lower()] not in ("INTEGER", "REAL", "NUMERIC"):
        weight = None
    return EdgeTable(
        table.name,
        source,
        target,
        type=_named(table, EDGE_TYPES, but=found.ends),
        weight=weight,
        timestamp=_named(table, TIMES, but=found.ends),
        source_table=end(source),
        target_table=end(target),
    )


def _references(found: _Found, nodes: dict[str, _Found], ids: dict[str, str]) -> list[EdgeTable]:
    """Foreign keys of a node table to node tables: each is an edge of every row."""
    name = found.table.name
    many = len(nodes) > 1
    return [
        EdgeTable(
            name,
            ids[name.lower()],
            key.column,
            source_table=name if many else None,
            target_table=nodes[key.table.lower()].table.name if many else None,
            name=key.column.removesuffix("_id") or key.column,
        )
        for key in found.keys
        if key.table.lower() in nodes
    ]


def _named(table: Table, names: Sequence[str], but: Sequence[str | None] = ()) -> str | None:
    lower = {column.lower(): column for column in table.columns if column not in but}
    return next((lower[name] for name in names if name in lower), None)
