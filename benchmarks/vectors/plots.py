"""Plots of the report, where matplotlib is installed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.vectors.asked import at_recall

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COLOURS = {
    "ours": "#d62728",
    "engine": "#ff9896",
    "vectorlite": "#1f77b4",
    "sqlite-vec": "#2ca02c",
    "sqlite-muninn": "#9467bd",
    "usearch": "#8c564b",
    "hnswlib": "#7f7f7f",
    "faiss": "#bcbd22",
}
Sizes = dict[str, dict[str, dict[str, Any]]]


def draw(sizes: Sizes, directory: Path) -> dict[str, str]:
    """Write the plots; returns {file name without .png: title}."""
    try:
        import matplotlib as mpl
    except ImportError:
        return {}
    mpl.use("Agg")
    kinds = {
        "recall": ("Recall against time", _recall),
        "filters": ("Among some rows: rowid IN (...)", _filters),
        "build": ("Building", _build),
        "open": ("Opening", _open),
        "insert": ("Inserting", _insert),
    }
    drawn = {}
    for size, found in sizes.items():
        for kind, (title, plot) in kinds.items():
            if _one(directory / f"{kind}-{size}.png", f"{title}, {size}", plot, found):
                drawn[f"{kind}-{size}"] = f"{title}, {size}"
    if _one(directory / "growth.png", "Searching, by number of vectors", _growth, sizes):
        drawn["growth"] = "Searching, by number of vectors"
    return drawn


def _one(path: Path, title: str, plot: Callable[[Any, Any], None], given: Any) -> bool:
    """Write one plot; returns whether there was anything to draw."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5))
    plot(axes, given)
    is_drawn = bool(axes.lines or axes.patches)
    if is_drawn:
        axes.set_title(title)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        figure.tight_layout()
        figure.savefig(path, dpi=110)
    plt.close(figure)
    return is_drawn


def _nines(recall: float) -> float:
    """.9 is 1, .99 is 2, .999 is 3; 1 is a bit above."""
    return -math.log10(1.0003 - recall)


def _recall(axes: Any, found: dict[str, Any]) -> None:
    """What a recall costs; up and left is better. The ring is the default."""
    for name, measured in found.items():
        rows = [row for row in measured.get("search", []) if "recall" in row]
        swept = sorted((r for r in rows if r["ef"]), key=lambda r: int(r["ef"])) or rows
        if swept:
            line = {"marker": ".", "color": COLOURS[name], "label": name}
            axes.plot([r["cpu"] for r in swept], [_nines(r["recall"]) for r in swept], **line)
        for row in rows:
            if row["ef"] is None:
                ring = {"mfc": "none", "ms": 10, "color": COLOURS[name]}
                axes.plot(row["cpu"], _nines(row["recall"]), "o", **ring)
    ticks = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
    axes.set(xscale="log", xlabel="CPU microseconds a search", ylabel="recall@10")
    axes.set_yticks([_nines(tick) for tick in ticks], [str(tick) for tick in ticks])
    axes.set_ylim(_nines(0.8), _nines(1.00005))
    axes.grid(visible=True, alpha=0.3)


def _filters(axes: Any, found: dict[str, Any]) -> None:
    for name, measured in found.items():
        rows = measured.get("filters")
        if not isinstance(rows, list):
            continue
        timed = [row for row in rows if "cpu" in row]
        worst = min((row["recall"] for row in timed), default=1)
        label = name if worst > 0.995 else f"{name} (recall down to {worst:.2f})"
        line = {"marker": ".", "color": COLOURS[name], "label": label}
        line["linestyle"] = "-" if worst > 0.995 else ":"
        axes.plot([row["rows"] for row in timed], [row["cpu"] for row in timed], **line)
    axes.set(xscale="log", yscale="log", xlabel="rows that qualify", ylabel="CPU microseconds")
    axes.grid(visible=True, alpha=0.3)


def _bars(axes: Any, values: dict[str, float], label: str) -> None:
    ordered = sorted(values, key=lambda name: -values[name])
    colours = [COLOURS[name] for name in ordered]
    axes.barh(ordered, [values[name] for name in ordered], color=colours)
    axes.set(xscale="log", xlabel=label)


def _build(axes: Any, found: dict[str, Any]) -> None:
    built = {name: m["build"]["cpu_s"] for name, m in found.items() if "cpu_s" in m["build"]}
    _bars(axes, built, "CPU seconds until all is indexed and written")


def _open(axes: Any, found: dict[str, Any]) -> None:
    opened = {
        n: m["another"]["cpu"] / 1e3 for n, m in found.items() if "cpu" in m.get("another", {})
    }
    _bars(axes, opened, "CPU milliseconds from opening to the first answer, one more connection")


def _insert(axes: Any, found: dict[str, Any]) -> None:
    rows = {
        n: m["inserts"]["one"]["cpu_mean"]
        for n, m in found.items()
        if "one" in m.get("inserts", {})
    }
    _bars(axes, rows, "CPU microseconds, one row in its own transaction")


def _growth(axes: Any, sizes: Sizes) -> None:
    """What recall .99 costs at all sizes."""
    names = dict.fromkeys(name for found in sizes.values() for name in found)
    for name in names:
        measured = [found[name] for found in sizes.values() if name in found]
        times = [(each["build"].get("count"), at_recall(each, 0.99)) for each in measured]
        points = [(count, time) for count, time in times if count and time]
        if len(points) > 1:
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, marker=".", color=COLOURS[name], label=name)
    axes.set(xscale="log", yscale="log", xlabel="vectors", ylabel="CPU microseconds at recall .99")
    axes.grid(visible=True, alpha=0.3)
