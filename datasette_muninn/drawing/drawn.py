"""An answer's rows, the nodes between them and their edges, as a page draws them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..snippets import shorten
from .layout import MOST, layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlite_utils_muninn.search.answer import Answer, Edge, Key, Node, Step

MOST_EDGES = 3_000
COLOURS = 8
"""Kinds of nodes that have a colour; the last one is for all others."""
SHORT = 52  # characters of a label in the drawing
LETTER, LINE, LABEL_WIDTH = 6.0, 13.5, 120.0  # pixels, of 11 pixel letters
NODE, SMALL = 30.0, 18.0


@dataclass(frozen=True)
class DrawnNode:
    """A node and its place, in pixels to the right and down."""

    id: str
    table: str
    label: str
    lines: tuple[str, ...]
    """The label as it is drawn: shortened and broken."""
    type: str | None
    url: str | None
    rank: int | None
    """Its place in the list; None: it lies between rows."""
    seed: bool
    """Whether its own match made it, or a row that it leads to, what it is."""
    colour: int
    x: int
    y: int
    above: bool
    """Whether its label is above it, out of the way of its edges; else it is below."""


@dataclass(frozen=True)
class DrawnEdge:
    """An edge between two nodes that are drawn."""

    source: str
    target: str
    type: str
    weight: float
    table: str
    path: bool
    """Whether it is on the path that some row gives as its reason."""


@dataclass
class Drawn:
    """What a page draws."""

    nodes: list[DrawnNode] = field(default_factory=list)
    edges: list[DrawnEdge] = field(default_factory=list)
    paths: dict[str, list[int]] = field(default_factory=dict)
    """Id of a row's node -> the numbers of the edges that lead to it."""
    left_out: str | None = None
    """A sentence, where not everything is drawn."""

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script is given."""
        return {**self.json(), "paths": self.paths}

    def json(self) -> dict[str, Any]:
        """The nodes and edges of the JSON."""
        return {"nodes": list(map(asdict, self.nodes)), "edges": list(map(asdict, self.edges))}

    @property
    def colours(self) -> dict[str, int]:
        """The colour of each node, by its id."""
        return {node.id: node.colour for node in self.nodes}

    @property
    def between(self) -> bool:
        """Whether there are nodes besides the rows."""
        return any(node.rank is None for node in self.nodes)

    @property
    def types(self) -> list[tuple[str, int]]:
        """The kinds of nodes with their colours; those that share the last one come last."""
        kinds = {node.type or node.table: node.colour for node in self.nodes}
        return sorted(kinds.items(), key=lambda kind: (kind[1], kind[0]))


def draw(answer: Answer, ids: Mapping[Key, str], urls: Mapping[Key, str]) -> Drawn:
    """Lay out an answer: all rows, the nodes on their paths, and the edges between them.

    Takes a while (0.1 to 0.6 s of CPU for 100 to 300 nodes): not for a thread that others wait for.
    """
    shown: dict[Key, Node] = {}
    for node in (*answer.rows, *answer.nodes):
        if len(shown) < MOST:
            shown.setdefault(node.key, node)
    steps = {row.key: [_ends(step) for step in row.via.path] for row in answer.rows}
    on_path = {ends for path in steps.values() for ends in path}
    edges = _distinct([edge for edge in answer.edges if set(_keys(edge)) <= shown.keys()])
    # Of too many, those that are a reason stay.
    edges = sorted(edges, key=lambda edge: _triple(edge) not in on_path)[:MOST_EDGES]
    index = {_triple(edge): number for number, edge in enumerate(edges)}
    colours = colours_of([_kind(node) for node in shown.values()])
    return Drawn(
        _nodes(answer, shown, edges, ids, urls, colours),
        [_edge(edge, ids, _triple(edge) in on_path) for edge in edges],
        {
            ids[key]: [index[ends] for ends in path if ends in index]
            for key, path in steps.items()
            if path and key in shown
        },
        _left_out(answer, shown, edges),
    )


def colours_of(kinds: Sequence[str]) -> dict[str, int]:
    """Give the most frequent kinds a colour each, and all others the last one."""
    often = [kind for kind, _ in sorted(Counter(kinds).items(), key=lambda pair: -pair[1])]
    return {kind: min(number, COLOURS - 1) for number, kind in enumerate(often)}


def _nodes(
    answer: Answer,
    shown: Mapping[Key, Node],
    edges: Sequence[Edge],
    ids: Mapping[Key, str],
    urls: Mapping[Key, str],
    colours: Mapping[str, int],
) -> list[DrawnNode]:
    ranks = {row.key: row.rank for row in answer.rows}
    seeds = {row.key for row in answer.rows if not row.via.path}
    seeds |= {row.via.seed.key for row in answer.rows if row.via.seed}
    labels = [lines_of(node.label) for node in shown.values()]
    boxes = [_box(lines, key in ranks) for key, lines in zip(shown, labels, strict=True)]
    numbers = {key: number for number, key in enumerate(shown)}
    pairs = [(numbers[source], numbers[target]) for source, target in map(_keys, edges)]
    places = layout(len(shown), pairs, [(width, high + low) for width, high, low in boxes])
    above = _labels_above(places, pairs)
    return [
        DrawnNode(
            id=ids[key],
            table=node.table,
            label=node.label,
            lines=labels[n],
            type=node.type,
            url=urls.get(key),
            rank=ranks.get(key),
            seed=key in seeds,
            colour=colours[_kind(node)],
            x=places[n][0],
            # Node and label share a box: the node is not in its middle.
            y=places[n][1] + round(boxes[n][2] / 2) * (1 if above[n] else -1),
            above=above[n],
        )
        for n, (key, node) in enumerate(shown.items())
    ]


def _labels_above(
    places: Sequence[tuple[int, int]], pairs: Sequence[tuple[int, int]]
) -> list[bool]:
    """Whether the edges of each node come from below."""
    pull = [0.0] * len(places)
    for source, target in pairs:
        (x, y), (to_x, to_y) = places[source], places[target]
        length = math.hypot(to_x - x, to_y - y) or 1.0
        pull[source] += (to_y - y) / length
        pull[target] += (y - to_y) / length
    return [each > 0.3 for each in pull]


def lines_of(label: str) -> tuple[str, ...]:
    """Shorten a label and break it into lines."""
    short = shorten(" ".join(label.split()), SHORT)
    return tuple(wrap(short, int(LABEL_WIDTH / LETTER)))


def _box(lines: Sequence[str], is_row: bool) -> tuple[float, float, float]:
    """Width, height of the node and height of its label, in pixels."""
    size = NODE if is_row else SMALL
    longest = max(map(len, lines), default=0)
    return max(size, LETTER * longest) + 16, size + 14, len(lines) * LINE


def _edge(edge: Edge, ids: Mapping[Key, str], is_reason: bool) -> DrawnEdge:
    source, target = _keys(edge)
    return DrawnEdge(ids[source], ids[target], edge.type, edge.weight, edge.table, is_reason)


def _distinct(edges: Sequence[Edge]) -> list[Edge]:
    """One of each kind between two nodes: several rows may say the same."""
    return list({_triple(edge): edge for edge in reversed(edges)}.values())[::-1]


def _left_out(answer: Answer, shown: Mapping[Key, Node], edges: Sequence[Edge]) -> str | None:
    nodes = len({node.key for node in (*answer.rows, *answer.nodes)})
    all_edges = len(_distinct(answer.edges))
    if nodes == len(shown) and all_edges == len(edges):
        return None
    return f"Drawn are {len(shown):,} of {nodes:,} nodes and {len(edges):,} of {all_edges:,} edges."


def _kind(node: Node) -> str:
    return node.type or node.table


def _keys(edge: Edge) -> tuple[Key, Key]:
    return (edge.source_table, edge.source), (edge.target_table, edge.target)


def _triple(edge: Edge) -> tuple[Key, Key, str]:
    return (*_keys(edge), edge.type)


def _ends(step: Step) -> tuple[Key, Key, str]:
    """The edge of a step, which may be taken against its direction."""
    ends = (step.source_table, step.source), (step.target_table, step.target)
    source, target = ends if step.direction == "forward" else ends[::-1]
    return source, target, step.type
