"""The index of a table in its file, in v_edges: what a fresh process opens instead of building it.

Row 0 is the head: what the index was made for, where in the log it stands, a checksum. Rows 1, 2,
... are pages of the index as src/snapshot.c lays it out: coarse copies, ids, lists of neighbours.
A saved index is a shortcut, never the truth: one that is damaged, or stands in another history, is
passed over. A crafted one may hold anything, so no number in it is used before it was checked.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import _hnsw
from .engine import BYTES, FLOATS, Graph, Shape
from .index import MOST_REFUSED, Position
from .options import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .index import Index
    from .options import GraphOptions

MAGIC = b"muninn\0\1"
PAGE = 1 << 20
_SUM = struct.Struct("<Q")
_LEAST_NODE = 64 + 12 + 8 + 1  # bytes of a node that stands alone


class Head(NamedTuple):
    """Row 0, without the centre, the refused ids and its own checksum, which follow."""

    magic: bytes
    dimensions: int
    metric: int
    kind: int
    m: int
    centre: int  # bytes
    refused: int  # ids that the index knows of and has no copy of
    unit: float
    nodes: int
    linked: int
    seq: int
    tag: int
    size: int  # bytes of all pages
    sum: int


_HEAD = struct.Struct("<8s6Id5qQ")


class Saved(NamedTuple):
    """An index read from a file."""

    graph: Graph
    position: Position
    refused: set[int]


# ---- Writing ----


def dump(index: Index) -> list[bytes] | None:
    """The rows of v_edges for an index as it is; None where it cannot be saved."""
    graph, position = index.graph, index.position
    if position is None or len(index.refused) > MOST_REFUSED:
        return None
    core, shape = graph.core, graph.shape
    size = core.snapshot_size()
    pages = [core.snapshot_read(at, min(PAGE, size - at)) for at in range(0, size, PAGE)]
    centre = shape.centre or b""
    head = Head(
        MAGIC,
        graph.dimensions,
        METRICS.index(graph.options.metric),
        shape.kind,
        graph.options.m,
        len(centre),
        len(index.refused),
        shape.unit,
        core.nodes,
        core.linked,
        position.seq,
        position.tag,
        size,
        _sum_of(pages),
    )
    refused = np.array(sorted(index.refused), "<i8").tobytes()
    first = _HEAD.pack(*head) + centre + refused
    return [first + _SUM.pack(_hnsw.checksum(0, first)), *pages]


def _sum_of(pages: Sequence[bytes]) -> int:
    total = 0
    for page in pages:
        total = _hnsw.checksum(total, page)
    return total


# ---- Reading ----


def claim(first: object) -> Head | None:
    """What the head of a saved index says, unchecked."""
    if not isinstance(first, bytes) or len(first) < _HEAD.size or first[:8] != MAGIC:
        return None
    return Head(*_HEAD.unpack_from(first))


def restore(
    first: object,
    pages: Callable[[], Iterator[object]],
    size: int,
    dimensions: int,
    options: GraphOptions,
) -> Saved:
    """Read what `dump` wrote; `size` is the size of all pages together.

    Raises ValueError, saying what is wrong.
    """
    head, centre, refused = _head(first)
    _refuse_other(head, dimensions, options)
    # What is asked for must be there before memory is taken for it.
    if head.size != size or not 0 <= head.linked <= head.nodes <= size // _LEAST_NODE:
        raise ValueError("its pages have not the size that they should have")
    graph = Graph(dimensions, options, Shape(head.kind, head.unit, centre))
    if graph.core.snapshot_start(head.nodes, head.linked) != size:
        raise ValueError("its pages have not the size that they should have")
    total = at = 0
    for page in pages():
        if not isinstance(page, bytes) or at + len(page) > size:
            raise ValueError("a page is damaged")
        graph.core.snapshot_write(at, page)
        total = _hnsw.checksum(total, page)
        at += len(page)
    if at != size or total != head.sum:
        raise ValueError("its checksum is wrong")
    graph.core.snapshot_check()
    return Saved(graph, Position(head.seq, head.tag), refused)


def _head(first: object) -> tuple[Head, bytes | None, set[int]]:
    """The head and what follows it. Raises ValueError."""
    if not isinstance(first, bytes) or len(first) < _HEAD.size + _SUM.size:
        raise ValueError("its head is damaged")
    body, (total,) = first[: -_SUM.size], _SUM.unpack(first[-_SUM.size :])
    head = Head(*_HEAD.unpack_from(first))
    ids = _HEAD.size + head.centre
    if head.magic != MAGIC or total != _hnsw.checksum(0, body):
        raise ValueError("its head is damaged")
    if len(body) != ids + 8 * head.refused or head.refused > MOST_REFUSED:
        raise ValueError("its head has not its size")
    refused = set(np.frombuffer(body[ids:], "<i8").tolist())
    return head, body[_HEAD.size : ids] or None, refused


def _refuse_other(head: Head, dimensions: int, options: GraphOptions) -> None:
    made_for = (head.dimensions, head.metric, head.m)
    if made_for != (dimensions, METRICS.index(options.metric), options.m):
        raise ValueError("it was made for another table")
    if head.kind not in (BYTES, FLOATS) or (head.kind == FLOATS and head.centre):
        raise ValueError("its head is damaged")
