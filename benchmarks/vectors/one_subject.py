"""One subject in one process: reads commands as JSON lines, answers each with a JSON line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.vectors.measures import Bench
from benchmarks.vectors.subjects import subject


def bench(request: dict[str, Any]) -> tuple[Bench, Any]:
    """The subject that was asked for, and how to make another one of its kind."""
    folder = Path(request["data"])
    # As plain arrays: numpy's memmap costs microseconds at each access.
    vectors, queries, bars = (
        np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
        for name in ("vectors", "queries", "bars")
    )

    def make() -> Any:
        path = Path(request["path"])
        return subject(request["subject"], path, len(vectors), request["library"])

    return Bench(make(), vectors, queries.copy(), bars.copy()), make


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no answer
    measured, make = bench(json.loads(sys.argv[1]))
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        if name == "another":
            arguments = [make()]
        try:
            answer = getattr(measured, name)(*arguments)
        except NotImplementedError:
            answer = {"missing": True}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
