"""ATT&CK: the text of a procedure, and the technique that it is an example of.

A procedure is the text on an edge: how a group, a campaign or a piece of software used a technique.
The questions' edges are not in the file, nor is the text of any edge, and the names of all nodes
are taken out of the questions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from benchmarks.search.masking import Mask
from benchmarks.search.tasks import Edge, Node, Question, Task, draw, of_half
from demo.attack import package_folder, read_attack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from demo.attack import AttackObject, Relationship

QUESTIONS = 2_400
LEAST_WORDS = 4
LEFT_OUT = frozenset({"detection strategy"})
"""One for each technique, named after it: a second copy of the answer."""
HELD_OUT = (
    "The {edges:,} edges that the questions are the texts of, with every other edge between the "
    "same two nodes.",
    "The texts of all edges: no other procedure can be found by its words.",
    "In a question: the names and aliases of all nodes; of its own technique also the two parts "
    "of a sub-technique's name. No question can be answered by a name.",
    "A text that describes several techniques is one question with several answers.",
    "Detection strategies (one for each technique, named after it) are left out.",
)


def tasks(half: str) -> list[Task]:
    """Return the task as it is searched: among techniques, and among all kinds of nodes."""
    attack = read_attack(package_folder())
    objects = {o.stix_id: o for o in attack.objects if o.type not in LEFT_OUT}
    names = {key: name_of(o) for key, o in objects.items()}
    edges = [e for e in attack.relationships if e.source in objects and e.target in objects]
    asked = questions(procedures(edges, objects), objects)
    held = {(e.source, e.target) for part in asked.values() for e in part}
    kept = [e for e in edges if (e.source, e.target) not in held]
    all_questions = [
        Question(text, frozenset(names[e.target] for e in part)) for text, part in asked.items()
    ]
    made = Task(
        "attack",
        f"ATT&CK {attack.version}: procedure to technique",
        tuple(node(o, names[o.stix_id]) for o in objects.values()),
        tuple(Edge(names[e.source], e.type, names[e.target]) for e in kept),
        of_half(all_questions, half),
        half,
        ("technique",),
        (HELD_OUT[0].format(edges=len(edges) - len(kept)), *HELD_OUT[1:]),
    )
    title = f"{made.title}, among all kinds of nodes"
    return [made, Task(**{**vars(made), "name": "attack-all", "title": title, "node_types": None})]


def name_of(thing: AttackObject) -> str:
    """Return its type and number: the oldest mitigations have that of their technique."""
    return f"{thing.type} {thing.attack_id}"


def node(thing: AttackObject, name: str) -> Node:
    """Return an object as a row."""
    return Node(name, thing.name, thing.description, ", ".join(thing.aliases), thing.type)


def procedures(
    edges: Iterable[Relationship], objects: dict[str, AttackObject]
) -> list[Relationship]:
    """Return the edges whose texts say how a technique was used."""
    return [
        edge
        for edge in edges
        if edge.type == "uses"
        and edge.description
        and objects[edge.target].type == "technique"
        and objects[edge.target].status == "current"
    ]


def questions(
    found: list[Relationship], objects: dict[str, AttackObject]
) -> dict[str, list[Relationship]]:
    """Return masked texts and their edges: as many questions as are wanted, all edges of each."""
    all_names = Mask(name for o in objects.values() for name in (o.name, *o.aliases))
    by_text: dict[str, list[Relationship]] = defaultdict(list)
    written: dict[str, str] = {}
    for edge in found:
        own = Mask([*names_of(objects[edge.source]), *names_of(objects[edge.target])])
        text = own.out_of(all_names.out_of(edge.description))
        if len(re.findall(r"\w+", text)) >= LEAST_WORDS:
            by_text[text.lower()].append(edge)
            written.setdefault(text.lower(), text)
    texts = list(by_text)
    return {written[texts[n]]: by_text[texts[n]] for n in draw(len(texts), QUESTIONS)}


def names_of(thing: AttackObject) -> list[str]:
    """Return everything that a thing is called; both parts of a sub-technique's name."""
    parts = thing.name.split(": ") if ": " in thing.name else []
    return [thing.name, *thing.aliases, *parts]
