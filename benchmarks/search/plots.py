"""Plots of the report, where matplotlib is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

APART = ("embed", "fulltext")


def quality_plot(tasks: dict[str, Any], directory: Path) -> list[str]:
    """Draw nDCG@10 with its intervals, one panel a task."""
    pyplot = _pyplot()
    if pyplot is None:
        return []
    figure, panels = pyplot.subplots(
        1, len(tasks), figsize=(4 + 3 * len(tasks), 5), sharey=True, layout="constrained"
    )
    panels = [panels] if len(tasks) == 1 else panels
    names = list(dict.fromkeys(name for task in tasks.values() for name in task["runs"]))
    for axes, task in zip(panels, tasks.values(), strict=True):
        runs = {name: task["runs"][name] for name in reversed(names) if name in task["runs"]}
        means = [run["nDCG@10"][0] for run in runs.values()]
        errors = [
            [run["nDCG@10"][0] - run["nDCG@10"][1] for run in runs.values()],
            [run["nDCG@10"][2] - run["nDCG@10"][0] for run in runs.values()],
        ]
        colours = [_colour(name) for name in runs]
        axes.barh(list(runs), means, xerr=errors, color=colours, ecolor="#444", capsize=2)
        axes.set_title(task["title"].replace(": ", ":\n").replace(", ", ",\n"), fontsize=9)
        axes.set_xlabel("nDCG@10")
        axes.grid(visible=True, axis="x", alpha=0.3)
    return [_save(figure, directory, "quality.svg")]


def speed_plot(found: dict[str, Any], directory: Path) -> list[str]:
    """Draw what each stage takes at each size."""
    pyplot = _pyplot()
    if pyplot is None:
        return []
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    sizes = found["sizes"]
    xs = [size["nodes"] for size in sizes]
    for stage in sizes[-1]["stages"]:
        line = "--" if stage in APART else "-"
        axes.plot(xs, [s["stages"].get(stage, 0) for s in sizes], line, marker=".", label=stage)
    axes.set(xlabel="nodes", ylabel="ms, median", xscale="log", yscale="log")
    axes.legend(fontsize=8, ncols=2)
    axes.grid(visible=True, alpha=0.3)
    return [_save(figure, directory, "speed.svg")]


def _colour(name: str) -> str:
    if name.startswith("cookbook"):
        return "#c44e52"
    return "#4c72b0" if "graph" in name or "popularity" in name else "#b0b0b0"


def _save(figure: Any, directory: Path, name: str) -> str:
    figure.savefig(directory / name, metadata={"Date": None})
    return name


def _pyplot() -> Any:
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "muninn"  # the same figures give the same file
    from matplotlib import pyplot

    return pyplot
