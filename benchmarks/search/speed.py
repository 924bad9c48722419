"""CPU time of each stage of a search, on graphs of growing size."""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

from benchmarks.search.debian import QUESTIONS, opened
from sqlite_utils_muninn import search

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from benchmarks.search.database import Models

ROUNDS = 3
APART = ("embed", "fulltext")
IDLE = 1.0
REST = "all but embedding and full text"
COLD = "the first search of a connection, embedding included"
ABOUT = (
    "Debian's package names and summaries on a Barabasi-Albert graph with TEXT ids, "
    f"{len(QUESTIONS)} questions, {ROUNDS} rounds, no reranker, one thread. CPU milliseconds: the "
    "median over questions of the least of the rounds. The embedding of the question and the "
    "full-text match are apart, for neither is the search's own."
)


def measure(models: Models, cache: Path, sizes: list[int]) -> dict[str, Any]:
    """Return figures by size; sizes without texts are left out, which is said."""
    found = []
    for nodes in sizes:
        conn = opened(nodes, replace(models, threads=1), cache)
        if conn is None:
            print("speed: left out, apt-cache has no packages here", file=sys.stderr)
            continue
        edges = conn.execute("SELECT count(*) FROM edges").fetchone()[0]
        with mock.patch("time.perf_counter", time.process_time):  # stages in CPU time
            found.append({"nodes": nodes, "edges": edges, **_one_size(conn)})
        conn.close()
        print(found[-1], file=sys.stderr, flush=True)
    return {"about": ABOUT, "totals": [REST, COLD], "sizes": found}


def _wait_until_idle() -> None:
    """Wait while a thread puts the vectors' index together, which is nobody's search."""
    while True:
        before = time.process_time()
        time.sleep(IDLE)
        if time.process_time() - before < IDLE / 20:
            return


def _one_size(conn: sqlite3.Connection) -> dict[str, Any]:
    started = time.process_time()
    search(conn, QUESTIONS[0], model="embedding")
    cold = 1e3 * (time.process_time() - started)
    _wait_until_idle()
    best: dict[str, dict[str, float]] = defaultdict(dict)
    rest: dict[str, float] = {}
    for _ in range(ROUNDS):
        for question in QUESTIONS:
            started = time.process_time()
            answer = search(conn, question, model="embedding")
            whole = 1e3 * (time.process_time() - started)
            own = {stage.name: stage.milliseconds for stage in answer.stages}
            own_rest = whole - sum(own.get(name, 0) for name in APART)
            rest[question] = min(own_rest, rest.get(question, own_rest))
            for name, spent in own.items():
                best[name][question] = min(spent, best[name].get(question, spent))
    return {
        "stages": {name: statistics.median(spent.values()) for name, spent in best.items()},
        REST: statistics.median(rest.values()),
        "worst question": max(rest.values()),
        COLD: cold,
    }
