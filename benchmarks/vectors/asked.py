"""What a vector table is to reach, and what it reached in one run: CPU time, as in all tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Found = dict[str, dict[str, Any]]
Row = tuple[str, str, str]
"""What is asked, what was found, whether it is reached."""


def at_recall(measured: dict[str, Any], wanted: float) -> float | None:
    """CPU time of a search at some recall: between two values of ef, along the line."""
    rows = [row for row in measured.get("search", []) if "recall" in row]
    above = [row for row in rows if row["recall"] >= wanted]
    if not above:
        return None
    best = min(above, key=lambda row: row["cpu"])
    faster = [row for row in rows if row["recall"] < wanted and row["cpu"] < best["cpu"]]
    if not faster:
        return float(best["cpu"])
    under = max(faster, key=lambda row: row["recall"])
    share = (wanted - under["recall"]) / (best["recall"] - under["recall"])
    return float(under["cpu"] + share * (best["cpu"] - under["cpu"]))


def asked(found: Found) -> Iterator[Row]:
    """Everything that was measured of what is asked."""
    ours = found.get("ours", {})
    if "cpu_s" not in ours.get("build", {}):
        return
    yield from _searching(found, ours)
    yield from _building(found, ours)
    if "cpu" in ours.get("another", {}):
        took = ours["another"]["cpu"] / 1e3
        yield _row("one more connection to its first answer", took, "{:.1f} ms", most=5)
    if "one" in ours.get("inserts", {}):
        one, many = ours["inserts"]["one"], ours["inserts"]["thousand"]
        yield _row("a single insert", one["cpu"] / 1e3, "{:.2f} ms", most=1)
        yield _row("1,000 rows in a transaction", many["cpu"] / 1e3, "{:.0f} ms", most=50)


def _searching(found: Found, ours: dict[str, Any]) -> Iterator[Row]:
    default = next((row for row in ours.get("search", []) if row.get("ef", -1) is None), None)
    if default and "recall" in default:
        yield _row("recall@10 by default", default["recall"], "{:.4f}", least=0.99)
    mine = at_recall(ours, 0.99)
    theirs = {name: at_recall(found.get(name, {}), 0.99) for name in found}
    if mine and (alone := theirs.get("engine")):
        yield _row("at recall .99, of the engine's time", mine / alone, "{:.1f} x", most=2)
    for name, times in (("vectorlite", 1), ("sqlite-muninn", 10)):
        if mine and (peer := theirs.get(name)):
            yield _row(
                f"at recall .99, times as fast as {name}", peer / mine, "{:.1f} x", least=times
            )


def _building(found: Found, ours: dict[str, Any]) -> Iterator[Row]:
    build, fresh = ours["build"], ours.get("fresh", {})
    peer = found.get("hnswlib", {}).get("build", {}).get("cpu_s")
    if peer:
        yield _row("build, of hnswlib's CPU time", build["cpu_s"] / peer, "{:.2f} x", most=1)
    yield _row("file, bytes a vector", build["files"] / build["count"], "{:,.0f}", most=2_300)
    # A process's own few MB are no vector's.
    if "anonymous" in fresh and build["count"] >= 10_000:
        taken = fresh["anonymous"] / build["count"]
        yield _row("memory, bytes a vector", taken, "{:,.0f}", most=1_000)


def _row(
    what: str, value: float, shown: str, *, most: float | None = None, least: float | None = None
) -> Row:
    unit = shown.partition("}")[2]
    limit = f"at most {most:,g}{unit}" if most is not None else f"at least {least:g}{unit}"
    reached = value <= most if most is not None else value >= (least or 0)
    return f"{what}: {limit}", shown.format(value), "yes" if reached else "no"
