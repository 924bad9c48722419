"""What a MATCH query asks for, read from its constraints."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import Query, quote
from ..index.engine import Search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..blob import Ids, Packed
    from ..options import Column

BOUNDS = ("distance <", "distance <=", "distance >", "distance >=")
_PLAIN = frozenset({"vector match", "content match", "k =", "ef_search ="})
_OPERATORS = ("=", "<", "<=", ">", ">=", "in")
_MOST_PARAMETERS = 30_000


def request(query: Query, owner: str, probe: Packed) -> Search:
    """Read k, ef_search, LIMIT, `rowid IN` and bounds on the distance.

    Bounds may be a bit wide: SQLite checks them once more.
    """
    given = query.constraints
    most = query.limit
    if "k =" in given:
        k = _whole(owner, "k", given["k ="], 0)
        most = k if most is None else min(k, most)
    ef = _whole(owner, "ef_search", given["ef_search ="], 1) if "ef_search =" in given else None
    ids, within, beyond = None, math.inf, -math.inf
    if not given.keys() <= _PLAIN:
        ids = _ids(given)
        within = min(_bounds(given, "distance <", "distance <="), default=within)
        beyond = max(_bounds(given, "distance >", "distance >="), default=beyond)
    return Search(probe, most, ef, ids, within, beyond)


def _ids(given: Mapping[str, Any]) -> Ids | None:
    if "rowid in" in given:
        return rowids(given["rowid in"])
    return rowids([given["rowid ="]]) if "rowid =" in given else None


def _whole(owner: str, name: str, value: Any, least: int) -> int:
    if isinstance(value, str) and value.strip().isdecimal():  # as a parameter of a web page is
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{owner}: {name} must be a whole number >= {least}, got {value!r}")
    return value


def _bounds(given: Mapping[str, Any], *keys: str) -> Iterator[float]:
    for key in keys:
        if key in given:
            bound = _bound(given[key], "<" in key)
            # A strict bound is a closed one at the next number.
            beside = {"distance <": -math.inf, "distance >": math.inf}.get(key)
            yield bound if beside is None else float(np.nextafter(bound, beside))


def _bound(value: Any, is_upper: bool) -> float:
    """A bound as a number. A comparison with NULL is never true: NaN."""
    if value is None:
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):  # text and blobs are greater than every number
        return math.inf if is_upper else math.nan


def rowids(values: Sequence[Any]) -> Ids:
    """The values that can be rowids, each once, in order."""
    if set(map(type, values)) == {int}:  # long lists are these, and this is quick
        with suppress(OverflowError):
            ids = np.sort(np.array(values, dtype=np.int64))
            return ids[np.flatnonzero(np.diff(ids, prepend=~ids[0]))]
    found = {int(v) for v in map(_number, values) if v is not None}
    return np.array(sorted(found), dtype=np.int64)


def _number(value: Any) -> int | None:
    if isinstance(value, (str, bytes)):
        try:
            value = float(value) if isinstance(value, str) else None
        except ValueError:
            return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None or not -(2**63) <= value < 2**63:
        return None
    return int(value)


# ---- Conditions on metadata columns ----


def column_uses(columns: Sequence[Column]) -> tuple[str, ...]:
    """The constraints on metadata columns that a plan can use."""
    return tuple(f"{column.name} {op}" for column in columns for op in _OPERATORS)


def condition(query: Query, columns: Sequence[Column]) -> tuple[str, list[Any]] | None:
    """The WHERE clause over v_rows that the metadata constraints make; None: there are none."""
    clauses, values = [], []
    for column in columns:
        for op in _OPERATORS:
            key = f"{column.name} {op}"
            if key not in query.constraints:
                continue
            value = query.constraints[key]
            if op != "in":
                clauses.append(f"{quote(column.name)} {op} ?")
                values.append(value)
            elif len(value) > _MOST_PARAMETERS:
                raise ValueError(
                    f"{column.name} IN (...): at most {_MOST_PARAMETERS:,} values can be compared"
                )
            else:
                clauses.append(f"{quote(column.name)} IN ({', '.join('?' * len(value))})")
                values.extend(value)
    return (" AND ".join(clauses), values) if clauses else None
