"""Which graph a search is about, held against the file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.graph.cache import token_of

from .binding import Bound, bind
from .declared import KnowledgeGraph
from .proposals import propose
from .stored import broken, graph_named, graphs

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlite_utils_muninn.bridge import Database

_STATE = "search.chosen"
MOST_KEPT = 16
"""Choices that a connection remembers, as long as its data are the same."""


@dataclass(frozen=True)
class Choice:
    """What a search says about its graph."""

    graph: str | KnowledgeGraph | None = None
    edge_table: str | None = None
    visible: Collection[str] | None = None
    schema: str = "main"

    @property
    def key(self) -> Any:
        """What tells choices apart."""
        graph = self.graph
        named = (graph.name, graph.to_json()) if isinstance(graph, KnowledgeGraph) else graph
        visible = None if self.visible is None else frozenset(self.visible)
        return named, self.edge_table, visible, self.schema


@dataclass(frozen=True)
class Chosen:
    """A graph whose names are real."""

    graph: KnowledgeGraph
    declared: bool
    """Whether somebody declared it; else it was proposed."""
    bound: Bound
    missing: list[str] = field(default_factory=list)


def choose(db: Database, caller: str, choice: Choice) -> Chosen:
    """Return the graph of a search, as the connection sees the file now.

    Raises ValueError where there is none, where it is not clear which, or where nothing is left.
    """
    token = token_of(db)
    kept: tuple[Any, dict[Any, Chosen]] | None = db.state.get(_STATE)
    known = kept[1] if kept is not None and kept[0] == token else {}
    key = choice.key
    if token is None or key not in known:
        found = _choose(db, caller, choice)
        if token is None:
            return found
        if len(known) >= MOST_KEPT:
            known.clear()
        known[key] = found
        db.state[_STATE] = (token, known)
    return known[key]


def _choose(db: Database, caller: str, choice: Choice) -> Chosen:
    missing: list[str] = []
    graph, declared = _graph(db, caller, choice)
    if not declared:
        if choice.visible is None:  # a sentence may name what somebody may not see
            missing += broken(db, schema=choice.schema)
        missing.append(f"no knowledge graph is declared: searched {_summary(graph)}")
    if choice.edge_table is not None:
        graph = _with_edges_of(graph, choice.edge_table, choice.visible, caller)
    bound = bind(db, graph, schema=choice.schema, visible=choice.visible)
    if not bound.nodes:
        problem = (bound.problems or [f"knowledge graph {graph.name!r} has no node tables"])[0]
        raise ValueError(f"{caller}: {problem}")
    return Chosen(graph, declared, bound, [*missing, *bound.problems])


def _graph(db: Database, caller: str, choice: Choice) -> tuple[KnowledgeGraph, bool]:
    schema, visible = choice.schema, choice.visible
    if isinstance(choice.graph, KnowledgeGraph):
        return choice.graph, True
    if choice.graph is not None:
        return graph_named(db, choice.graph, schema=schema, visible=visible), True
    declared = graphs(db, schema=schema, visible=visible)
    if len(declared) > 1:
        names = ", ".join(repr(graph.name) for graph in declared)
        raise ValueError(f"{caller}: which graph? Name one with 'graph': {names}")
    if declared:
        return declared[0], True
    return propose(db, schema=schema, visible=visible), False


def _with_edges_of(
    graph: KnowledgeGraph, table: str, visible: Collection[str] | None, caller: str
) -> KnowledgeGraph:
    seen = None if visible is None else {name.lower() for name in visible}
    there = [edge for edge in graph.edges if seen is None or edge.table.lower() in seen]
    named = [edge for edge in there if edge.table.lower() == table.lower()]
    if not named:
        known = ", ".join(dict.fromkeys(repr(edge.table) for edge in there)) or "none"
        raise ValueError(
            f"{caller}: argument 'edge_table' must be an edge table of the graph "
            f"{graph.name!r} ({known}), got {table!r}"
        )
    return replace(graph, edges=tuple(named))


def _summary(graph: KnowledgeGraph) -> str:
    nodes = ", ".join(repr(node.table) for node in graph.nodes)
    edges = ", ".join(dict.fromkeys(repr(edge.table) for edge in graph.edges))
    return f"{nodes}, with the edges of {edges}" if edges else nodes
