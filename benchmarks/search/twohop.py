"""Questions whose answer takes two passages: one names a thing that only the other describes.

Made from ATT&CK's descriptions alone: each is a passage, and what two passages write with capitals
is an entity, as a plain extractor of names would find it. "Since when has the group behind X been
active?" names X; X's passage names the group; the group's passage has the answer. Both passages are
gold. The relationships of ATT&CK are not in the file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.search.masking import Mask
from benchmarks.search.tasks import Edge, Node, Question, Task, of_half
from demo.attack import package_folder, read_attack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.attack import AttackObject

TEMPLATES = {
    ("campaign", "group"): (
        "Which country is believed to sponsor the group responsible for {}?",
        "Since when has the group behind {} been active?",
        "What sectors does the threat actor that conducted {} usually target?",
    ),
    ("malware", "group"): (
        "What industries have been targeted by the group that developed {}?",
        "From which country does the threat group using {} operate?",
        "When did the actors who deploy {} begin their activity?",
    ),
    ("tool", "group"): ("What is the motivation of the group that used {}?",),
    ("malware", "malware"): (
        "In which programming language is the malware written that is similar to {}?",
        "What is the purpose of the malware that {} downloads or resembles?",
    ),
}
LEFT_OUT = frozenset({"detection strategy"})
SHORTEST = 4
CAPITALS = re.compile(r"\b(?:[A-Z][\w-]*|C\d{4})(?:[ -][A-Z0-9][\w-]*)*")
OPENERS = re.compile(
    r"^(?:(?:A|Additionally|Adversar(?:y|ies)|An|As|At|Because|By|For|However|If|In|It|Its|Many|On"
    r"|Once|Other|Since|Some|Such|The|Their|There|These|They|This|To|When|While)\b ?)+"
)
"""Words that a sentence begins with, and no name does."""
HELD_OUT = (
    "ATT&CK's relationships: all edges are from a passage to a name that its text or title has.",
    "A question has the name of the first passage and not that of the second.",
)
ALIASED = (
    "A question has an alias in place of the name. Aliases are in a column of the nodes, of which "
    "full text and vectors are made, too."
)


def tasks(half: str) -> list[Task]:
    """Return the task."""
    attack = read_attack(package_folder())
    things = [
        o
        for o in attack.objects
        if o.type not in LEFT_OUT and o.status == "current" and o.description
    ]
    passages = [Node(name_of(o), o.name, o.description, "", "passage") for o in things]
    entities, edges = _mentions(passages)
    made = Task(
        "two-hop",
        f"Two passages of ATT&CK {attack.version} answer a question",
        (*passages, *entities),
        tuple(edges),
        of_half(list(_questions(things)), half),
        half,
        ("passage",),
        HELD_OUT,
    )
    return [made, _by_aliases(made, {name_of(thing): thing for thing in things})]


def _by_aliases(task: Task, things: Mapping[str, AttackObject]) -> Task:
    """The same questions, by other names of what they name; the nodes have them, too."""
    nodes = (
        node._replace(aliases=", ".join(things[node.name].aliases)) if node.name in things else node
        for node in task.nodes
    )
    return replace(
        task,
        name="two-hop-aliases",
        title=f"{task.title}, asked by another name",
        nodes=tuple(nodes),
        questions=tuple(q for asked in task.questions for q in _renamed(asked, things)),
        held_out=(*HELD_OUT, ALIASED),
        aliases=True,
    )


def _renamed(asked: Question, things: Mapping[str, AttackObject]) -> list[Question]:
    """A question by other names, two at most, of the one thing that it names."""
    both = [things[name] for name in sorted(asked.answers)]
    texts = [
        asked.text.replace(thing.name, alias)
        for thing in both
        if thing.name in asked.text
        for alias in thing.aliases[:2]
    ]
    # An alias may be longer by a word.
    texts = [text for text in texts if not any(thing.name in text for thing in both)]
    return [Question(text, asked.answers) for text in texts]


def name_of(thing: AttackObject) -> str:
    """Return the name of a thing's passage."""
    return f"{thing.type} {thing.attack_id}"


def _mentions(passages: list[Node]) -> tuple[list[Node], list[Edge]]:
    """Entities and the passages that mention them: titles, and capitals in two passages."""
    places: dict[str, dict[str, str]] = defaultdict(dict)
    titles = {passage.label.lower() for passage in passages}
    for passage in passages:
        for name in (passage.label, *_capitals(passage.text)):
            places[name.lower()].setdefault(passage.name, name)
    entities, edges = [], []
    for name, where in places.items():
        if len(where) > 1 or name in titles:
            entities.append(Node(f"entity {name}", min(where.values()), "", "", "entity"))
            edges += [Edge(passage, "mentions", f"entity {name}") for passage in where]
    return entities, edges


def _capitals(text: str) -> list[str]:
    names = (OPENERS.sub("", match) for match in CAPITALS.findall(text))
    return [name for name in names if len(name) >= SHORTEST]


def _questions(things: list[AttackObject]) -> list[Question]:
    """One for each pair of which the first one's text names the second."""
    found: dict[str, Question] = {}
    for thing in things:
        named = [
            other
            for other in things
            if (thing.type, other.type) in TEMPLATES
            and other is not thing
            and len(other.name) >= SHORTEST
            and other.name in thing.description
            and Mask([other.name]).out_of(thing.description) != " ".join(thing.description.split())
        ]
        for other in named:
            choices = TEMPLATES[thing.type, other.type]
            text = choices[len(found) % len(choices)].format(thing.name)
            if other.name.lower() not in text.lower():
                found.setdefault(text, Question(text, frozenset({name_of(thing), name_of(other)})))
    return list(found.values())
