"""The selector language: dbt's way to say which nodes of a lineage are meant.

    a        the node            +a     and its ancestors       2+a+1   at most so many steps away
    @a       the node, its descendants, and all ancestors of those
    a b      union               a,b    intersection            not a   all others
    stg_*    every node whose id matches (*, ? and [...], as in file names)

Union binds weakest, then intersection, then ``not``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .traversal import bfs

if TYPE_CHECKING:
    from .graph import Graph
    from .traversal import Tree
    from .work import Work

SELF, ANCESTOR, DESCENDANT, BOTH, CLOSURE, SELECTED = (
    "self",
    "ancestor",
    "descendant",
    "both",
    "closure",
    "selected",
)

STRIDE = 10_000
"""Nodes between two questions whether to stop."""

_ATOM = re.compile(r"^(?:(?P<up>\d*)\+)?(?P<node>.+?)(?:\+(?P<down>\d*))?$")


class Found(NamedTuple):
    """How far a node is from the one that is named, and on which side."""

    depth: int
    direction: str


Selection = Mapping[int, Found]


@dataclass(frozen=True)
class Selector:
    """Evaluates selectors on one graph."""

    graph: Graph
    work: Work

    def select(self, text: str) -> Selection:
        """The nodes that a selector names. Raises ValueError where it is empty or names none."""
        unions = text.split()
        if not unions:
            raise ValueError(f"{self.work.caller}: the selector is empty")
        terms = _join_not(self.work.caller, unions)
        parts = [self._term(is_not, term) for is_not, term in terms]
        if len(parts) == 1:
            return parts[0]
        return _selected(set().union(*parts))

    def _term(self, is_not: bool, text: str) -> Selection:
        atoms = text.split(",")
        if not all(atoms):
            raise ValueError(
                f"{self.work.caller}: a comma needs a selector on either side: {text!r}"
            )
        parts = [self._atom(atom) for atom in atoms]
        found = parts[0] if len(parts) == 1 else _selected(set(parts[0]).intersection(*parts[1:]))
        return _selected(set(range(self.graph.nodes)) - set(found)) if is_not else found

    def _atom(self, text: str) -> Selection:
        exact = self.graph.find(text)  # an id may contain any of the signs
        if exact >= 0:
            return {exact: Found(0, SELF)}
        match = _ATOM.match(text)
        if match is None:
            raise ValueError(f"{self.work.caller}: {text!r} is no selector")
        name = match["node"]
        if name.startswith("@") and self.graph.find(name) < 0:
            nodes = self._nodes(name[1:])
            if match["up"] is not None or match["down"] is not None:
                raise ValueError(f"{self.work.caller}: '@' and '+' do not go together: {text!r}")
            return self._closure(nodes)
        nodes = self._nodes(name)
        found = {node: Found(0, SELF) for node in nodes}
        if match["up"] is not None:
            self._add(found, nodes, "reverse", match["up"], ANCESTOR)
        if match["down"] is not None:
            self._add(found, nodes, "forward", match["down"], DESCENDANT)
        return found

    def _nodes(self, name: str) -> list[int]:
        exact = self.graph.find(name)
        if exact >= 0:
            return [exact]
        if any(sign in name for sign in "*?["):
            match = re.compile(fnmatch.translate(name)).match
            ids = self.graph.ids.take(range(self.graph.nodes))
            nodes = [n for n, value in enumerate(ids) if match(_as_text(value))]
            if nodes:
                return nodes
        raise ValueError(f"{self.work.caller}: node {name!r} not found")

    def _add(
        self, found: dict[int, Found], nodes: list[int], way: str, steps: str, direction: str
    ) -> None:
        most = int(steps) if steps else self.graph.nodes
        tree = bfs(self.graph, nodes, min(most, self.graph.nodes), way, self.work)
        for node, depth in self._each(tree):
            before = found.get(node)
            if before is None:
                found[node] = Found(depth, direction)
            elif before.direction not in (SELF, direction):
                found[node] = Found(min(depth, before.depth), BOTH)

    def _each(self, tree: Tree) -> Iterator[tuple[int, int]]:
        for start in range(0, len(tree.nodes), STRIDE):
            self.work.check()
            part = slice(start, start + STRIDE)
            yield from zip(tree.nodes[part].tolist(), tree.depth[part].tolist(), strict=True)

    def _closure(self, nodes: list[int]) -> Selection:
        found = {node: Found(0, SELF) for node in nodes}
        self._add(found, nodes, "forward", "", DESCENDANT)
        below = np.array(sorted(found), np.int32)
        tree = bfs(self.graph, below, self.graph.nodes, "reverse", self.work)
        for node, depth in self._each(tree):
            found.setdefault(node, Found(depth, CLOSURE))
        return found


def _join_not(caller: str, words: list[str]) -> list[tuple[bool, str]]:
    """Put each `not` with the term that follows."""
    terms, negated = [], False
    for word in words:
        if word == "not":
            negated = not negated
            pending = True
            continue
        terms.append((negated, word))
        negated = pending = False
    if words[-1] == "not" or (negated and pending):
        raise ValueError(f"{caller}: 'not' needs a selector behind it")
    return terms


def _selected(nodes: set[int]) -> Selection:
    return {node: Found(0, SELECTED) for node in sorted(nodes)}


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
