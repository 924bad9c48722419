"""Graphs as files that other programs read: GraphML, GEXF, node-link JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import quote, quote_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .edge_columns import EdgeColumns


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
