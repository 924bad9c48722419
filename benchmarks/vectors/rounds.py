"""All measures of all subjects on one set of vectors, the subjects taking turns."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.vectors.processes import Process

EFS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400)
WITHOUT_EF = ("sqlite-vec",)
ONCE = ("filters", "joins", "thresholds", "pages", "another", "inserts", "deletes")


def measure(
    size: str, names: Sequence[str], start: Callable[[str], Process], rounds: int
) -> dict[str, Any]:
    """Return {subject: {measure: what was found}}."""
    found: dict[str, Any] = {name: {} for name in names}
    running = {}
    for name in names:
        running[name] = start(name)
        _note(found, size, name, "build", running[name].ask("build"))
    for process in running.values():
        process.ask("search", None)  # not counted: files come into memory
    for _ in range(rounds):
        for ef in (None, *EFS):
            for name, process in running.items():
                if process.is_there and not (ef and name in WITHOUT_EF):
                    _keep_best(found[name], process.ask("search", ef))
    for name, process in running.items():
        print(size, name, json.dumps(found[name].get("search")), file=sys.stderr, flush=True)
        for what in ONCE:
            if process.is_there:
                _note(found, size, name, what, process.ask(what))
        process.end()
    for name in names:
        if "cpu_s" in found[name]["build"] and "missing" not in found[name].get("another", {}):
            process = start(name)
            _note(found, size, name, "fresh", process.ask("fresh"))
            process.end()
    return found


def _note(found: dict[str, Any], size: str, name: str, what: str, answer: Any) -> None:
    found[name][what] = answer
    print(size, name, what, json.dumps(answer), file=sys.stderr, flush=True)


def _keep_best(found: dict[str, Any], answer: dict[str, Any]) -> None:
    """Of the rounds with one ef, the one that took the least CPU time."""
    if "cpu" not in answer:
        found.setdefault("search", []).append(answer)
        return
    rows = found.setdefault("search", [])
    for place, row in enumerate(rows):
        if row.get("ef", -1) == answer["ef"]:
            rows[place] = min(row, answer, key=lambda each: each["cpu"])
            return
    rows.append(answer)
