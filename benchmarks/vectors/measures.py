"""What is measured of one subject: CPU time, the median by the clock, and whether it is right.

Times are microseconds, unless their name says otherwise. CPU time counts all threads; `cpu` is the
median call's, `cpu_mean` that of all, with what comes up once in a while.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.vectors import truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.vectors.subjects import Subject

K = 10
LEAST, ENOUGH = 5, 1.5
"""Calls that are always made; seconds after which no more are."""
SHARES = (0.01, 0.1, 0.5, 0.9, 1.0)
COUNTS = (1, 10, 100, 1_000)
OFFSETS = (0, 10, 100, 1_000)
SINGLE = 200
"""Rows that are inserted one by one."""


def timed(
    call: Callable[..., Any], cases: Iterable[tuple[Any, ...]]
) -> tuple[list[Any], dict[str, float]]:
    """Make calls until there are no more cases or `ENOUGH` is enough: results, and their times."""
    results, walls, cpus = [], [], []
    started = time.perf_counter()
    for case in cases:
        begun, cpu = time.perf_counter(), time.process_time()
        results.append(call(*case))
        cpus.append(time.process_time() - cpu)
        walls.append(time.perf_counter() - begun)
        if len(walls) >= LEAST and begun - started > ENOUGH:
            break
    return results, {
        "cpu": 1e6 * float(np.median(cpus)),
        "cpu_mean": 1e6 * float(np.mean(cpus)),
        "p50": 1e6 * float(np.median(walls)),
        "p99": 1e6 * float(np.quantile(walls, 0.99)),
        "calls": len(walls),
    }


def private_memory() -> int:
    """Bytes that this process alone has: files that are mapped do not count."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


class Bench:
    """One subject, its vectors and its queries. Each public method is a measure."""

    def __init__(self, subject: Subject, vectors: Any, queries: Any, bars: Any) -> None:
        self.subject = subject
        self.vectors = vectors
        self.queries = queries
        self.bars = bars
        self.added = range(len(vectors) + 1, len(vectors) + 1 + SINGLE + len(queries))
        """Ids of rows that come and go."""
        self.chosen: set[str] = set()

    def build(self) -> dict[str, Any]:
        """Seconds until all vectors are indexed and written."""
        before = private_memory()
        cpu, wall = time.process_time(), time.perf_counter()
        self.subject.build(self.vectors)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {
            "count": len(self.vectors),
            "cpu_s": cpu,
            "wall_s": wall,
            "anonymous": private_memory() - before,
            "reported": self.subject.memory(),
            "files": self.subject.files(),
        }

    # ---- Searching ----

    def search(self, ef: int | None) -> dict[str, Any]:
        """Ask for the nearest ten of every query."""
        cases = ((query, K, ef) for query in self.queries)
        found, taken = timed(self.subject.search, cases)
        return {"ef": ef, "recall": self._recall(found, self.bars, K), **taken}

    def _recall(self, found: list[list[int]], bars: Any, wanted: int) -> float:
        hits = [
            min(truth.hits(self.vectors, query, bar, ids), wanted)
            for query, bar, ids in zip(self.queries, bars, found, strict=False)
        ]
        return float(np.mean(hits)) / wanted

    def filters(self) -> list[dict[str, Any]]:
        """Ask for the nearest ten among some."""
        return [self._among(self.subject.among, *chosen) for chosen in self._choices()]

    def joins(self) -> list[dict[str, Any]]:
        """The same, with a join."""
        return [self._among(self.subject.joined, *chosen) for chosen in self._choices()]

    def _choices(self) -> Iterator[tuple[str, Any]]:
        """Tables of ids, from one row to all, each made once."""
        chance = np.random.default_rng(5)
        total = len(self.vectors)
        for size in sorted({*(c for c in COUNTS if c < total), *(int(s * total) for s in SHARES)}):
            ids = np.sort(chance.choice(total, size, replace=False)) + 1
            name = f"chosen_{size}"
            if name not in self.chosen:
                self.subject.choose(name, ids)
                self.chosen.add(name)
            yield name, ids

    def _among(self, ask: Callable[..., list[int]], name: str, ids: Any) -> dict[str, Any]:
        wanted = min(K, len(ids))
        ask(name, self.queries[0], K)
        found, taken = timed(ask, ((name, query, K) for query in self.queries[:200]))
        bars = truth.bars(self.vectors[ids - 1], self.queries[: len(found)], wanted)
        if any(not set(each) <= set(ids.tolist()) for each in found):
            return {"rows": len(ids), "failed": "gave rows that do not qualify"}
        return {"rows": len(ids), "recall": self._recall(found, bars, wanted), **taken}

    def thresholds(self) -> list[dict[str, Any]]:
        """Ask for all that are nearer than so much; how much is chosen for 1, 10, ... rows."""
        rows = []
        for wanted in (count for count in COUNTS if count <= len(self.vectors)):
            queries = self.queries[:50]
            bars = truth.bars(self.vectors, queries, wanted)
            # A bit farther than the last, so that rounding does not decide.
            cases = [(q, float(1 - bar) + 1e-4) for q, bar in zip(queries, bars, strict=True)]
            self.subject.within(*cases[0])
            found, taken = timed(self.subject.within, cases)
            rows.append({"rows": wanted, "recall": self._recall(found, bars, wanted), **taken})
        return rows

    def pages(self) -> list[dict[str, Any]]:
        """Ask for ten after so many; recall is that of the page and all before it."""
        rows = []
        queries = self.queries[:50]
        for offset in (each for each in OFFSETS if each + K <= len(self.vectors)):
            self.subject.page(queries[0], K, offset)
            found, taken = timed(self.subject.page, ((query, K, offset) for query in queries))
            pages = [
                self.subject.page(query, offset, 0) + page
                for query, page in zip(queries, found, strict=False)
            ]
            bars = truth.bars(self.vectors, queries, offset + K)
            recall = self._recall(pages, bars, offset + K)
            rows.append({"offset": offset, "recall": recall, **taken})
        return rows

    # ---- Opening ----

    def another(self, subject: Subject) -> dict[str, float]:
        """Open it once more, ask one question, and close it."""
        first = self._opened(subject)
        subject.close()
        rounds = []
        for _ in range(10):
            rounds.append(self._opened(subject))
            subject.close()
        again = {name: float(np.median([each[name] for each in rounds])) for name in ("cpu", "p50")}
        return {**again, "first_p50": first["p50"]}

    def _opened(self, subject: Subject) -> dict[str, float]:
        def ask() -> None:
            subject.open()
            subject.search(self.queries[0], K, None)

        return timed(ask, [()])[1]

    def fresh(self) -> dict[str, Any]:
        """Open it in a process that has not seen it; ask, and wait until all is indexed."""
        self.subject.load_code()
        before = private_memory()
        answer = self._opened(self.subject)
        cpu, wall = time.process_time(), time.perf_counter()
        self.subject.settle()
        settled = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        for query in self.queries[:50]:
            self.subject.search(query, K, None)
        memory = {"anonymous": private_memory() - before, "reported": self.subject.memory()}
        return {"answer": answer, "settled": settled, **memory}

    # ---- Writing ----

    def inserts(self) -> dict[str, Any]:
        """Add vectors one by one, then a thousand at once; and find what was added."""
        new = self.queries
        cases = zip(self.added[:SINGLE], new[:SINGLE], strict=True)
        _, one = timed(self.subject.insert, cases)
        found = self.subject.search(new[0], 1, None)
        _, many = timed(self.subject.insert_all, [(self.added[SINGLE:], new)])
        _, after = timed(self.subject.search, [(new[-1], K, None)])
        is_found = found[:1] == [self.added[0]]
        return {"one": one, "thousand": many, "search_after": after, "found": is_found}

    def deletes(self) -> dict[str, Any]:
        """Remove what `inserts` added one by one; it must not be found any more."""
        gone = self.added[:SINGLE]
        _, one = timed(self.subject.delete, ((id_,) for id_ in gone))
        found = [self.subject.search(query, 1, None) for query in self.queries[: len(gone)]]
        return {"one": one, "found": sum(id_ in gone for ids in found for id_ in ids)}
