"""Candidates: nodes that match the query itself, and what each side says of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import Nodes
    from .filters import Filter

Place = tuple[int, Any]
"""A node before the graph is there: the number of its table and its rowid."""


@dataclass
class Candidate:
    """What each side says of one node; None: it does not know it."""

    place: Place
    fts_rank: int | None = None
    bm25: float | None = None
    distance: float | None = None
    cosine: float | None = None
    named: float | None = None
    """How telling its name is, which the query has."""
    called: str | None = None
    """The words of the query that are its name, or another name of it."""


@dataclass
class Pool:
    """Candidates by their place, in the order in which they were found."""

    found: dict[Place, Candidate] = field(default_factory=dict)

    def at(self, place: Place) -> Candidate:
        """Return the candidate of a place, a new one where there is none."""
        return self.found.setdefault(place, Candidate(place))

    def __len__(self) -> int:
        return len(self.found)

    def column(self, name: str) -> np.ndarray:
        """Return a number of each candidate, NaN where it is not known."""
        values = (getattr(candidate, name) for candidate in self.found.values())
        return np.array([np.nan if v is None else v for v in values], dtype=float)


@dataclass(frozen=True)
class Asked:
    """What candidates are looked for, and where."""

    db: Database
    query: str
    nodes: Sequence[Nodes]
    filters: Mapping[int, Filter]
    count: int
    check: Callable[[], None]

    def filter_of(self, table: Nodes) -> Filter | None:
        """The condition on a table's rows, where there is one."""
        return self.filters.get(table.number)
