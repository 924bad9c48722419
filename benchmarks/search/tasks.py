"""What a task is: a graph, questions, their answers, and two halves of the questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CHOOSING, REPORTING = "choosing", "reporting"
SEED = 20261122


class Node(NamedTuple):
    """A row of the node table."""

    name: str
    label: str
    text: str
    aliases: str
    type: str


class Edge(NamedTuple):
    """A row of the edge table; ends are the names of nodes."""

    source: str
    type: str
    target: str


class Question(NamedTuple):
    """A text and the names of the nodes that answer it."""

    text: str
    answers: frozenset[str]


@dataclass(frozen=True)
class Task:
    """One benchmark."""

    name: str
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    questions: tuple[Question, ...]
    half: str
    """Which half of a task's questions these are."""
    node_types: tuple[str, ...] | None = None
    """Kinds that may be returned; None: all."""
    held_out: tuple[str, ...] = ()
    """Sentences for the report: what the file does not hold of the questions."""
    aliases: bool = False
    """Whether the declaration names the column of aliases."""


def halves(count: int) -> dict[str, list[int]]:
    """Return the numbers of the questions of each half, as they are drawn, once for all.

    Not in the order of the file: the first few of them are a sample of all.
    """
    drawn = np.random.default_rng(SEED).permutation(count).tolist()
    middle = count // 2
    return {CHOOSING: drawn[:middle], REPORTING: drawn[middle:]}


def draw(count: int, most: int) -> list[int]:
    """Return `most` numbers below `count`, in the order in which they are drawn."""
    drawn: list[int] = np.random.default_rng(SEED + 1).permutation(count)[:most].tolist()
    return drawn


def of_half(questions: Sequence[Question], half: str) -> tuple[Question, ...]:
    """Return the questions of one half."""
    return tuple(questions[number] for number in halves(len(questions))[half])
