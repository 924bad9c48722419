"""The report: a page of Markdown with tables; plots.py draws what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.vectors import plots
from benchmarks.vectors.asked import asked, at_recall

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RECALLS = (0.95, 0.99)
Found = dict[str, dict[str, Any]]

ABOUT = {
    "ours": "`hnsw_index` through SQL",
    "engine": "the neighbour graph of `hnsw_index` called on arrays, candidates put in order with "
    "vectors in memory",
    "vectorlite": "vectorlite 0.2.0 through SQL (hnswlib); writes its index when a connection "
    "closes, and not before",
    "sqlite-vec": "sqlite-vec 0.1.9 through SQL; looks at every vector",
    "sqlite-muninn": "sqlite-muninn 0.6.0 through SQL",
    "usearch": "usearch on arrays, float16, inner product",
    "hnswlib": "hnswlib 0.8 on arrays, compiled here for this processor",
    "faiss": "faiss-cpu's HNSW on arrays",
}


def write(results: dict[str, Any], directory: Path) -> None:
    """Write report.md and the plots; `results` has what was found by size."""
    drawn = plots.draw({size: each["subjects"] for size, each in results.items()}, directory)
    lines = [
        "# Vector tables",
        "",
        "Vectors of 384 dimensions: MiniLM's of Debian's package summaries and WordNet's "
        "definitions; 1,000 others of the same kind are searched for. Above 100,000 they are "
        "jittered copies: their times count, their recall says nothing about real texts. Every "
        "graph has m = 16 and ef_construction = 200. One thread. CPU time counts background "
        "threads, too; a search's is the median call's, in the best of several rounds in which "
        "the subjects took turns. p50 is by the clock. All SQL has WAL and synchronous = NORMAL. "
        "An empty cell: the subject does not offer it. Machines differ, and so do hours: compare "
        "within a table.",
        "",
        "Made with `python -m benchmarks.vectors`, whose `--help` says where the peers' libraries "
        "and the texts come from. [results.json](results.json) has every figure.",
        "",
        *(f"- **{name}**: {text}" for name, text in ABOUT.items()),
        "",
        *_plot(drawn, "growth"),
    ]
    for size, each in results.items():
        lines += _size(size, each["about"], each["subjects"], drawn)
    (directory / "report.md").write_text("\n".join(lines))


def _plot(drawn: dict[str, str], name: str) -> list[str]:
    return [f"![{drawn[name]}]({name}.png)", ""] if name in drawn else []


def _size(size: str, about: dict[str, Any], found: Found, drawn: dict[str, str]) -> list[str]:
    return [
        f"## {size}",
        "",
        f"At {about['commit']}; {about['machine']}, Python {about['python']}; "
        f"{about['rounds']} rounds. {about.get('note', '')}".rstrip(),
        "",
        *_table("### What is asked, in CPU time", ("", "found", "reached"), asked(found)),
        *_plot(drawn, f"recall-{size}"),
        *_searches(found),
        *_plot(drawn, f"build-{size}"),
        *_plot(drawn, f"open-{size}"),
        *_files(found),
        *_plot(drawn, f"insert-{size}"),
        *_changes(found),
        *_plot(drawn, f"filters-{size}"),
        *_shares("### Among some rows: `rowid IN (...)`", found, "filters", "rows"),
        *_shares("### Among some rows: a join, ORDER BY distance LIMIT 10", found, "joins", "rows"),
        *_shares("### All nearer than a distance", found, "thresholds", "rows"),
        *_shares("### LIMIT 10 OFFSET so many", found, "pages", "offset"),
    ]


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    heads = list(heads)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if not lines:
        return []
    rule = "| --- |" + " --: |" * (len(heads) - 1)
    return [title, "", "| " + " | ".join(heads) + " |", rule, *lines, ""]


# ---- Searching ----


def _searches(found: Found) -> list[str]:
    heads = ["", "recall@10 by default", "us CPU", "p50"]
    for recall in RECALLS:
        heads += [f"us CPU at {recall}", "of the engine's"]
    return _table("### Searching", heads, (_search(name, found) for name in found))


def _search(name: str, found: Found) -> list[str]:
    rows = found[name].get("search", [])
    default = next((row for row in rows if row.get("ef", -1) is None), None)
    if default is None:
        return [name, _why(rows[0] if rows else found[name]["build"]), *[""] * 6]
    cells = [name, f"{default['recall']:.4f}", f"{default['cpu']:,.0f}", f"{default['p50']:,.0f}"]
    for recall in RECALLS:
        mine, engine = (at_recall(found.get(each, {}), recall) for each in (name, "engine"))
        cells.append("not reached" if mine is None else f"{mine:,.0f}")
        cells.append("" if mine is None or not engine else f"{mine / engine:.1f} x")
    return cells


# ---- Building, opening, memory ----


def _files(found: Found) -> list[str]:
    heads = [
        "",
        "build, s CPU",
        "of hnswlib's",
        "bytes of file a vector",
        "bytes of memory a vector",
        "as reported",
        "one more connection, ms CPU",
        "p50",
        "new process, ms",
        "all indexed there after s CPU",
    ]
    rows = (_file(name, found) for name in found)
    return _table("### Building and opening, to the first answer", heads, rows)


def _file(name: str, found: Found) -> list[str]:
    build, fresh = found[name]["build"], found[name].get("fresh", {})
    if "cpu_s" not in build:
        return [name, _why(build), *[""] * 8]
    count = build["count"]
    peer = found.get("hnswlib", {}).get("build", {}).get("cpu_s")
    memory = fresh if "anonymous" in fresh else build
    another = found[name].get("another", {})
    return [
        name,
        f"{build['cpu_s']:,.2f}",
        f"{build['cpu_s'] / peer:.2f} x" if peer else "",
        f"{build['files'] / count:,.0f}" if build["files"] else "",
        f"{memory['anonymous'] / count:,.0f}",
        f"{memory['reported'] / count:,.0f}" if memory["reported"] else "",
        f"{another['cpu'] / 1e3:,.1f}" if "cpu" in another else _why(another),
        f"{another['p50'] / 1e3:,.1f}" if "p50" in another else "",
        f"{fresh['answer']['p50'] / 1e3:,.1f}" if "answer" in fresh else _why(fresh),
        f"{fresh['settled']['cpu_s']:,.2f}" if "settled" in fresh else "",
    ]


# ---- Writing ----


def _changes(found: Found) -> list[str]:
    heads = [
        "",
        "insert one, us CPU (mean)",
        "p50",
        "insert 1,000, ms CPU",
        "first search after that, ms",
        "delete one, us CPU (mean)",
        "p50",
        "wrong",
    ]
    rows = (_change(name, found[name]) for name in found if "inserts" in found[name])
    return _table("### Changing", heads, (row for row in rows if any(row[1:])))


def _change(name: str, measured: dict[str, Any]) -> list[str]:
    inserts, deletes = measured["inserts"], measured.get("deletes", {})
    if "one" not in inserts:
        return [name, _why(inserts), *[""] * 6]
    wrong = [] if inserts["found"] else ["what was inserted is not found"]
    wrong += ["what was deleted is found"] if deletes.get("found") else []
    one = deletes.get("one")
    return [
        name,
        f"{inserts['one']['cpu_mean']:,.0f}",
        f"{inserts['one']['p50']:,.0f}",
        f"{inserts['thousand']['cpu'] / 1e3:,.1f}",
        f"{inserts['search_after']['p50'] / 1e3:,.2f}",
        f"{one['cpu_mean']:,.0f}" if one else _why(deletes),
        f"{one['p50']:,.0f}" if one else "",
        ", ".join(wrong),
    ]


# ---- Filters ----


def _shares(title: str, found: Found, what: str, key: str) -> list[str]:
    """Times at several selectivities; a recall that is not 1 is named, too."""
    measured = {
        name: {row[key]: row for row in found[name][what]}
        for name in found
        if isinstance(found[name].get(what), list)
    }
    numbers = sorted({number for rows in measured.values() for number in rows})
    rows = (
        [name, *(_timed(rows.get(number, {})) for number in numbers)]
        for name, rows in measured.items()
    )
    return _table(f"{title}, us CPU", ["", *(f"{number:,}" for number in numbers)], rows)


def _timed(row: dict[str, Any]) -> str:
    if "cpu" not in row:
        return _why(row)
    less = f" (recall {row['recall']:.3f})" if row["recall"] < 0.9995 else ""
    return f"{row['cpu']:,.0f}{less}"


def _why(answer: dict[str, Any]) -> str:
    if "capped" in answer:
        return f"over {answer['capped']:g} s, stopped"
    return f"failed: {answer['failed'][:60]}" if "failed" in answer else ""
