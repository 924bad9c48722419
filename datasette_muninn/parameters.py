"""What a request asks of the search: GET parameters, checked, under the engine's own names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.search.options import check_condition, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from .settings import Settings

DEFAULT_SIZE = 20
OWN_NAMES = {"top_k": "_size", "where": "_where"}
"""Arguments of the engine whose parameters have Datasette's names."""
NONE = "none"
"""What says, in place of a name, that something is not wanted."""


class RefusedError(Exception):
    """A request that cannot be answered, with the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """A request for a search of a graph."""

    query: str = ""
    graph: str | None = None
    size: int = DEFAULT_SIZE
    where: str | None = None
    """SQL condition on nodes, from `_where`; several are joined by AND."""
    explain: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the engine, those only that were given."""
    reranker: str | None = None
    """The model that judges again: the one that was given, or else the one that is configured."""


def read_size(given: str | None, settings: Settings) -> int:
    """Return how many results are wanted. Raises RefusedError."""
    most = settings.max_results
    if given is None:
        return min(DEFAULT_SIZE, most)
    if given == "max":
        return most
    if not given.isdecimal() or not 1 <= int(given) <= most:
        raise RefusedError(f"_size must be a whole number from 1 to {most:,}, got {given!r}")
    return int(given)


def read_query(given: str | None, settings: Settings) -> str:
    """Return the query. Raises RefusedError where it is too long."""
    query = (given or "").strip()
    if len(query) > settings.max_query:
        raise RefusedError(
            f"q has {len(query):,} characters, at most {settings.max_query:,} are allowed"
        )
    return query


def read(args: Any, settings: Settings, types: Collection[str] = ()) -> Asked:
    """Read a request's parameters. Raises RefusedError, naming the one that is wrong.

    One of `types` is taken whole where a list with commas may stand.
    """
    wheres = [_condition(text) for text in args.getlist("_where") if text.strip()]
    options: dict[str, Any] = {}
    for name, convert in OPTIONS.items():
        values = [value for value in args.getlist(name) if value.strip()]
        if values:
            is_type = len(values) == 1 and convert is _list and values[0] in types
            options[name] = tuple(values) if is_type else convert(name, values)
    if options.get("rerank_top", 0) > settings.max_results:
        most = settings.max_results  # a visitor is not to keep the model from the others
        raise RefusedError(f"rerank_top must be at most {most:,}, got {options['rerank_top']:,}")
    return Asked(
        query=read_query(args.get("q"), settings),
        graph=args.get("graph") or None,
        size=read_size(args.get("_size") or None, settings),
        where=_all_of(wheres),
        explain=args.get("explain", "").strip().casefold() in ("1", "on", "true"),
        options=options,
    )


def in_own_words(error: Exception) -> str:
    """Return what the engine says of an argument, as of the parameter that it came from."""
    sentence = str(error).removeprefix("search: ")
    return re.sub(r"argument '(\w+)'", lambda found: OWN_NAMES.get(found[1], found[1]), sentence)


def _condition(text: str) -> str:
    """One SQL condition, which cannot end the parentheses that it is put in."""
    try:
        check_condition("_where", text)
    except ValueError:
        raise RefusedError(f"_where must be a SQL condition, got {text!r}") from None
    return text


def _all_of(conditions: list[str]) -> str | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return " AND ".join(f"({text})" for text in conditions)


def _whole(name: str, values: list[str]) -> int:
    try:
        return int(_one(name, values))
    except ValueError:
        raise RefusedError(f"{name} must be a whole number, got {values[0]!r}") from None


def _number(name: str, values: list[str]) -> float:
    try:
        return float(_one(name, values))
    except ValueError:
        raise RefusedError(f"{name} must be a number, got {values[0]!r}") from None


def _one(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise RefusedError(f"{name} is given {len(values)} times, it may be given once")
    return values[0].strip()


def _list(name: str, values: list[str]) -> tuple[str, ...]:
    """One value a parameter, as checkboxes give them; a single one may have commas, as in SQL."""
    if len(values) > 1:
        return tuple(values)
    return tuple(part for part in map(str.strip, values[0].split(",")) if part)


def _weights(name: str, values: list[str]) -> dict[str, float] | None:
    """Edge type -> weight, as a JSON object; as in SQL."""
    try:
        return weights_of("search", _one(name, values))
    except ValueError as error:
        raise RefusedError(in_own_words(error)) from None


OPTIONS: dict[str, Callable[[str, list[str]], Any]] = {
    "node_types": _list,
    "edge_types": _list,
    "edge_table": _one,
    "type_weights": _weights,
    "expand_hops": _whole,
    "rank_by": _one,
    "fusion": _one,
    "alpha": _number,
    "names": _number,
    "popularity": _number,
    "specificity": _number,
    "damping": _number,
    "candidates": _whole,
    "reranker": _one,
    "rerank_top": _whole,
    "rerank_weight": _number,
    "sharpness": _number,
    "hub_cap": _whole,
    "mmr": _number,
    "time_start": _one,
    "time_end": _one,
}
"""Parameters of the page that are arguments of the engine, and how each is read."""
