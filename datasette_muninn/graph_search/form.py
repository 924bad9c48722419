"""The form above a graph's results: which filters and options it offers, and what is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..parameters import DEFAULT_SIZE, NONE, OPTIONS
from .facets import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.search.declared import KnowledgeGraph

    from ..parameters import Asked

HOPS = (
    ("", "2 steps"),
    ("0", "none: rows that match the query themselves"),
    ("1", "1 step"),
    ("3", "3 steps"),
    ("4", "4 steps"),
)
RANKINGS = (
    ("", "match and relations (ppr)"),
    ("score", "match alone (score)"),
    ("hop", "nearness to a match (hop)"),
    ("pagerank", "PageRank among what was found (pagerank)"),
    ("betweenness", "betweenness among what was found (betweenness)"),
)
SIZES = (10, 20, 50, 100)
TITLES = {
    "node_types": "Show only rows of type",
    "edge_types": "Follow only relations of type",
    "expand_hops": "Relations followed",
    "rank_by": "Order by",
    "reranker": "Judge the best again",
    "_size": "Show",
    "time_start": "Relations from",
    "time_end": "Relations until",
    "_where": "Show only rows where",
}


@dataclass(frozen=True)
class Choices:
    """Types to tick; without values, a box to type them in."""

    name: str
    title: str
    values: Sequence[Choice]
    chosen: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """A parameter of the form: one of some values, or a text."""

    name: str
    title: str
    value: str
    values: Sequence[tuple[str, str]] = ()
    placeholder: str = ""


def choices(nodes: Sequence[Choice], edges: Sequence[Choice], asked: Asked) -> list[Choices]:
    """Return the types that can be ticked; where there is one alone there is nothing to choose."""
    offered = []
    for name, values in (("node_types", nodes), ("edge_types", edges)):
        chosen = asked.options.get(name, ())
        if len(values) != 1 or chosen:
            known = {value.name for value in values}
            # What is set can be seen and taken back, even where there is no such type.
            more = [Choice(kind, None) for kind in chosen if values and kind not in known]
            offered.append(Choices(name, TITLES[name], [*values, *more], chosen))
    return offered


def options(
    graph: KnowledgeGraph, asked: Asked, reranker: str | None, may_use_sql: bool
) -> list[Option]:
    """Return the other parameters that the form offers for a graph."""
    given = {name: str(value) for name, value in asked.options.items()}
    offered = []
    if graph.edges:
        offered.append(_select("expand_hops", HOPS, given))
        offered.append(_select("rank_by", RANKINGS, given))
    if reranker:
        values = (("", f"by {reranker}"), (NONE, "no"))
        offered.append(_select("reranker", values, given))
    sizes = [("" if n == DEFAULT_SIZE else str(n), f"{n} rows") for n in SIZES]
    offered.append(_select("_size", sizes, {"_size": str(asked.size)}))
    if any(edge.timestamp for edge in graph.edges):
        for name in ("time_start", "time_end"):
            offered.append(Option(name, TITLES[name], given.get(name, ""), placeholder="a time"))
    if may_use_sql:
        example = "SQL, such as type = 'group'"
        offered.append(Option("_where", TITLES["_where"], asked.where or "", (), example))
    return offered


def unshown(
    given: Sequence[tuple[str, str]], shown: Sequence[Choices | Option]
) -> list[tuple[str, str]]:
    """Return what was given and has no field: the next search keeps it, as it keeps the others."""
    fields = {field.name for field in shown}
    names = {*OPTIONS, "explain"} - fields
    return [(name, value) for name, value in given if name in names and value.strip()]


def what_is_set(asked: Asked) -> list[str]:
    """Return the filters and options that are not at their defaults, as words."""
    found = []
    for name, value in asked.options.items():
        words = ", ".join(value) if isinstance(value, tuple) else str(value)
        found.append(f"{TITLES.get(name, name).lower()}: {words}")
    if asked.where is not None:
        found.append(f"{TITLES['_where'].lower()}: {asked.where}")
    if asked.size != DEFAULT_SIZE:
        found.append(f"{asked.size} rows")
    return found


def _select(name: str, values: Sequence[tuple[str, str]], given: dict[str, Any]) -> Option:
    value = given.get(name, "")
    known = [text for text, _ in values]
    if value and value not in known:
        default = name == "_size" and value == str(DEFAULT_SIZE)
        value, values = ("", values) if default else (value, [*values, (value, value)])
    return Option(name, TITLES[name], value, values)
