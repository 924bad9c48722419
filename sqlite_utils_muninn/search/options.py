"""What a search may be told, checked once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RANK_BY = ("ppr", "score", "pagerank", "betweenness", "hop")
FUSIONS = ("convex", "rrf")


@dataclass(frozen=True)
class Options:
    """The settings of one search."""

    top_k: int = 10
    """Rows of the answer."""
    expand_hops: int = 2
    """How far from the candidates the walk goes; 0: candidates alone."""
    rank_by: str = "ppr"
    fusion: str = "convex"
    alpha: float = 0.4
    """How much full text counts beside meaning."""
    names: float = 1.2
    """How much it counts that the query names a node; the best match alone counts 1."""
    popularity: float = 0.08
    """The power of the number of a candidate's neighbours that its score is multiplied by."""
    specificity: float = 0.0
    """The power of the number of documents with an entity that its seed is divided by."""
    damping: float = 0.6
    """How often the walk goes on."""
    candidates: int = 100
    """Rows of the full-text match, and of the nearest vectors."""
    rerank_top: int = 50
    """Candidates that the reranker reads."""
    rerank_weight: float = 0.5
    """How much its score counts beside the fused one."""
    sharpness: float = 6.0
    """The power of the score that a seed's weight is."""
    hub_cap: int = 1000
    """Nodes with more edges are reached, but not passed."""
    node_types: tuple[str, ...] | None = None
    edge_types: tuple[str, ...] | None = None
    type_weights: Mapping[str, float] | None = field(default=None, hash=False)
    """Edge type -> weight, in place of the declaration's."""
    time_start: Any = None
    time_end: Any = None
    where: str | None = None
    mmr: float | None = None
    """From 0, only other than the rows before, to 1, only good; None: as they come."""

    def check(self, caller: str) -> None:
        """Raise ValueError with one sentence where a setting cannot be."""
        _one_of(caller, "rank_by", self.rank_by, RANK_BY)
        _one_of(caller, "fusion", self.fusion, FUSIONS)
        for name, least, most in (
            ("top_k", 0, 1000),
            ("expand_hops", 0, 10),
            ("candidates", 1, 1000),
            ("rerank_top", 1, 1000),
            ("hub_cap", 1, 2**31 - 1),
        ):
            _within(caller, name, getattr(self, name), least, most)
        for name in ("alpha", "damping", "rerank_weight"):
            _within(caller, name, getattr(self, name), 0, 1)
        for name in ("sharpness", "names", "popularity", "specificity"):
            _within(caller, name, getattr(self, name), 0, 100)
        if self.damping == 1:
            raise ValueError(f"{caller}: argument 'damping' must be less than 1, got 1")
        if self.mmr is not None:
            _within(caller, "mmr", self.mmr, 0, 1)
        if self.where is not None:
            check_condition(caller, self.where)


class Settings(TypedDict, total=False):
    """What callers may give of `Options`; None is as good as nothing."""

    top_k: int | None
    expand_hops: int | None
    rank_by: str | None
    fusion: str | None
    alpha: float | None
    names: float | None
    popularity: float | None
    specificity: float | None
    damping: float | None
    candidates: int | None
    rerank_top: int | None
    rerank_weight: float | None
    sharpness: float | None
    hub_cap: int | None
    node_types: str | Sequence[str] | None
    edge_types: str | Sequence[str] | None
    type_weights: Mapping[str, float] | None
    time_start: Any
    time_end: Any
    where: str | None
    mmr: float | None


def options_of(settings: Mapping[str, Any]) -> Options:
    """Return options, given some of them. Raises TypeError for one that there is not."""
    known = sorted(setting.name for setting in fields(Options))
    for name in settings:
        if name not in known:
            raise TypeError(f"search() has no argument {name!r}; it may be {', '.join(known)}")
    given = {name: value for name, value in settings.items() if value is not None}
    for listed in ("node_types", "edge_types"):
        if listed in given:
            given[listed] = names(given[listed])
    return Options(**given)


def weights_of(caller: str, given: str | None) -> dict[str, float] | None:
    """Return the weights of types of edges, given as JSON; None stays. Raises ValueError."""
    if given is None:
        return None
    wanted = f"{caller}: argument 'type_weights' must be a JSON object of edge types and weights"
    try:
        weights = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{wanted}, it is not JSON: {error}") from None
    is_right = isinstance(weights, dict) and all(
        isinstance(weight, int | float) and not isinstance(weight, bool)
        for weight in weights.values()
    )
    if not is_right:
        raise ValueError(f"{wanted}, got {given!r}")
    return {kind: float(weight) for kind, weight in weights.items()}


def setting_of(caller: str, name: str, text: str) -> Any:
    """Return what a setting is when it is given as text. Raises ValueError, naming it."""
    known = {setting.name: setting.default for setting in fields(Options)}
    if name not in known:
        there = ", ".join(sorted(known))
        raise ValueError(f"{caller}: there is no argument {name!r}; it may be {there}")
    if name == "type_weights":
        return weights_of(caller, text)
    kind = float if name == "mmr" else type(known[name])
    if kind not in (int, float):
        return text
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ValueError(f"{caller}: argument {name!r} must be {what}, got {text!r}") from None


def _one_of(caller: str, name: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise ValueError(
            f"{caller}: argument {name!r} must be one of {', '.join(allowed)}, got {given!r}"
        )


def _within(caller: str, name: str, given: object, least: float, most: float) -> None:
    whole = isinstance(getattr(Options, name), int)
    kind = int if whole else (int, float)
    # A NaN is within nothing.
    if isinstance(given, bool) or not isinstance(given, kind) or not least <= given <= most:
        what = "a whole number " if whole else ""
        raise ValueError(
            f"{caller}: argument {name!r} must be {what}from {least} to {most:g}, got {given!r}"
        )


def names(value: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names given as a comma list or one by one; None stays."""
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(dict.fromkeys(part.strip() for part in parts))


_QUOTES = {"'": "'", '"': '"', "`": "`", "[": "]"}


def check_condition(caller: str, condition: str) -> None:
    """Raise ValueError where text is more, or less, than what can stand between parentheses.

    Whether it is a condition SQLite says; this keeps it from ending the parentheses around it.
    """
    depth, closing, at = 0, "", 0
    while at < len(condition):
        mark = condition[at]
        if closing:
            closing = "" if mark == closing else closing
        elif mark in _QUOTES:
            closing = _QUOTES[mark]
        elif condition.startswith("--", at) or condition.startswith("/*", at) or mark in ";\0":
            raise ValueError(
                f"{caller}: argument 'where' must be one condition without comments, "
                f"got {condition!r}"
            )
        else:
            depth += (mark == "(") - (mark == ")")
        if depth < 0:
            break
        at += 1
    if depth or closing or not condition.strip():
        raise ValueError(f"{caller}: argument 'where' must be a SQL condition, got {condition!r}")
