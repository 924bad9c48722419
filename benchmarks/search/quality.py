"""All runs on all tasks: what is chosen on one half is measured on the other."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.search import attack, cwe, functions, twohop
from benchmarks.search.choose import FUSION, GRAPH, choose, choose_type_weights
from benchmarks.search.database import opened, question_vectors
from benchmarks.search.judged import KeptReranker
from benchmarks.search.measures import MEASURES, by_answer, estimate
from benchmarks.search.runs import RUNS, Bench, Run
from benchmarks.search.tasks import CHOOSING, REPORTING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from benchmarks.search.database import Models
    from benchmarks.search.tasks import Task

NAMES = (
    *("cwe", "cwe-named", "cwe-examples", "attack", "attack-all"),
    *("two-hop", "two-hop-aliases", "functions"),
)
CHOSEN_ON = {
    "cwe": "cwe",
    "cwe-examples": "cwe",
    "attack": "attack-all",
    "attack-all": "attack-all",
}
"""Settings are chosen once for each graph; the other tasks are there to test the defaults."""
TUNED: dict[str, dict[str, tuple[Any, ...]]] = {"fusion, convex": FUSION, "graph (default)": GRAPH}


class Counts(NamedTuple):
    """How many questions are asked, at most."""

    choosing: int
    reporting: int | None
    reranked: int


def measure(
    models: Models, cache: Path, names: tuple[str, ...], counts: Counts
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each task's name and figures, as soon as they are there."""
    choices = {}
    choosing_on = tuple(dict.fromkeys(CHOSEN_ON[name] for name in names if name in CHOSEN_ON))
    for bench in _benches(CHOOSING, models, cache, choosing_on):
        choices[bench.task.name] = _chosen(bench, counts.choosing)
        _say(bench.task.name, choices[bench.task.name])
    for bench in _benches(REPORTING, models, cache, names):
        task = bench.task
        chosen = choices.get(CHOSEN_ON.get(task.name, ""), {})
        yield (
            task.name,
            {
                "title": task.title,
                "nodes": len(task.nodes),
                "edges": len(task.edges),
                "questions": len(task.questions[: counts.reporting]),
                "returned": list(task.node_types or ["all kinds"]),
                "held_out": list(task.held_out),
                "chosen": chosen,
                **_figures(bench, chosen, counts),
            },
        )


def tasks(half: str, names: tuple[str, ...]) -> list[Task]:
    """Return the tasks of those names."""
    makers = (cwe.tasks, attack.tasks, twohop.tasks, functions.tasks)
    return [task for make in makers for task in make(half) if task.name in names]


def _benches(half: str, models: Models, cache: Path, names: tuple[str, ...]) -> Iterator[Bench]:
    reranker = KeptReranker(models, cache) if models.reranker is not None else None
    for task in tasks(half, names):
        conn = opened(task, models, cache)
        vectors = question_vectors([q.text for q in task.questions], models, cache)
        yield Bench(conn, task, vectors, reranker)
        conn.close()


def _chosen(bench: Bench, questions: int) -> dict[str, dict[str, Any]]:
    """Settings for the runs that have any, by the run's name."""
    by_name = {run.name: run for run in RUNS}
    found = {name: choose(bench, by_name[name], grid, questions) for name, grid in TUNED.items()}
    graph = found["graph (default)"]
    weights = choose_type_weights(bench, by_name["graph (default)"], graph, questions)
    if weights:
        graph["type_weights"] = weights
    return found


def _figures(bench: Bench, chosen: dict[str, dict[str, Any]], counts: Counts) -> dict[str, Any]:
    """Every run's estimates, and each run's difference from the default's."""
    values = {}
    for run in (*RUNS, *_tuned(chosen)):
        if (run.reranks and bench.reranker is None) or (run.of_aliases and not bench.task.aliases):
            continue
        values[run.name] = bench.measure(run, counts.reranked if run.reranks else counts.reporting)
        _say(bench.task.name, run.name, values[run.name].mean(0).round(4).tolist())
    default = values["graph (default)"]
    answers = [question.answers for question in bench.task.questions]
    runs = {}
    for name, own in values.items():
        count = len(own)
        runs[name] = {
            "questions": count,
            **{m: estimate(own[:, n]) for n, m in enumerate(MEASURES)},
            "by_answer": by_answer(own[:, 0], answers[:count]),
            "default_is_better_by": estimate(default[:count, 0] - own[:, 0]),
        }
    return {"runs": runs, "best_without_graph": _best_without_graph(values)}


def _best_without_graph(values: dict[str, np.ndarray]) -> str:
    """The best run that does not look at edges, by the figures that are reported."""
    graph = {run.name for run in RUNS if run.is_graph}
    most = max(map(len, values.values()))
    plain = [
        name
        for name, own in values.items()
        if name not in graph and "graph" not in name and len(own) == most
    ]
    return max(plain, key=lambda name: float(values[name][:, 0].mean()))


def _tuned(chosen: dict[str, dict[str, Any]]) -> list[Run]:
    by_name = {run.name: run for run in RUNS}
    return [
        replace(
            by_name[name],
            name=f"{name.replace(' (default)', '')}, chosen on the other half",
            settings={**by_name[name].settings, **settings},
        )
        for name, settings in chosen.items()
    ]


def _say(*parts: Any) -> None:
    print(json.dumps(parts), file=sys.stderr, flush=True)
