"""What a search could not do as it was told: a sentence for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.graph.cache import token_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import Bound, Nodes
    from .network import Network
    from .options import Options

_STATE = "search.types"
_MOST = 1000
"""Types of a table that are read: where there are more, each one is looked for."""
_NAMED = 20
"""Types that a sentence names."""


def unmet(bound: Bound, network: Network, options: Options) -> list[str]:
    """Return what the edges cannot tell of what is asked of them."""
    said = []
    if network.ambiguous:
        said.append(_ambiguous(bound, network.ambiguous))
    known = {str(kind) for kind in network.edge_types}
    said += [
        _no_such("edges", kind, known) for kind in options.edge_types or () if kind not in known
    ]
    is_timed = (options.time_start, options.time_end) != (None, None)
    if is_timed and all(edge.timestamp is None for edge in bound.edges):
        said.append("no edges have times: all were followed")
    return said


def _ambiguous(bound: Bound, count: int) -> str:
    nodes = ", ".join(repr(table.name) for table in bound.nodes)
    vague = (e for e in bound.edges if e.source_nodes is None or e.target_nodes is None)
    edges = ", ".join(dict.fromkeys(repr(edge.table.name) for edge in vague))
    number = "1 id is" if count == 1 else f"{count:,} ids are"
    return (
        f"{number} in several of the tables {nodes}: edges of {edges} lead to the first of them; "
        "say which with source_table and target_table"
    )


def no_such_nodes(db: Database, nodes: Sequence[Nodes], types: Iterable[str]) -> list[str]:
    """Return a sentence for each of some types that no node is of, with those that there are."""
    kept = _types(db, nodes)
    known = {kind for kinds in kept for kind in kinds}
    big = [table for table, kinds in zip(nodes, kept, strict=True) if len(kinds) == _MOST]
    return [
        _no_such("nodes", kind, known)
        for kind in types
        if kind not in known and not any(_has(db, table, kind) for table in big)
    ]


def _types(db: Database, nodes: Sequence[Nodes]) -> list[tuple[str, ...]]:
    """The types of each table; a connection remembers them as long as its data are the same."""
    token, kept = token_of(db), db.state.get(_STATE)
    if token is None or kept is None or kept[0] != token:
        kept = (token, {})
        db.state[_STATE] = kept
    types: dict[Any, tuple[str, ...]] = kept[1]
    for table in nodes:
        key = (table.table.sql, table.type)
        if key not in types:
            types[key] = _types_of(db, table)
    return [types[table.table.sql, table.type] for table in nodes]


def _types_of(db: Database, table: Nodes) -> tuple[str, ...]:
    if table.type is None:
        return (table.name,)
    sql = f"SELECT DISTINCT {table.type} FROM {table.table.sql} WHERE {table.type} NOTNULL LIMIT ?"
    return tuple(str(row[0]) for row in db.execute(sql, (_MOST,)))


def _has(db: Database, table: Nodes, kind: str) -> bool:
    sql = f"SELECT 1 FROM {table.table.sql} WHERE {table.type} = ? LIMIT 1"
    return bool(db.execute(sql, (kind,)))


def _no_such(what: str, kind: str, known: Iterable[str]) -> str:
    there = sorted(known)
    if not there:
        return f"there are no {what} of the type {kind!r}: none has a type"
    named = ", ".join(map(repr, there[:_NAMED]))
    more = f" and {len(there) - _NAMED:,} more" if len(there) > _NAMED else ""
    return f"there are no {what} of the type {kind!r}; there are {named}{more}"
