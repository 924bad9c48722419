"""What a search answers: rows, each with its reasons, and how the search went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Key = tuple[str, Any]
"""What tells a node from all others of its graph: its table and its id."""


@dataclass(frozen=True)
class Node:
    """A node as it is shown."""

    table: str
    node: Any
    """Its id, as it is stored."""
    rowid: int | None
    label: str
    type: str | None

    @property
    def key(self) -> Key:
        """Its table and its id."""
        return self.table, self.node


@dataclass(frozen=True)
class Seed(Node):
    """A node that matched the query itself."""

    rank: int
    """Its place among those that did, 1 is the best."""
    is_named: bool = False
    """Whether the query has its name."""
    called: str | None = None
    """The words by which the query names it, where they are not its label."""

    def why(self) -> str:
        """Say how it came to be a seed."""
        if not self.is_named:
            return "matches the query itself"
        return "is named in the query" + (f" ({self.called})" if self.called else "")


@dataclass(frozen=True)
class Step:
    """One edge of a path, in the order in which the path takes it."""

    source: Any
    source_label: str
    source_table: str
    type: str
    target: Any
    target_label: str
    target_table: str
    direction: str
    """'forward': along the edge's arrow, 'reverse': against it."""
    share: float
    """How much of the target's own weight came along this edge, 0 to 1."""
    reads: str
    """How the type reads the way the path goes: 'mitigated by', where the graph says so."""

    def arrow(self) -> str:
        """Return ' -[uses]-> ', or the inverse's words, or ' <-[uses]- '."""
        if self.direction == "forward" or self.reads != self.type:
            return f" -[{self.reads}]-> "
        return f" <-[{self.type}]- "


@dataclass(frozen=True)
class Via:
    """Why a row is there.

    ``direct``, the share of the last step of the path and ``rest`` (all other edges into the node)
    add up to 1.
    """

    seed: Seed | None
    """The seed that contributes most, maybe the row itself; None: many give a little each."""
    direct: float
    """The share of the row's weight that comes from its own match."""
    path: tuple[Step, ...] = ()
    """From the seed to the row; empty where the row is the seed."""
    rest: float = 0.0

    def sentence(self) -> str:
        """Say it: `Kerberoasting -[mitigated by]-> Encrypt Sensitive Information, seed rank 2`."""
        if self.seed is None:
            return "many weak ways lead here"
        if not self.path:
            return f"{self.seed.why()}, seed rank {self.seed.rank}"
        words = [self.seed.label]
        for step in self.path:
            words += [step.arrow(), step.target_label]
        return f"{''.join(words)}, seed rank {self.seed.rank}"


@dataclass(frozen=True)
class Row(Node):
    """A row of the answer. What a stage did not look at is None."""

    text: str
    """The row's texts: what a page shows the beginning of."""
    rank: int
    score: float
    """What rows are ordered by, larger is better: see `rank_by`."""
    hop: int | None
    """Steps from the nearest candidate, 0: it is one itself."""
    fts_rank: int | None
    """Place in the full-text match."""
    bm25: float | None
    """FTS5's measure, smaller (more negative) is better."""
    distance: float | None
    """Of its vector from the query's, in the table's metric."""
    name_match: float | None
    """How telling its name is, which the query has, 0 to 1."""
    fused: float | None
    """Full text, meaning and name in one number, 0 to 1."""
    rerank_score: float | None
    """What the cross-encoder says, 0 to 1."""
    relevance: float | None
    """`fused` and `rerank_score` in one number, 0 to 1; the seeds are made of it."""
    ppr: float | None
    """How often the walk from the seeds is here; sums to 1 over the nodes it reaches."""
    via: Via


@dataclass(frozen=True)
class Edge:
    """An edge between nodes that the answer names."""

    source: Any
    source_table: str
    target: Any
    target_table: str
    type: str
    weight: float
    table: str


@dataclass(frozen=True)
class Stage:
    """One stage of the search: its name, how long it took (wall clock), how much came of it."""

    name: str
    milliseconds: float
    count: int


@dataclass(frozen=True)
class Answer:
    """The answer to a query."""

    graph: str
    """The name of the graph that was searched."""
    declared: bool
    """Whether somebody declared it; else it was proposed from what the file has."""
    query: str
    rows: list[Row]
    nodes: list[Node]
    """Nodes on the paths that are no rows."""
    edges: list[Edge]
    """The edges between the rows, and on their paths."""
    stages: list[Stage]
    missing: list[str]
    """Sentences: what was not there, and what was done instead."""
