"""The index of a table in its file, in v_edges: what a fresh process opens instead of building it.

Row 0 is the head: what the index was made for, where in the log it stands, a checksum. Rows 1, 2,
... are pages of the index as src/snapshot.c lays it out: ids, lists of neighbours, and coarse
copies of the dead alone. Those of the living are made anew from the vectors, which are in the file
anyway: the head has the shape that they were made by, so they come out the same.

A saved index is a shortcut, never the truth: one that is damaged, stands in another history or
knows other rows is passed over. A crafted one may hold anything, so no number in it is used before
it was checked.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import _hnsw
from ..options import METRICS
from .engine import BYTES, FLOATS, Graph, Shape
from .index import MOST_REFUSED, Position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ..blob import Ids, Matrix
    from ..options import GraphOptions
    from ..storage.edges import Edges
    from .index import Index

MAGIC = b"muninn\0\3"
PAGE = 1 << 20
_SUM = struct.Struct("<Q")
_NAMED = 5  # ids in a message


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
    dead: int
    seq: int
    tag: int
    size: int  # bytes of all pages
    sum: int


_HEAD = struct.Struct("<8s6Id6qQ")


class Saved(NamedTuple):
    """What the head of a saved index says."""

    head: Head
    centre: bytes | None
    refused: set[int]

    @property
    def position(self) -> Position:
        """Where it stands in the log."""
        return Position(self.head.seq, self.head.tag)

    @property
    def rows(self) -> int:
        """How many rows it says that it knows."""
        return self.head.nodes - self.head.dead + len(self.refused)


class Restored(NamedTuple):
    """A saved index in memory, without the rows that changed since."""

    graph: Graph
    changed: tuple[Ids, Matrix]
    """Those of the changed rows that have a vector, and their vectors."""


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
        core.dead,
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


def read_head(first: object, dimensions: int, options: GraphOptions) -> Saved:
    """Read the first row that `dump` wrote. Raises ValueError, saying what is wrong."""
    if not isinstance(first, bytes) or len(first) < _HEAD.size + _SUM.size:
        raise ValueError("its head is damaged")
    body, (total,) = first[: -_SUM.size], _SUM.unpack(first[-_SUM.size :])
    head = Head(*_HEAD.unpack_from(first))
    ids = _HEAD.size + head.centre
    if head.magic != MAGIC or total != _hnsw.checksum(0, body):
        raise ValueError("its head is damaged")
    if len(body) != ids + 8 * head.refused or head.refused > MOST_REFUSED:
        raise ValueError("its head has not its size")
    _refuse_other(head, dimensions, options)
    refused = set(np.frombuffer(body[ids:], "<i8").tolist())
    return Saved(head, body[_HEAD.size : ids] or None, refused)


def _refuse_other(head: Head, dimensions: int, options: GraphOptions) -> None:
    made_for = (head.dimensions, head.metric, head.m)
    if made_for != (dimensions, METRICS.index(options.metric), options.m):
        raise ValueError("it was made for another table")
    if head.kind not in (BYTES, FLOATS) or (head.kind == FLOATS and head.centre):
        raise ValueError("its head is damaged")
    if not 0 <= head.dead <= head.nodes or not 0 <= head.linked <= head.nodes:
        raise ValueError("its head is damaged")


def restore(
    saved: Saved, edges: Edges, options: GraphOptions, changed: Collection[int]
) -> Restored:
    """Read the pages that `dump` wrote, and make the copies of the vectors beside them.

    `changed` are the ids whose vectors are not those, or not only those, that were saved. Raises
    ValueError, saying what is wrong, where the index is damaged or of other vectors.
    """
    lost = np.array(sorted(changed), "<i8")
    graph = _read_links(saved, edges, options, len(lost))
    graph.core.snapshot_lose(lost.tobytes())
    return Restored(graph, _make_copies(graph, edges.vectors(), saved.refused, lost))


def _read_links(saved: Saved, edges: Edges, options: GraphOptions, changed: int) -> Graph:
    head = saved.head
    pages, size = edges.pages_size()
    if head.size != size:
        raise ValueError("its pages have not the size that they should have")
    # Copies are made of vectors that are there: no memory for more of them.
    if 4 * head.dimensions * (head.nodes - head.dead - changed) > edges.file_size():
        raise ValueError("it has more rows than the file has vectors")
    graph = Graph(head.dimensions, options, Shape(head.kind, head.unit, saved.centre))
    core = graph.core
    try:
        core.snapshot_start(head.nodes, head.linked, head.dead, changed, size)
    except ValueError:
        raise ValueError("its pages have not the size that they should have") from None
    total = at = 0
    for page in edges.pages(pages):
        if not isinstance(page, bytes) or at + len(page) > size:
            raise ValueError("a page is damaged")
        core.snapshot_write(at, page)
        total = _hnsw.checksum(total, page)
        at += len(page)
    if at != size or total != head.sum:
        raise ValueError("its checksum is wrong")
    core.snapshot_check()
    return graph


def _make_copies(
    graph: Graph, blocks: Iterator[tuple[Ids, Matrix]], refused: set[int], lost: Ids
) -> tuple[Ids, Matrix]:
    """Give every living node its copy. Returns the vectors of `lost`."""
    read: list[tuple[Ids, Matrix]] = [(lost[:0], np.empty((0, graph.dimensions), np.float32))]
    seen: set[int] = set(lost.tolist())
    for ids, matrix in blocks:
        unknown = graph.fill(ids, matrix)
        if unknown.any():
            others, vectors = ids[unknown], matrix[unknown]
            is_lost = np.isin(others, lost)
            read.append((others[is_lost], vectors[is_lost]))
            without = others[~is_lost].tolist()
            seen.update(without)
            _expect("does not know the rows", set(without) - refused)
    _expect("knows rows that have no vector:", refused - seen)
    graph.core.snapshot_finish()
    return np.concatenate([ids for ids, _ in read]), np.concatenate([rows for _, rows in read])


def _expect(what: str, ids: set[int]) -> None:
    """Raise ValueError unless there are no such ids."""
    if ids:
        named = ", ".join(map(str, sorted(ids)[:_NAMED]))
        more = ", ..." if len(ids) > _NAMED else ""
        raise ValueError(f"it {what} {named}{more}")
