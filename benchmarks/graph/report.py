"""The report: a page with tables and, where matplotlib is there, plots."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

WHO = ("ours", "sqlite-muninn", "networkx")


def read(directory: Path) -> list[dict[str, Any]]:
    """The results of a run before."""
    path = directory / "results.json"
    calls: list[dict[str, Any]] = json.loads(path.read_text())["calls"] if path.exists() else []
    return calls


def write(found: list[dict[str, Any]], about: dict[str, Any], directory: Path) -> None:
    """Write report.md, results.json and a plot for each size."""
    (directory / "results.json").write_text(json.dumps({"about": about, "calls": found}, indent=1))
    lines = [
        "# Graph functions",
        "",
        f"CPU seconds on {about['machine']}, Python {about['python']}, {about['threads']} threads. "
        "Cold: the edge table is read, too (networkx: built from it). Warm: the arrays are there, "
        'results are computed anew. networkx\'s "leiden" is its Louvain. The calls of a line were '
        "run one after the other on one machine, lines maybe on different days: compare within "
        "a line.",
        "",
    ]
    for size in dict.fromkeys(row["size"] for row in found):
        rows = [row for row in found if row["size"] == size]
        lines += [f"## {size}: {rows[0]['nodes']:,} nodes, {rows[0]['edges']:,} edges", ""]
        plot = _plot(size, rows, directory)
        lines += [f"![CPU seconds]({plot})", ""] if plot else []
        lines += [
            "| call | ours, cold | ours, warm | sqlite-muninn | networkx | muninn / cold "
            "| muninn / warm | peak MB |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += [_line(call, rows) for call in dict.fromkeys(row["call"] for row in rows)] + [""]
        lines += _modularity([row for row in rows if row["call"] == "leiden"])
    (directory / "report.md").write_text("\n".join(lines))


def _modularity(rows: list[dict[str, Any]]) -> list[str]:
    """How good the communities are; the CPU seconds of peers are those of the search alone."""
    judged = [row for row in rows if isinstance(row.get("answer"), dict)]
    if not judged:
        return []
    lines = [
        "Leiden in two iterations:",
        "",
        "| | modularity | communities | of them not connected | CPU seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in judged:
        answer, seconds = row["answer"], _seconds(row, "warm" if "warm" in row else "cold")
        lines.append(
            f"| {row['who']} | {answer['modularity']:.4f} | {answer['communities']:,} "
            f"| {answer['apart']:,} | {seconds} |"
        )
    return [*lines, ""]


def _line(call: str, rows: list[dict[str, Any]]) -> str:
    of = {row["who"]: row for row in rows if row["call"] == call}
    ours, peer = of["ours"], of.get("sqlite-muninn", {})
    cells = [
        call,
        _seconds(ours, "cold"),
        _seconds(ours, "warm"),
        _seconds(peer, "cold"),
        _seconds(of.get("networkx", {}), "cold"),
        _ratio(peer, ours, "cold"),
        _ratio(peer, ours, "warm"),
        str(ours.get("peak_mb", "")),
    ]
    return "| " + " | ".join(cells) + " |"


def _seconds(row: dict[str, Any], which: str) -> str:
    if "capped" in row:
        return f"over {row['capped']:g}, stopped"
    if "failed" in row:
        return f"failed: {row['failed'][:60]}"
    return f"{row[which]:.4f}" if which in row else ""


def _ratio(peer: dict[str, Any], ours: dict[str, Any], which: str) -> str:
    if which not in ours or not {"cold", "capped"} & set(peer):
        return ""
    more = "" if "cold" in peer else "over "
    return f"{more}{peer.get('cold', peer.get('capped')) / max(ours[which], 1e-6):,.0f} x"


def _plot(size: str, rows: list[dict[str, Any]], directory: Path) -> str | None:
    try:
        import matplotlib as mpl
    except ImportError:
        return None
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    calls = list(dict.fromkeys(row["call"] for row in rows))
    series = [("ours, warm", "ours", "warm"), ("ours, cold", "ours", "cold")]
    series += [(who, who, "cold") for who in WHO[1:]]
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.7 * len(calls)))
    for number, (label, who, which) in enumerate(series):
        values = [
            next(
                (
                    r.get(which, r.get("capped", 0))
                    for r in rows
                    if (r["call"], r["who"]) == (c, who)
                ),
                0,
            )
            for c in calls
        ]
        axes.barh([i + 0.2 * number for i in range(len(calls))], values, 0.2, label=label)
    axes.set_yticks([i + 0.3 for i in range(len(calls))], calls)
    axes.set_xscale("log")
    axes.set_xlabel("CPU seconds (a call that was stopped: the time it had)")
    axes.set_title(f"{size}: {rows[0]['nodes']:,} nodes, {rows[0]['edges']:,} edges")
    axes.legend()
    figure.tight_layout()
    figure.savefig(directory / f"{size}.png", dpi=110)
    plt.close(figure)
    return f"{size}.png"
