"""Settings chosen on the choosing half, one after the other, each kept where it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.search.runs import Bench, Run

from dataclasses import replace

LEAST_GAIN = 0.002
"""What a setting must add to nDCG@10 to be taken over the default."""

FUSION = {"alpha": (0.2, 0.3, 0.5, 0.6, 0.7)}
GRAPH = {
    "popularity": (0.0, 0.04, 0.12),
    "alpha": (0.3, 0.5),
    "sharpness": (4.0, 5.0, 8.0),
    "damping": (0.4, 0.5, 0.7),
}
TYPE_WEIGHTS = (0.5, 2.0, 4.0)


def choose(
    bench: Bench, run: Run, grid: dict[str, tuple[Any, ...]], questions: int
) -> dict[str, Any]:
    """Return the settings that differ from the run's own, the best ones of a coordinate search."""
    best = _quality(bench, run, questions)
    chosen: dict[str, Any] = {}
    for name, values in grid.items():
        for value in values:
            tried = {**chosen, name: value}
            quality = _quality(bench, _with(run, tried), questions)
            if quality > best + LEAST_GAIN:
                best, chosen = quality, tried
    return chosen


def choose_type_weights(
    bench: Bench, run: Run, settings: dict[str, Any], questions: int
) -> dict[str, float]:
    """Return weights of edge types that help, 1 where a type is not named."""
    best = _quality(bench, _with(run, settings), questions)
    weights: dict[str, float] = {}
    for kind in sorted({edge.type for edge in bench.task.edges}):
        for value in TYPE_WEIGHTS:
            tried = {**weights, kind: value}
            quality = _quality(bench, _with(run, {**settings, "type_weights": tried}), questions)
            if quality > best + LEAST_GAIN:
                best, weights = quality, tried
    return weights


def _with(run: Run, settings: dict[str, Any]) -> Run:
    return replace(run, settings={**run.settings, **settings})


def _quality(bench: Bench, run: Run, questions: int) -> float:
    return float(bench.measure(run, questions)[:, 0].mean())
