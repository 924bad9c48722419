r"""Measure vector tables beside other indexes and write a report with plots.

    python -m benchmarks.vectors --model all-MiniLM-L6-v2.gguf --wordnet usr/share/wordnet \
        [--vectorlite vectorlite.so] [--muninn muninn.so] [--sizes 1k,10k,100k,500k] [--cap 900]

The vectors are MiniLM's of one-line texts, made once: see texts.py for where those come from. Above
100,000 they are jittered copies, for timing only. `--vectorlite` and `--muninn` are the loadable
libraries out of the wheels of vectorlite-py 0.2.0 and sqlite-muninn 0.6.0. hnswlib, faiss-cpu and
pysqlite3 are from PyPI (`pip install --group bench`); what is not installed is reported so.

Each subject has a process and one thread; they are asked in turn, several rounds of everything, and
the round with the least CPU time counts. A call is stopped after `--cap` seconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from benchmarks.vectors import report, truth
from benchmarks.vectors.embedded import embedded
from benchmarks.vectors.processes import Process
from benchmarks.vectors.rounds import measure
from benchmarks.vectors.subjects import NAMES

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "500k": 500_000}
REAL = 100_000
CACHE = user_cache_path("muninn") / "benchmarks"
LEFT_OUT = {
    # Its 21 ms an insert grow with the table.
    "100k": ("sqlite-muninn",),
    "500k": ("sqlite-muninn", "usearch", "faiss"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vectors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, help="MiniLM as a GGUF file")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--vectorlite", type=Path, help="vectorlite's loadable library")
    parser.add_argument("--muninn", type=Path, help="sqlite-muninn's loadable library")
    parser.add_argument("--sizes", default="1k,10k,100k,500k")
    parser.add_argument("--subjects", default=",".join(NAMES))
    parser.add_argument("--cap", type=float, default=900, help="most seconds of one call")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="for embedding, nothing else")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/vectors"))
    given = parser.parse_args()

    sizes = {size: SIZES[size] for size in given.sizes.split(",")}
    vectors, queries = embedded(
        min(REAL, max(sizes.values())), given.model, given.wordnet, given.cache, given.threads
    )
    results = earlier(given.output)
    for size, count in sizes.items():
        with tempfile.TemporaryDirectory() as directory:
            data = Path(directory)
            write(data, jittered(vectors, count), queries)
            results[size] = {"about": about(given), "subjects": compare(size, data, given)}
        save({name: results[name] for name in SIZES if name in results}, given.output)
    print(given.output / "report.md")


def earlier(output: Path) -> dict[str, Any]:
    """What runs of other sizes found: a size that is run again replaces its own results only."""
    try:
        found: dict[str, Any] = json.loads((output / "results.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def about(given: argparse.Namespace) -> dict[str, Any]:
    """What was measured, where."""
    commit = ["git", "describe", "--always", "--dirty"]
    return {
        "commit": subprocess.run(commit, capture_output=True, text=True).stdout.strip(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cap": given.cap,
        "rounds": given.rounds,
    }


def jittered(vectors: Any, count: int) -> Any:
    """Return `count` vectors: what there is, then copies that are turned by about 17 degrees."""
    chance = np.random.default_rng(3)
    parts = [vectors[:count]]
    for start in range(len(vectors), count, len(vectors)):
        more = vectors[: count - start]
        noise = chance.standard_normal(more.shape, np.float32) * (0.3 / more.shape[1] ** 0.5)
        moved = more + noise
        parts.append(moved / np.linalg.norm(moved, axis=1, keepdims=True))
    return np.concatenate(parts)


def write(data: Path, vectors: Any, queries: Any) -> None:
    """Write what all subjects are given."""
    np.save(data / "vectors.npy", vectors)
    np.save(data / "queries.npy", queries)
    np.save(data / "bars.npy", truth.bars(vectors, queries, 10))


def compare(size: str, data: Path, given: argparse.Namespace) -> dict[str, Any]:
    """All subjects on vectors of one size."""
    libraries = {"vectorlite": given.vectorlite, "sqlite-muninn": given.muninn}
    names = [
        name
        for name in given.subjects.split(",")
        if name not in LEFT_OUT.get(size, ()) and libraries.get(name, name)
    ]

    def start(name: str) -> Process:
        library = libraries.get(name)
        request = {
            "subject": name,
            "data": str(data),
            "path": str(data / f"{name}.db"),
            "library": str(library.resolve()) if library else None,
        }
        return Process(request, given.cap)

    return measure(size, names, start, given.rounds)


def save(results: dict[str, Any], output: Path) -> None:
    """Write the report of what there is so far."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, output)


if __name__ == "__main__":
    main()
