"""The drawn graph as plain SVG: what a page shows without scripts, before them, and on paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .drawn import LABEL_WIDTH, LINE, NODE, SMALL

if TYPE_CHECKING:
    from .drawn import Drawn, DrawnEdge, DrawnNode

MARGIN = 24.0
ARROW = 4.0
LETTER = 4.6  # pixels of a letter of an edge's label


@dataclass(frozen=True)
class Shape:
    """A node: its size, and the lines of its label with their heights."""

    node: DrawnNode
    radius: float
    lines: list[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """An edge from border to border, and its label, turned along it."""

    edge: DrawnEdge
    x1: float
    y1: float
    x2: float
    y2: float
    label: str
    angle: float

    @property
    def middle(self) -> tuple[float, float]:
        """Where the label is."""
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2


@dataclass(frozen=True)
class Picture:
    """Everything that the template writes down."""

    left: float
    top: float
    width: float
    height: float
    shapes: list[Shape]
    lines: list[Line]


def picture(drawn: Drawn) -> Picture:
    """Return the shapes and lines of a drawn graph, in its own pixels."""
    shapes = [_shape(node) for node in drawn.nodes]
    by_id = {shape.node.id: shape for shape in shapes}
    lines = [_line(edge, by_id[edge.source], by_id[edge.target]) for edge in drawn.edges]
    left = min((s.node.x for s in shapes), default=0) - LABEL_WIDTH / 2 - MARGIN
    right = max((s.node.x for s in shapes), default=0) + LABEL_WIDTH / 2 + MARGIN
    heights = [y for s in shapes for y in (s.node.y - s.radius, s.node.y + s.radius)]
    heights += [s.node.y + down for s in shapes for down, _ in s.lines]
    top = min(heights, default=0) - MARGIN
    return Picture(
        left, top, right - left, max(heights, default=0) + MARGIN - top, shapes,
        [line for line in lines if line is not None],
    )  # fmt: skip


def _shape(node: DrawnNode) -> Shape:
    radius = (NODE if node.rank is not None else SMALL) / 2 - 2
    first = -radius - 5 - LINE * (len(node.lines) - 1) if node.above else radius + LINE
    return Shape(node, radius, [(first + LINE * n, text) for n, text in enumerate(node.lines)])


def _line(edge: DrawnEdge, source: Shape, target: Shape) -> Line | None:
    """None for a node linked to itself."""
    across, down = target.node.x - source.node.x, target.node.y - source.node.y
    length = math.hypot(across, down)
    if not length:
        return None
    x, y = across / length, down / length
    angle = math.degrees(math.atan2(down, across))
    room = length - source.radius - target.radius
    return Line(
        edge,
        source.node.x + x * source.radius,
        source.node.y + y * source.radius,
        target.node.x - x * (target.radius + ARROW),
        target.node.y - y * (target.radius + ARROW),
        edge.type if LETTER * len(edge.type) < room else "",
        angle if -90 <= angle <= 90 else angle + 180,  # never upside down
    )
