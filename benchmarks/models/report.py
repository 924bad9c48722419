"""The report: a page of Markdown, its figures as JSON, and plots where matplotlib is installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_BEST = "llama.cpp alone"


def write(found: dict[str, Any], directory: Path) -> None:
    """Write report.md, figures.json and the plots into a directory."""
    (directory / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    plots = _plots(found, directory)
    (directory / "report.md").write_text("\n".join(_page(found, plots)) + "\n")


def fill(page: str, found: dict[str, Any]) -> str:
    """Return a page with the tables of figures between its marks, `<!-- rates -->` and so on."""
    tables = {
        "rates": _rates(found["rates"]),
        "quantizations": _quantized(found["quantized"]),
        "shortened": _shortened(found.get("shortened")),
    }
    for name, lines in tables.items():
        table = "\n".join(line for line in lines if line.startswith("|"))
        start, end = f"<!-- {name} -->\n", "<!-- end -->"
        before, found_start, rest = page.partition(start)
        _, found_end, behind = rest.partition(end)
        if found_start and found_end and table:
            page = f"{before}{start}\n{table}\n\n{end}{behind}"
    return page


def _page(found: dict[str, Any], plots: list[str]) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return [
        f"# {found['model']} on this machine",
        "",
        f"{machine}. One thread; rates are texts per second of CPU time, the best of several "
        "rounds in which all take turns. Short texts have 20 tokens, long ones 250.",
        "",
        *_rates(found["rates"]),
        *_quantized(found["quantized"]),
        *_start(found["start"]),
        *_shortened(found.get("shortened")),
        *(f"![{plot}]({plot})" for plot in plots),
    ]


def _rates(rates: dict[str, dict[str, float]]) -> list[str]:
    best = rates[_BEST]
    lines = ["## Rates", "", "| | short | long | of llama.cpp alone |", "| --- | --: | --: | --: |"]
    for name, rate in sorted(rates.items(), key=lambda item: -item[1]["short"]):
        shares = " / ".join(f"{rate[kind] / best[kind]:.0%}" for kind in ("short", "long"))
        lines.append(f"| {name} | {rate['short']:.1f} | {rate['long']:.2f} | {shares} |")
    return [*lines, ""]


def _quantized(types: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "## Quantizations",
        "",
        "Against the first, over 96 sentences.",
        "",
        "| type | MB | mean squared error | rank correlation | nearest 10 | short | long | mix "
        "| computed by |",
        "| --- | --: | --: | --: | --: | --: | --: | --- | --- |",
    ]
    for kind, figures in types.items():
        mix = ", ".join(f"{name} {share:.0%}" for name, share in figures["mix"].items())
        rates = figures["rates"]
        lines.append(
            f"| {kind} | {figures['size'] / 1e6:.1f} | {figures['mean_squared_error']:.1e} "
            f"| {figures['rank_correlation']:.4f} | {figures['neighbours_shared']:.3f} "
            f"| {rates['short']:.1f} | {rates['long']:.2f} | {mix} "
            f"| {figures['computed_by']} |"
        )
    return [*lines, ""]


def _start(start: dict[str, dict[str, float]]) -> list[str]:
    lines = [
        "## Time",
        "",
        "Milliseconds, medians of five processes, by the clock (so the machine's load counts).",
        "",
    ]
    lines += [f"| | {' | '.join(start)} |", f"| --- |{' --: |' * len(start)}"]
    for name in next(iter(start.values())):
        lines.append(f"| {name} | {' | '.join(f'{of[name]:.1f}' for of in start.values())} |")
    return [*lines, ""]


def _shortened(shortened: dict[str, Any] | None) -> list[str]:
    if not shortened:
        return []
    lines = [
        "## Shortened vectors",
        "",
        f"Of {shortened['texts']:,} descriptions of MITRE ATT&CK: the share of each text's ten "
        "nearest that stay, the share of names that find their own description among ten, and the "
        "bytes that a vector takes in memory and in the file.",
        "",
        "| dimensions | nearest 10 kept | own text found | memory | file |",
        "| --: | --: | --: | --: | --: |",
    ]
    for dimensions, of in shortened["dimensions"].items():
        lines.append(
            f"| {dimensions} | {of['kept']:.3f} | {of['found']:.3f} "
            f"| {of['memory']:,} | {of['file']:,} |"
        )
    return [*lines, ""]


def _plots(found: dict[str, Any], directory: Path) -> list[str]:
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "muninn"  # the same figures give the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, kind in zip(axes, ("short", "long"), strict=True):
        ordered = sorted(found["rates"].items(), key=lambda item: item[1][kind])
        axis.barh([name for name, _ in ordered], [rate[kind] for _, rate in ordered])
        axis.set_title(f"{kind} texts")
        axis.set_xlabel("texts per CPU second")
    figure.savefig(directory / "rates.svg", metadata={"Date": None})
    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for kind, figures in list(found["quantized"].items())[1:]:
        axis.scatter(figures["size"] / 1e6, figures["mean_squared_error"])
        axis.annotate(kind, (figures["size"] / 1e6, figures["mean_squared_error"]))
    axis.set(xlabel="MB", ylabel="mean squared error", yscale="log", title="quantizations")
    figure.savefig(directory / "quantized.svg", metadata={"Date": None})
    return ["rates.svg", "quantized.svg"]
