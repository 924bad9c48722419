"""The selector language: dbt's way to say which nodes of a lineage are meant.

    a        the node            +a     and its ancestors       2+a+1   at most so many steps away
    @a       the node, its descendants, and all ancestors of those
    a b      union               a,b    intersection            not a   all others
    stg_*    every node whose id matches (*, ? and [...], as in file names)

Union binds weakest, then ``not``, then intersection.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .traversal import bfs

if TYPE_CHECKING:
    from .graph import Graph
    from .work import Work

DIRECTIONS = ("self", "ancestor", "descendant", "both", "closure", "selected")
SELF, ANCESTOR, DESCENDANT, BOTH, CLOSURE, SELECTED = range(len(DIRECTIONS))

STRIDE = 10_000
"""Ids between two questions whether to stop."""

_ATOM = re.compile(r"^(?:(?P<up>\d*)\+)?(?P<node>.+?)(?:\+(?P<down>\d*))?$")


class Selection(NamedTuple):
    """By node: how far it is from the one that is named (-1: not selected), and on which side."""

    depth: np.ndarray
    direction: np.ndarray

    @property
    def selected(self) -> np.ndarray:
        """Whether a node is."""
        chosen: np.ndarray = self.depth >= 0
        return chosen


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
        self.work.need(5 * self.graph.nodes * (len(unions) + 2 * text.count(",")), "the selection")
        terms = _join_not(self.work.caller, unions)
        parts = [self._term(is_not, term) for is_not, term in terms]
        if len(parts) == 1:
            return parts[0]
        return _of_set(np.logical_or.reduce([part.selected for part in parts]))

    def _term(self, is_not: bool, text: str) -> Selection:
        atoms = text.split(",")
        if not all(atoms):
            raise ValueError(
                f"{self.work.caller}: a comma needs a selector on either side: {text!r}"
            )
        parts = [self._atom(atom) for atom in atoms]
        found = parts[0]
        if len(parts) > 1:
            found = _of_set(np.logical_and.reduce([part.selected for part in parts]))
        return _of_set(~found.selected) if is_not else found

    def _atom(self, text: str) -> Selection:
        exact = self.graph.find(text)  # an id may contain any of the signs
        if exact >= 0:
            return self._named([exact])
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
        found = self._named(nodes)
        if match["up"] is not None:
            self._add(found, nodes, "reverse", match["up"], ANCESTOR)
        if match["down"] is not None:
            self._add(found, nodes, "forward", match["down"], DESCENDANT)
        return found

    def _named(self, nodes: list[int]) -> Selection:
        """The nodes themselves."""
        depth = np.full(self.graph.nodes, -1, np.int32)
        depth[nodes] = 0
        return Selection(depth, np.full(self.graph.nodes, SELF, np.uint8))

    def _nodes(self, name: str) -> list[int]:
        exact = self.graph.find(name)
        if exact >= 0:
            return [exact]
        if any(sign in name for sign in "*?["):
            nodes = self._matching(re.compile(fnmatch.translate(name)))
            if nodes:
                return nodes
        raise ValueError(f"{self.work.caller}: node {name!r} not found")

    def _matching(self, pattern: re.Pattern[str]) -> list[int]:
        found: list[int] = []
        for start in range(0, self.graph.nodes, STRIDE):
            self.work.check()
            stride = range(start, min(start + STRIDE, self.graph.nodes))
            ids = zip(stride, self.graph.ids.take(stride), strict=True)
            found += [node for node, value in ids if pattern.match(_as_text(value))]
        return found

    def _add(
        self, found: Selection, nodes: list[int], way: str, steps: str, direction: int
    ) -> None:
        """Put in what is reached from the nodes; who is reached both ways lies on both sides."""
        most = int(steps) if steps else self.graph.nodes
        tree = bfs(self.graph, nodes, min(most, self.graph.nodes), way, self.work)
        is_new = ~found.selected[tree.nodes]
        new, again = tree.nodes[is_new], tree.nodes[~is_new]
        found.depth[new] = tree.depth[is_new]
        found.direction[new] = direction
        is_other = found.direction[again] != SELF
        other = again[is_other]
        found.depth[other] = np.minimum(found.depth[other], tree.depth[~is_new][is_other])
        found.direction[other] = BOTH

    def _closure(self, nodes: list[int]) -> Selection:
        found = self._named(nodes)
        self._add(found, nodes, "forward", "", DESCENDANT)
        below = np.flatnonzero(found.selected)
        tree = bfs(self.graph, below, self.graph.nodes, "reverse", self.work)
        is_new = ~found.selected[tree.nodes]
        found.depth[tree.nodes[is_new]] = tree.depth[is_new]
        found.direction[tree.nodes[is_new]] = CLOSURE
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


def _of_set(chosen: np.ndarray) -> Selection:
    """What a set operation gives: there is no distance in it."""
    return Selection(np.where(chosen, 0, -1), np.full(len(chosen), SELECTED, np.uint8))


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
