"""Which knowledge graphs of a database an actor may search, and how much of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..database_settings import database_settings
from ..permissions import may_view

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datasette.app import Datasette
    from datasette.database import Database

    from sqlite_utils_muninn.search.declared import EdgeTable, KnowledgeGraph, NodeTable

_proposals: WeakKeyDictionary[Database, tuple[int, KnowledgeGraph | None]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Shown:
    """A graph as far as an actor may see it: tables that may not be viewed are not in it."""

    graph: KnowledgeGraph
    declared: bool
    """Whether the file or the configuration declares it; else it was proposed."""
    visible: frozenset[str]
    """Its tables, all of which the actor may view."""

    @property
    def is_indexed(self) -> bool:
        """Whether it can be searched better than letter by letter."""
        return any(node.fts or node.vectors for node in self.graph.nodes)


async def declared_graphs(datasette: Datasette, actor: Any, database: str) -> list[Shown]:
    """Return the graphs that the file or the configuration declares, by name.

    One of the configuration stands in for the file's of the same name. A graph without a node
    table that the actor may view is left out.
    """
    from sqlite_utils_muninn.search.stored import graphs

    found = {graph.name: graph for graph in await datasette.databases[database].execute_fn(graphs)}
    found.update(database_settings(datasette, database).graphs)
    shown = [await _show(datasette, actor, database, graph) for _, graph in sorted(found.items())]
    return [one for one in shown if one is not None]


async def proposed_graph(datasette: Datasette, actor: Any, database: str) -> Shown | None:
    """Return what the file's foreign keys, full-text and vector tables make a graph of, if any."""
    graph = await _proposal(datasette.databases[database])
    shown = await _show(datasette, actor, database, graph) if graph else None
    return replace(shown, declared=False) if shown else None


async def _proposal(db: Database) -> KnowledgeGraph | None:
    """What a file seems to hold; kept for as long as its schema is the same."""
    version = (await db.execute("PRAGMA schema_version")).first()[0]
    kept = _proposals.get(db)
    if kept is None or kept[0] != version:
        kept = (version, await db.execute_fn(_propose))
        _proposals[db] = kept
    return kept[1]


def _propose(conn: Any) -> KnowledgeGraph | None:
    from sqlite_utils_muninn.search.proposals import propose

    try:
        return propose(conn)
    except ValueError:  # nothing in it can be searched
        return None


async def _show(
    datasette: Datasette, actor: Any, database: str, graph: KnowledgeGraph
) -> Shown | None:
    names = await _spelled(datasette, database, tables_of(graph))
    verdicts = await asyncio.gather(
        *(may_view(datasette, actor, database, table) for table in names.values())
    )
    visible = {
        given: table
        for (given, table), verdict in zip(names.items(), verdicts, strict=True)
        if verdict
    }
    cut = restrict(graph, visible)
    return Shown(cut, True, frozenset(tables_of(cut))) if cut else None


async def _spelled(datasette: Datasette, database: str, wanted: Iterable[str]) -> dict[str, str]:
    """Map names to those of the file's tables and views: SQLite does not tell A from a."""
    sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
    rows = await datasette.databases[database].execute_fn(lambda conn: conn.execute(sql).fetchall())
    real = {row[0].casefold(): row[0] for row in rows}
    return {name: real[name.casefold()] for name in wanted if name.casefold() in real}


def tables_of(graph: KnowledgeGraph) -> set[str]:
    """Return every table that a graph names."""
    named = {edge.table for edge in graph.edges}
    for node in graph.nodes:
        named |= {table for table in (node.table, node.fts, node.vectors) if table}
    return named


def restrict(graph: KnowledgeGraph, visible: Mapping[str, str]) -> KnowledgeGraph | None:
    """Return a graph of those tables only that `visible` maps to their names in the file.

    None where no node table is left.
    """
    nodes = tuple(_node(node, visible) for node in graph.nodes if node.table in visible)
    edges = tuple(
        _edge(edge, visible)
        for edge in graph.edges
        if edge.table in visible
        and all(end is None or end in visible for end in (edge.source_table, edge.target_table))
    )
    return replace(graph, nodes=nodes, edges=edges) if nodes else None


def _node(node: NodeTable, visible: Mapping[str, str]) -> NodeTable:
    return replace(
        node,
        table=visible[node.table],
        fts=visible.get(node.fts or ""),
        vectors=visible.get(node.vectors or ""),
    )


def _edge(edge: EdgeTable, visible: Mapping[str, str]) -> EdgeTable:
    return replace(
        edge,
        table=visible[edge.table],
        source_table=visible.get(edge.source_table or ""),
        target_table=visible.get(edge.target_table or ""),
    )
