"""The report: a page of Markdown, its figures as JSON, and plots where matplotlib is installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.search.measures import MEASURES
from benchmarks.search.plots import quality_plot, speed_plot

if TYPE_CHECKING:
    from pathlib import Path

INTRODUCTION = """\
Each run is the engine of `knowledge_graph_search` with other settings, except for the cookbook,
which is SQL. Questions are split in halves by chance; settings are chosen on one and figures come
from the other. Intervals are 95 %, from a bootstrap over questions (2,000 resamples); those of
differences are paired. Embeddings are all-MiniLM-L6-v2's.

The reranker is a small one, trained on descriptions of Debian packages: here it is **out of its
field**, so its rows show what blending guards against, not what a good reranker is worth.

The defaults themselves were found with a prototype on other halves of such sets, so that some of
these questions had a say in them; the runs "chosen on the other half" are free of that.

"By answer" is nDCG@10 averaged over the answers instead of the questions: a run that wins by
knowing which answers are asked for most often does worse there.
"""


def read(directory: Path) -> dict[str, Any]:
    """Return the figures of the last run: a run of one part leaves the other as it was."""
    path = directory / "figures.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(found: dict[str, Any], directory: Path) -> None:
    """Write report.md, figures.json and the plots into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = ["# Search", ""]
    if "quality" in found:
        plots = quality_plot(found["quality"], directory)
        lines += ["## Quality", "", INTRODUCTION, *_images(plots)]
        for task in found["quality"].values():
            lines += _task(task)
    if "speed" in found:
        plots = speed_plot(found["speed"], directory)
        lines += [*_speed(found["speed"]), *_images(plots)]
    (directory / "report.md").write_text("\n".join(lines).rstrip() + "\n")


def _images(names: list[str]) -> list[str]:
    return [line for name in names for line in (f"![{name}]({name})", "")]


def _task(task: dict[str, Any]) -> list[str]:
    best = task["runs"][task["best_without_graph"]]["default_is_better_by"]
    return [
        f"### {task['title']}",
        "",
        f"{task['nodes']:,} nodes, {task['edges']:,} edges, {task['questions']:,} questions; "
        f"returned: {', '.join(task['returned'])}. Held out:",
        "",
        *(f"- {sentence}" for sentence in task["held_out"]),
        "",
        "| | nDCG@10 | recall@5 | recall@10 | by answer | the default is better by |",
        "| --- | --- | --- | --- | --: | --- |",
        *(_row(name, run, task) for name, run in task["runs"].items()),
        "",
        f"The best run without edges is *{task['best_without_graph']}*; the default is better by "
        f"{_points(best)} points of nDCG@10.",
        "",
        *_chosen(task["chosen"]),
    ]


def _row(name: str, run: dict[str, Any], task: dict[str, Any]) -> str:
    few = f" ({run['questions']} questions)" if run["questions"] < task["questions"] else ""
    measures = " | ".join(_interval(run[measure]) for measure in MEASURES)
    shown = f"**{name}**" if name == "graph (default)" else name
    apart = "" if name == "graph (default)" else _points(run["default_is_better_by"])
    return f"| {shown}{few} | {measures} | {_short(run['by_answer'])} | {apart} |"


def _chosen(chosen: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for name, settings in chosen.items():
        said = ", ".join(f"`{key}={value}`" for key, value in settings.items())
        lines += [f"Chosen for *{name}*: {said or 'the defaults'}.", ""]
    return lines


def _interval(estimate: list[float]) -> str:
    mean, low, high = map(_short, estimate)
    return f"{mean} ({low}-{high})"


def _points(estimate: list[float]) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in estimate)
    return f"{mean} ({low} to {high})"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _speed(found: dict[str, Any]) -> list[str]:
    sizes = found["sizes"]
    stages = list(dict.fromkeys(stage for size in sizes for stage in size["stages"]))
    lines = [
        "## Speed",
        "",
        found["about"],
        "",
        "| "
        + " | ".join(["median, ms", *(f"{s['nodes']:,} / {s['edges']:,}" for s in sizes)])
        + " |",
        "| --- |" + " --: |" * len(sizes),
    ]
    for stage in stages:
        values = (f"{size['stages'].get(stage, 0):.2f}" for size in sizes)
        lines.append(f"| {stage} | {' | '.join(values)} |")
    for key in found["totals"]:
        values = (f"**{size[key]:.1f}**" for size in sizes)
        lines.append(f"| **{key}** | {' | '.join(values)} |")
    return [*lines, ""]
