"""Functions of numpy, scipy and networkx: the first line of a docstring, and the function it is of.

A set where neighbours are no answers: "see also" leads to others of the kind, and the question is
for one. It shows what following edges costs where there is nothing to follow.
"""

from __future__ import annotations

import importlib
import inspect
import random
import re
import warnings
from importlib.metadata import version
from typing import NamedTuple

from benchmarks.search.tasks import Edge, Node, Question, Task, of_half

MODULES = {
    "numpy": ("", "linalg", "fft", "random", "ma", "polynomial"),
    "scipy": (
        *("stats", "signal", "linalg", "optimize", "sparse", "sparse.linalg", "sparse.csgraph"),
        *("special", "interpolate", "ndimage", "spatial", "spatial.distance", "integrate", "fft"),
        *("cluster.hierarchy", "io"),
    ),
    "networkx": ("",),
}
LEAST, MOST = 250, 1_500
LEAST_WORDS = 3
SEE_ALSO = re.compile(r"See Also\n-+\n(.*?)(?:\n\n\w|\Z)", re.DOTALL)
HELD_OUT = (
    "The first paragraph of a docstring, which is the question, without the function's name.",
    "Summaries that more than three functions share.",
)


class Function(NamedTuple):
    """A docstring in parts."""

    module: str
    name: str
    summary: str
    text: str
    see_also: tuple[str, ...]


def tasks(half: str) -> list[Task]:
    """Return the task; none where scipy or networkx is missing."""
    try:
        known = _functions()
    except ImportError:
        return []
    by_name: dict[str, str] = {}
    for each in known:
        by_name.setdefault(each.name, f"{each.module}.{each.name}")
    edges = {
        Edge(f"{each.module}.{each.name}", "see also", by_name[other])
        for each in known
        for other in each.see_also
        if other in by_name and by_name[other] != f"{each.module}.{each.name}"
    }
    versions = ", ".join(f"{name} {version(name)}" for name in MODULES)
    return [
        Task(
            "functions",
            f"Summary to function: {versions}",
            tuple(Node(f"{f.module}.{f.name}", f.name, f.text, "", "function") for f in known),
            tuple(sorted(edges)),
            of_half(_questions(known), half),
            half,
            None,
            HELD_OUT,
        )
    ]


def _functions() -> list[Function]:
    """Each docstring once, under the first name that it is found by."""
    found: dict[str, Function] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = (f"{top}.{part}".rstrip(".") for top, parts in MODULES.items() for part in parts)
        for module in names:
            there = importlib.import_module(module)
            for name in sorted(vars(there)):
                thing = vars(there)[name]
                told = inspect.getdoc(thing) if callable(thing) and name[0] != "_" else None
                if told and len(told) >= LEAST and told not in found:
                    parts = _parts(module, name, told)
                    if parts is not None:
                        found[told] = parts
    return list(found.values())


def _parts(module: str, name: str, told: str) -> Function | None:
    paragraphs = re.split(r"\n\s*\n", told)
    if paragraphs[0].startswith(f"{name}("):
        del paragraphs[0]
    if len(paragraphs) < 2:
        return None
    rest = "\n\n".join(paragraphs[1:])
    also = SEE_ALSO.search(rest)
    others: list[str] = []
    if also is not None:
        rest = rest.replace(also[0], "")
        lines = [line for line in also[1].splitlines() if not line.startswith(" ")]
        others = [word.rpartition(".")[2] for line in lines for word in re.split("[,: ]+", line)]
    text = " ".join(re.sub(r">>>.*", "", rest).split())[:MOST]
    summary = re.sub(rf"\b{re.escape(name)}\b", " ", paragraphs[0], flags=re.IGNORECASE)
    return Function(module, name, " ".join(summary.split()), text, tuple(dict.fromkeys(others)))


def _questions(known: list[Function]) -> list[Question]:
    asked: dict[str, tuple[str, set[str]]] = {}
    for each in known:
        if len(each.summary.split()) >= LEAST_WORDS:
            _, names = asked.setdefault(each.summary.lower(), (each.summary, set()))
            names.add(f"{each.module}.{each.name}")
    found = [Question(text, frozenset(names)) for text, names in asked.values() if len(names) <= 3]
    random.Random(1).shuffle(found)
    return found[:1_000]
