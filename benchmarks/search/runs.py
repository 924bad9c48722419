"""The ways to search that are compared, all of them the engine that users have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.search.cookbook import Cookbook
from benchmarks.search.database import GRAPH
from benchmarks.search.measures import judge
from sqlite_utils_muninn import search

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.search.tasks import Question, Task

ALONE = {"expand_hops": 0}


@dataclass(frozen=True)
class Run:
    """One way to search."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_graph: bool = False
    reranks: bool = False
    cookbook: str | None = None
    of_aliases: bool = False
    """Whether it is about tasks alone that declare aliases."""


RUNS = (
    Run("full text", {**ALONE, "alpha": 1.0}),
    Run("vectors", {**ALONE, "alpha": 0.0}),
    Run("fusion by rank (RRF)", {**ALONE, "fusion": "rrf"}),
    Run("fusion, convex", ALONE),
    Run("fusion + reranker, blended", ALONE, reranks=True),
    Run("fusion + reranker alone", {**ALONE, "rerank_weight": 1.0}, reranks=True),
    Run("cookbook: betweenness", cookbook="betweenness", is_graph=True),
    Run("cookbook: PageRank", cookbook="pagerank", is_graph=True),
    Run("fusion * popularity, no walk", {"damping": 0.0}, is_graph=True),
    Run("graph, popularity 0", {"popularity": 0.0}, is_graph=True),
    Run("graph, names 0", {"names": 0.0}, is_graph=True),
    Run("graph, aliases not declared", {"graph": GRAPH}, is_graph=True, of_aliases=True),
    Run("graph (default)", is_graph=True),
    Run("graph + reranker, blended", is_graph=True, reranks=True),
)


@dataclass(frozen=True)
class Bench:
    """One task's file with its questions' vectors."""

    conn: sqlite3.Connection
    task: Task
    vectors: np.ndarray
    reranker: Callable[[str, Sequence[str]], Sequence[float]] | None = None

    def measure(self, run: Run, questions: int | None = None) -> np.ndarray:
        """Return the measures of each of the first questions: (questions, 3)."""
        asked = self.task.questions[:questions]
        ranked = self._cookbook(run.cookbook) if run.cookbook else self._search(run)
        return np.array(
            [judge(ranked(n, question), question.answers) for n, question in enumerate(asked)]
        )

    def _cookbook(self, by: str) -> Callable[[int, Question], list[str]]:
        recipe = Cookbook(self.conn, self.task, by)
        return lambda n, _: recipe.ranked(self.vectors[n].tobytes())

    def _search(self, run: Run) -> Callable[[int, Question], list[str]]:
        settings = dict(run.settings)
        if run.reranks:
            settings["reranker"] = self.reranker

        def ranked(n: int, question: Question) -> list[str]:
            answer = search(
                self.conn,
                question.text,
                query_vector=self.vectors[n].tobytes(),
                node_types=self.task.node_types,
                **settings,
            )
            return [str(row.node) for row in answer.rows]

        return ranked
