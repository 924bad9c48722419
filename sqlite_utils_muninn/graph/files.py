"""What the commands need besides SQL: finding the columns of an edge table, and graph files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import quote, quote_table, split_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SOURCES = ("source", "src", "from", "from_id", "source_id", "src_id", "parent", "head", "s")
TARGETS = ("target", "dst", "to", "to_id", "target_id", "dst_id", "child", "tail", "t")


@dataclass(frozen=True)
class EdgeColumns:
    """An edge table and its columns."""

    table: str
    source: str
    target: str
    weight: str | None = None


def find_columns(
    conn: Any,
    table: str,
    source: str | None = None,
    target: str | None = None,
    weight: str | None = None,
) -> EdgeColumns:
    """Find the columns of the ends where they are not said.

    Two foreign keys are the source and the target, in the order of their columns; else columns of
    the usual names; else the table's only two, where neither is its key alone. Raises ValueError
    where none of this is so.
    """
    schema, name = split_table(table)
    place = (name,) if schema is None else (name, schema)
    marks = ", ".join("?" * len(place))
    info = conn.execute(f"SELECT name, pk FROM pragma_table_info({marks})", place).fetchall()
    columns = [name for name, _ in info]
    if not columns:
        raise ValueError(f"there is no table or view called {table!r}")
    keyed = conn.execute(f'SELECT "from" FROM pragma_foreign_key_list({marks})', place).fetchall()
    keys = [column for column in columns if (column,) in keyed]
    is_keyed_by_one = sum(pk > 0 for _, pk in info) == 1  # then rows are things, not pairs
    found = _pair(keys, columns, len(columns) == 2 and not is_keyed_by_one)
    if (source is None or target is None) and found is None:
        raise ValueError(
            f"which columns of {table!r} are the ends of an edge? Say --source and --target; "
            f"it has {', '.join(columns)}"
        )
    return EdgeColumns(
        table, source or (found or ("", ""))[0], target or (found or ("", ""))[1], weight
    )


def _pair(keys: list[str], columns: list[str], are_ends: bool) -> tuple[str, str] | None:
    if len(keys) == 2:
        return keys[0], keys[1]
    lower = {column.lower(): column for column in columns}
    for source, target in zip(SOURCES, TARGETS, strict=True):
        if source in lower and target in lower:
            return lower[source], lower[target]
    return (columns[0], columns[1]) if are_ends else None


@dataclass(frozen=True)
class Written:
    """How much a file holds."""

    nodes: int
    edges: int


def write_graph(
    conn: Any, edges: EdgeColumns, path: Path, kind: str | None, nodes: str | None
) -> Written:
    """Write a graph through networkx, parallel edges and all columns included.

    The format is that of the file's name, or ``kind``: graphml, gexf, json (node-link). The first
    column of the table of nodes is their id. Written beside the file first, so that a failure
    leaves what was there.
    """
    try:
        import networkx as nx
    except ImportError:
        raise ImportError("export needs networkx: pip install 'datasette-muninn[export]'") from None
    kind = kind or path.suffix.lstrip(".").lower()
    if kind not in ("graphml", "gexf", "json"):
        raise ValueError(f"unknown format {kind!r}: choose graphml, gexf or json with --format")
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no directory {path.parent}")
    graph = nx.MultiDiGraph()
    if nodes is not None:
        for id_, attributes in _rows(conn, nodes, 1):
            graph.add_node(id_, **attributes)
    ends = [edges.source, edges.target]
    for (source, target), attributes in _rows(conn, edges.table, 2, ends, edges.weight):
        if source is not None and target is not None:
            graph.add_edge(source, target, **attributes)
    part = path.with_name(path.name + ".part")
    try:
        if kind == "json":
            data = nx.node_link_data(graph, edges="edges")
            part.write_text(json.dumps(data, default=_as_text), encoding="utf-8")
        else:
            {"graphml": nx.write_graphml, "gexf": nx.write_gexf}[kind](graph, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Written(graph.number_of_nodes(), graph.number_of_edges())


def _rows(
    conn: Any, table: str, ids: int, first: list[str] | None = None, weight: str | None = None
) -> Iterable[tuple[Any, dict[str, Any]]]:
    """(id or ids, attributes) of each row; what is NULL has no attribute."""
    wanted = ", ".join([*map(quote, first or []), "*"])
    cursor = conn.execute(f"SELECT {wanted} FROM {quote_table(table)}")
    names = [column[0] for column in cursor.description]
    for row in cursor:
        start = ids if first else 0
        pairs = zip(names[start:], row[start:], strict=True)
        attributes = {
            "weight" if name == weight else name: _plain(value)
            for name, value in pairs
            if value is not None and name not in (first or names[:ids])
        }
        yield (_plain(row[0]) if ids == 1 else tuple(map(_plain, row[:ids]))), attributes


def _plain(value: Any) -> Any:
    """Blobs have no place in these formats."""
    return value.hex() if isinstance(value, bytes) else value


def _as_text(value: Any) -> str:
    return str(value)
