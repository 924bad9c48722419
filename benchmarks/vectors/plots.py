"""Plots of the report, where matplotlib is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    """Write the plots; returns {title: file name}."""
    try:
        import matplotlib as mpl
    except ImportError:
        return {}
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    drawn: dict[str, str] = {}
    for size, found in sizes.items():
        drawn |= _one(
            plt, directory, f"Recall against time, {size}", f"recall-{size}", _recall, found
        )
        drawn |= _one(plt, directory, f"rowid IN (...), {size}", f"filters-{size}", _filters, found)
        drawn |= _one(plt, directory, f"Building, {size}", f"build-{size}", _build, found)
        drawn |= _one(plt, directory, f"Opening, {size}", f"open-{size}", _open, found)
        drawn |= _one(plt, directory, f"Inserting, {size}", f"insert-{size}", _insert, found)
    drawn |= _one(plt, directory, "Growth", "growth", _growth, sizes)
    return drawn


def _one(plt: Any, directory: Path, title: str, name: str, plot: Any, given: Any) -> dict[str, str]:
    figure, axes = plt.subplots(figsize=(8, 4.5))
    plot(axes, given)
    is_empty = not axes.lines and not axes.patches
    if not is_empty:
        axes.set_title(title)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        figure.tight_layout()
        figure.savefig(directory / f"{name}.png", dpi=110)
    plt.close(figure)
    return {} if is_empty else {title: f"{name}.png"}


def _recall(axes: Any, found: dict[str, Any]) -> None:
    """What a recall costs; up and left is better. The ring is the default."""
    for name, measured in found.items():
        rows = [row for row in measured.get("search", []) if "recall" in row]
        swept = sorted((r for r in rows if r["ef"]), key=lambda r: int(r["ef"])) or rows
        if swept:
            line = {"marker": ".", "color": COLOURS[name], "label": name}
            axes.plot([r["cpu"] for r in swept], [r["recall"] for r in swept], **line)
        for row in rows:
            if row["ef"] is None:
                axes.plot(row["cpu"], row["recall"], "o", mfc="none", ms=10, color=COLOURS[name])
    axes.set(
        xscale="log", xlabel="CPU microseconds a search", ylabel="recall@10", ylim=(0.85, 1.002)
    )
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
        n: m["another"]["p50"] / 1e3 for n, m in found.items() if "p50" in m.get("another", {})
    }
    _bars(axes, opened, "milliseconds from opening to the first answer, one more connection")


def _insert(axes: Any, found: dict[str, Any]) -> None:
    rows = {
        n: m["inserts"]["one"]["cpu"] for n, m in found.items() if "one" in m.get("inserts", {})
    }
    _bars(axes, rows, "CPU microseconds, one row in its own transaction")


def _growth(axes: Any, sizes: Sizes) -> None:
    """A search with default settings at all sizes."""
    names = dict.fromkeys(name for found in sizes.values() for name in found)
    for name in names:
        points = []
        for found in sizes.values():
            for row in found.get(name, {}).get("search", []):
                if row.get("ef", -1) is None:
                    points.append((found[name]["build"]["count"], row["cpu"]))
        if len(points) > 1:
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, marker=".", color=COLOURS[name], label=name)
    axes.set(xscale="log", yscale="log", xlabel="vectors", ylabel="CPU microseconds, default ef")
    axes.grid(visible=True, alpha=0.3)
