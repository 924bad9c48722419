"""Measure the graph functions and write a report with plots.

    python -m benchmarks.graph --muninn muninn.so [--sizes 10k,100k,1M,debian,karate] [--cap 60]

`--muninn` is the loadable library out of sqlite-muninn's wheel (0.6.0 on PyPI). Every call runs in
a process of its own, is measured in CPU seconds, and is stopped after `--cap` of them, which the
report then says. The Debian graph is what `apt-cache dumpavail` gives on this machine. Leiden's
modularity is compared with graspologic-native, networkit and igraph, where they are installed.
What is not asked for keeps its results.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.graph import graphs, report

CALLS = {
    "10k": ("bfs", "path", "components", "pagerank", "closeness", "betweenness", "leiden"),
    "100k": ("bfs", "path", "components", "pagerank", "leiden"),
    "1M": ("bfs", "path", "components", "pagerank"),
    "debian": ("bfs", "path", "components", "pagerank", "leiden"),
    "karate": ("leiden",),
}
SUBJECTS = ("ours", "sqlite-muninn", "networkx")
BY_MODULARITY = ("graspologic", "networkit", "igraph")
"""Whose Leiden is compared, each in two iterations."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph", description=__doc__)
    parser.add_argument("--muninn", type=Path, help="sqlite-muninn's loadable library")
    parser.add_argument("--sizes", default="10k,100k,1M,debian,karate")
    parser.add_argument("--calls", help="only these, a comma list")
    parser.add_argument("--cap", type=float, default=60, help="most CPU seconds of one call")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/graph"))
    given = parser.parse_args()

    sizes = given.sizes.split(",")
    calls = given.calls.split(",") if given.calls else list(CALLS["10k"])
    found = [
        row
        for row in report.read(given.output)
        if row["size"] not in sizes or row["call"] not in calls
    ]
    with tempfile.TemporaryDirectory() as directory:
        for size in sizes:
            found += measure(size, Path(directory) / f"{size}.db", calls, given)
    found.sort(key=lambda row: (list(CALLS).index(row["size"]), CALLS["10k"].index(row["call"])))
    given.output.mkdir(parents=True, exist_ok=True)
    about = {"machine": platform.machine(), "python": platform.python_version(), "cap": given.cap}
    report.write(found, {**about, "threads": given.threads}, given.output)
    print(given.output / "report.md")


def measure(
    size: str, path: Path, calls: list[str], given: argparse.Namespace
) -> list[dict[str, Any]]:
    """The calls on one graph."""
    shape = graphs.write(size, path)
    if shape is None:
        print(f"{size}: left out, apt-cache has no packages here", file=sys.stderr)
        return []
    found = []
    for call in (call for call in CALLS[size] if call in calls):
        for subject in SUBJECTS + (BY_MODULARITY if call == "leiden" else ()):
            if subject == "sqlite-muninn" and not given.muninn:
                continue
            result = run(subject, call, path, shape, given)
            found.append({"size": size, **shape, "call": call, "who": subject, **result})
            print(json.dumps(found[-1]), flush=True)
    return found


def run(
    subject: str, call: str, path: Path, shape: dict[str, Any], given: argparse.Namespace
) -> dict[str, Any]:
    """One call in a process of its own."""
    request = {
        "subject": subject,
        "call": call,
        "path": str(path),
        "library": str(given.muninn),
        "threads": given.threads,
        **shape,
    }
    command = [sys.executable, "-m", "benchmarks.graph.one_call", json.dumps(request)]
    # Of CPU time, as all here: the machine may be busy. Reading the graph for a judgement, imports
    # and the second run of Leiden, which is judged, are not part of what is measured.
    seconds = math.ceil(given.cap * (2 if call == "leiden" else 1)) + 15

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"capped": given.cap}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [str(done.returncode)])[-1]}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    main()
