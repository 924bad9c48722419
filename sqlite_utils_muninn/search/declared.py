"""What a knowledge graph is: which tables hold its nodes and its edges.

A declaration is plain data. It may come from the file (`_muninn_graphs`, which anybody may have
written), from a program or from Datasette's configuration: reading one checks its shape, and
`binding.py` checks its names against the file before any of them reaches SQL.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

MOST_TABLES = 100
"""Tables of one graph: more is no declaration that a person wrote."""


@dataclass(frozen=True)
class NodeTable:
    """A table whose rows are nodes."""

    table: str
    id: str | None = None
    """The column that edges refer to; None: the primary key, else the rowid."""
    label: str | None = None
    """The column that names a node."""
    aliases: str | None = None
    """The column of its other names: a JSON list, or text with commas or lines between them."""
    text: tuple[str, ...] = ()
    """The columns that say what a node is about."""
    type: str | None = None
    """The column of its kind; None: all are of the kind that the table's name is."""
    fts: str | None = None
    """The FTS5 table over it."""
    vectors: str | None = None
    """The hnsw_text or hnsw_index table over it."""
    entity: bool = False
    """Whether nodes are named things that many documents mention: those that fewer of them mention
    say more (node specificity, arXiv 2405.14831)."""


@dataclass(frozen=True)
class EdgeTable:
    """A table whose rows are edges."""

    table: str
    source: str
    target: str
    type: str | None = None
    """The column of an edge's kind; NULL, or no column: it is of the kind `name`."""
    weight: str | None = None
    timestamp: str | None = None
    source_table: str | None = None
    """The node table of the column `source`; None: ids are unique in all node tables together."""
    target_table: str | None = None
    name: str | None = None
    """The kind of its edges, where their row does not say it; None: the table's name."""


@dataclass(frozen=True)
class KnowledgeGraph:
    """Node tables and edge tables, under one name."""

    name: str
    nodes: tuple[NodeTable, ...]
    edges: tuple[EdgeTable, ...] = ()
    type_weights: Mapping[str, float] = field(default_factory=dict)
    """Kind of edge -> weight; 1 where it is not named, 0: not followed."""
    inverses: Mapping[str, str] = field(default_factory=dict)
    """Kind of edge -> how it reads against its direction: mitigates -> mitigated by."""

    def to_json(self) -> str:
        """Return the definition as `_muninn_graphs` holds it: without the name, or what is left."""
        parts = {
            "nodes": [_brief(node) for node in self.nodes],
            "edges": [_brief(edge) for edge in self.edges],
            "type_weights": dict(self.type_weights),
            "inverses": dict(self.inverses),
        }
        kept = {key: value for key, value in parts.items() if value or key == "nodes"}
        return json.dumps(kept, ensure_ascii=False)


def from_json(name: str, definition: object) -> KnowledgeGraph:
    """Read a definition, given as JSON or as what JSON holds.

    Raises ValueError with one sentence that says which part is wrong, and what it may be.
    """
    where = f"knowledge graph {name!r}"
    if isinstance(definition, str):
        try:
            definition = json.loads(definition)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where}: its definition is not JSON: {error}") from None
    if not isinstance(definition, dict):
        raise ValueError(f"{where}: its definition must be a JSON object, got {_kind(definition)}")
    allowed = {"nodes", "edges", "type_weights", "inverses"}
    _only(where, definition, allowed)
    weights = _mapping(where, "type_weights", definition, int | float)
    return check(
        KnowledgeGraph(
            name,
            _tables(where, "nodes", definition, NodeTable),
            _tables(where, "edges", definition, EdgeTable),
            {kind: float(weight) for kind, weight in weights.items()},
            _mapping(where, "inverses", definition, str),
        )
    )


def check(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Return the graph if its shape is right, whatever the file holds; else raise ValueError."""
    where = f"knowledge graph {graph.name!r}"
    if not isinstance(graph.name, str) or not graph.name:
        raise ValueError("a knowledge graph must have a name")
    if not graph.nodes:
        raise ValueError(f"{where}: 'nodes' must name at least one table")
    if len(graph.nodes) + len(graph.edges) > MOST_TABLES:
        raise ValueError(f"{where}: at most {MOST_TABLES} tables, got more")
    names = [node.table for node in graph.nodes]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{where}: 'nodes' names table {min(twice)!r} twice")
    for edge in graph.edges:
        for end in (edge.source_table, edge.target_table):
            if end is not None and end not in names:
                raise ValueError(
                    f"{where}: the edges of {edge.table!r} end in {end!r}, "
                    f"which is none of its node tables: {', '.join(names)}"
                )
    for kind, weight in graph.type_weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"{where}: the weight of edge type {kind!r} must be a number of 0 or more, "
                f"got {weight}"
            )
    return graph


def _brief(table: NodeTable | EdgeTable) -> dict[str, Any]:
    """Return what differs from the defaults."""
    given = asdict(table)
    defaults = {f.name: f.default for f in fields(table)}
    return {key: value for key, value in given.items() if value != defaults[key]}


def _tables(where: str, key: str, definition: dict[str, Any], kind: type[T]) -> tuple[T, ...]:
    given = definition.get(key, [])
    if not isinstance(given, list):
        raise ValueError(f"{where}: {key!r} must be a list of objects, got {_kind(given)}")
    return tuple(_table(f"{where}: {key}[{n}]", part, kind) for n, part in enumerate(given))


def _table(where: str, given: Any, kind: type[T]) -> T:
    if not isinstance(given, dict):
        raise ValueError(f"{where} must be an object, got {_kind(given)}")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    _only(where, given, set(known))
    required = ("table",) if kind is NodeTable else ("table", "source", "target")
    for key in required:
        if not given.get(key):
            raise ValueError(f"{where} must have {key!r}")
    values: dict[str, Any] = {}
    for key, value in given.items():
        wanted = _WANTED.get(key, _text)
        try:
            values[key] = None if value is None and key not in required else wanted(value)
        except TypeError:
            wants = {"text": "a list of columns", "entity": "true or false"}.get(key, "a name")
            raise ValueError(f"{where}: {key!r} must be {wants}, got {_kind(value)}") from None
    return kind(**{key: value for key, value in values.items() if value is not None})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise TypeError
    return tuple(_text(part) for part in value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_WANTED: dict[str, Any] = {"text": _texts, "entity": _boolean}


def _mapping(where: str, key: str, definition: dict[str, Any], kind: Any) -> dict[str, Any]:
    given = definition.get(key, {})
    if not isinstance(given, dict):
        raise ValueError(f"{where}: {key!r} must be an object, got {_kind(given)}")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(
                f"{where}: {key}[{name!r}] must be {'text' if kind is str else 'a number'}, "
                f"got {_kind(value)}"
            )
    return given


def _only(where: str, given: dict[str, Any], allowed: set[str]) -> None:
    for key in given:
        if key not in allowed:
            raise ValueError(
                f"{where}: unknown key {key!r}; it may be {', '.join(sorted(allowed))}"
            )


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number"}
    names.update({float: "a number", type(None): "null"})
    return names.get(type(value), type(value).__name__)
