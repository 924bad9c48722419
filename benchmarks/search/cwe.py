"""CWE: the text of a vulnerability (CVE), and the weakness that it is an example of.

The examples are read from the file of the ``cwe2`` package. There are two tasks: weaknesses alone,
where no example is in the file; and weaknesses with examples as nodes, where those of the other
half are, which is a graph that has seen cases before.
"""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.search.masking import Mask
from benchmarks.search.tasks import Edge, Node, Question, Task, halves

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "cwe2"
MENTION = re.compile(r"CWE-\d+\s*(?:\([^)]*\))?", re.IGNORECASE)
LEAST_WORDS = 3
HELD_OUT = (
    "Every observed example: its text is in no node's text.",
    "In a question: every `CWE-123 (Name)`, and the names of all weaknesses. No question can be "
    "answered by a name; the field's words, `XSS` or `SQL injection`, stay.",
    "The same text under several weaknesses is one question with several answers.",
)
WITH_NAMES = (
    HELD_OUT[0],
    "In a question: every `CWE-123 (Name)`. Where a text says `use after free`, that stays.",
    HELD_OUT[2],
)
HELD_OUT_WITH_EXAMPLES = (
    *HELD_OUT[1:],
    "The examples of the other half of the questions are nodes, without those that share a CVE "
    "number with a question that is asked.",
)


@dataclass
class Example:
    """A text that stands under one or more weaknesses, and the CVE numbers given with it."""

    text: str
    weaknesses: set[str]
    numbers: set[str]


class Catalogue:
    """The file, read once."""

    def __init__(self, path: Path) -> None:
        self.root = ET.parse(path).getroot()
        self.space = self.root.tag.partition("}")[0] + "}"
        found = self.root.find(f"{self.space}Weaknesses")
        assert found is not None
        self.weaknesses = list(found)

    @property
    def version(self) -> str:
        """The release of CWE."""
        return self.root.get("Version", "")

    def said(self, element: ET.Element | None, *path: str) -> str:
        """Return the text of an element, or of one inside it, in one line."""
        for step in path:
            element = element.find(self.space + step) if element is not None else None
        return "" if element is None else " ".join(" ".join(element.itertext()).split())

    def nodes(self) -> Iterator[Node]:
        """Each weakness, with what it is called otherwise."""
        for weakness in self.weaknesses:
            terms = weakness.iter(f"{self.space}Alternate_Term")
            texts = [self.said(weakness, f"{kind}Description") for kind in ("", "Extended_")]
            yield Node(
                name_of(weakness),
                weakness.get("Name", ""),
                "\n\n".join(filter(None, texts)),
                ", ".join(self.said(term, "Term") for term in terms),
                "weakness",
            )

    def edges(self) -> Iterator[Edge]:
        """Each relation between two weaknesses once, whatever views it is in."""
        seen = set()
        for weakness in self.weaknesses:
            for related in weakness.iter(f"{self.space}Related_Weakness"):
                target = f"CWE-{related.get('CWE_ID')}"
                edge = Edge(name_of(weakness), related.get("Nature", ""), target)
                if edge not in seen:
                    seen.add(edge)
                    yield edge

    def examples(self, *, names: bool = False) -> list[Example]:
        """Each text of an observed example once, without the names of weaknesses or with them."""
        mask = Mask(() if names else (w.get("Name", "") for w in self.weaknesses))
        found: dict[str, Example] = {}
        for weakness in self.weaknesses:
            for observed in weakness.iter(f"{self.space}Observed_Example"):
                whole = self.said(observed, "Description")
                example = found.setdefault(whole.lower(), Example(whole, set(), set()))
                example.weaknesses.add(name_of(weakness))
                example.numbers.add(self.said(observed, "Reference"))
        for example in found.values():
            example.text = mask.out_of(MENTION.sub(" ", example.text))
        return [e for e in found.values() if len(re.findall(r"\w+", e.text)) >= LEAST_WORDS]


def name_of(weakness: ET.Element) -> str:
    """Return CWE-79 and the like."""
    return f"CWE-{weakness.get('ID')}"


def read() -> Catalogue:
    """Open the package's file; ModuleNotFoundError says how to install it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the package {PACKAGE!r} is not installed: pip install cwe2")
    paths = list(Path(spec.origin).parent.glob("database_*/cwec_v*.xml"))
    if len(paths) != 1:
        raise ValueError(f"{PACKAGE}: expected one cwec_v*.xml, found {len(paths)}")
    return Catalogue(paths[0])


def tasks(half: str) -> list[Task]:
    """Return both tasks for one half of the questions."""
    catalogue = read()
    nodes, edges = tuple(catalogue.nodes()), tuple(catalogue.edges())
    examples = catalogue.examples()
    own = halves(len(examples))[half]
    questions = tuple(Question(examples[n].text, frozenset(examples[n].weaknesses)) for n in own)
    numbers = {number for n in own for number in examples[n].numbers}
    others = [
        (f"example {n}", example)
        for n, example in enumerate(examples)
        if n not in set(own) and not example.numbers & numbers
    ]
    cases = tuple(Node(name, min(e.numbers), e.text, "", "example") for name, e in others)
    observed = tuple(Edge(name, "example of", w) for name, e in others for w in e.weaknesses)
    title = f"CWE {catalogue.version}: vulnerability to weakness"
    whole = catalogue.examples(names=True)
    named = tuple(
        Question(whole[n].text, frozenset(whole[n].weaknesses)) for n in halves(len(whole))[half]
    )
    return [
        Task("cwe", title, nodes, edges, questions, half, None, HELD_OUT),
        Task("cwe-named", f"{title}, names stay", nodes, edges, named, half, None, WITH_NAMES),
        Task(
            "cwe-examples",
            f"{title}, other examples are nodes",
            (*nodes, *cases),
            (*edges, *observed),
            questions,
            half,
            ("weakness",),
            HELD_OUT_WITH_EXAMPLES,
        ),
    ]
