"""A graph's arrays in shadow tables, in pieces that fit into a row.

What is read back is checked: a file may come from anywhere, and the kernels trust their arrays. A
checksum tells of damage that leaves the arrays in good order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary

from ..degree import counts_and_sums
from ..graph import Neighbours
from .rows import Kept

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database

    from ..work import Work

PIECE = 8_000_000
"""Bytes of one row."""

WAYS = {"csr_fwd": "forward", "csr_rev": "reverse"}
TYPES = {"offsets": "<i8", "targets": "<i4", "edges": "<i4", "weights": "<f8"}
ROWS = {"rowids": "<i8", "skipped": "<i8"}
"""These lie with the forward arrays."""

Shadow = Callable[[str], str]


def save(db: Database, shadow: Shadow, kept: Kept, work: Work, *, had: int = 0) -> int:
    """Write nodes, degrees and arrays; gives their checksum.

    The first ``had`` nodes are there already.
    """
    graph = kept.graph()
    db.execute(f"DELETE FROM {shadow('nodes')} WHERE idx >= ?", (had,))
    new = range(had, graph.nodes)
    for node, value in zip(new, kept.ids.take(new), strict=True):
        db.execute(f"INSERT INTO {shadow('nodes')} VALUES (?, ?)", (node, value))
    _save_degrees(db, shadow, counts_and_sums(graph), had)
    checksum = kept.ids.checksum
    for suffix, direction in WAYS.items():
        db.execute(f"DELETE FROM {shadow(suffix)}")
        ways = graph.neighbours(direction, work)
        for name, kind in _names(direction).items():
            array = getattr(kept if name in ROWS else ways, name)
            data = b"" if array is None else array.astype(kind).tobytes()
            checksum = _add(checksum, name, data)
            for start in range(0, len(data), PIECE):
                db.execute(
                    f"INSERT INTO {shadow(suffix)} (name, data) VALUES (?, ?)",
                    (name, data[start : start + PIECE]),
                )
    return checksum


def _add(checksum: int, name: str, data: bytes) -> int:
    """The checksum with one array more, 63 bits."""
    found = zlib.crc32(data, zlib.crc32(f"{name} {len(data)}".encode()))
    return (checksum * 0x9E3779B97F4A7C15 + found) & 0x7FFF_FFFF_FFFF_FFFF


def _save_degrees(db: Database, shadow: Shadow, degrees: tuple[np.ndarray, ...], had: int) -> None:
    """Write the degrees of nodes, where they are not there already."""
    table = shadow("degree")
    db.execute(f"DELETE FROM {table} WHERE idx >= ?", (had,))
    kinds = ("integer", "integer", "integer", "real", "real")
    old = db.columns(f"SELECT * FROM {table} ORDER BY idx", (), kinds)
    is_same = np.zeros(len(degrees[0]), bool)
    if np.array_equal(old[0], np.arange(had)):
        is_same[:had] = True
        for before, now in zip(old[1:], degrees, strict=True):
            is_same[:had] &= before == now[:had]
    changed = np.flatnonzero(~is_same)
    for row in zip(
        changed.tolist(), *(column[changed].tolist() for column in degrees), strict=True
    ):
        db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", row)


def counts(db: Database, shadow: Shadow) -> tuple[int, int]:
    """How many nodes and edges were saved, by what lies there: the configuration may be damaged."""
    ((nodes,),) = db.execute(f"SELECT count(*) FROM {shadow('nodes')}")
    sql = f"SELECT coalesce(sum(length(data)), 0) FROM {shadow('csr_fwd')} WHERE name = 'targets'"
    ((size,),) = db.execute(sql)
    return nodes, size // np.dtype(TYPES["targets"]).itemsize


def load(db: Database, shadow: Shadow, checksum: Any, weighted: bool, work: Work) -> Kept | None:
    """Read what was saved; None where it is damaged or of another kind."""
    ids = Dictionary()
    (codes,) = db.columns(
        f"SELECT id FROM {shadow('nodes')} ORDER BY idx", (), ("code",), dictionary=ids
    )
    if len(ids) != len(codes):
        return None
    found = ids.checksum
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for suffix, direction in WAYS.items():
        arrays[direction] = {}
        for name, kind in _names(direction).items():
            data = _bytes(db, shadow(suffix), name)
            if len(data) % np.dtype(kind).itemsize:
                return None
            found = _add(found, name, data)
            arrays[direction][name] = np.frombuffer(data, kind).astype(kind[1:], copy=False)
        work.check()
    if found != checksum:
        return None
    steps = len(arrays["forward"]["targets"])
    return work.aside(lambda _: _checked(ids, arrays, weighted), steps=steps)


def _checked(
    ids: Dictionary, arrays: dict[str, dict[str, np.ndarray]], weighted: bool
) -> Kept | None:
    """What the arrays hold; None where that cannot be."""
    ways = {}
    for direction in WAYS.values():
        found = _ways(arrays[direction], len(ids), weighted)
        if found is None:
            return None
        ways[direction] = found
    if len(ways["forward"].edges) != len(ways["reverse"].edges):
        return None
    return Kept.of_ways(ids, ways, *(arrays["forward"][name] for name in ROWS))


def _names(direction: str) -> dict[str, str]:
    return {**TYPES, **ROWS} if direction == "forward" else TYPES


def _bytes(db: Database, table: str, name: str) -> bytes:
    rows = db.execute(f"SELECT data FROM {table} WHERE name = ? ORDER BY piece", (name,))
    pieces = [row[0] for row in rows if isinstance(row[0], bytes)]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _ways(arrays: dict[str, np.ndarray], nodes: int, weighted: bool) -> Neighbours | None:
    """Neighbours that a kernel may read; None where the arrays are no such."""
    offsets, targets, edges = arrays["offsets"], arrays["targets"], arrays["edges"]
    count = len(targets)
    good = (
        len(offsets) == nodes + 1
        and offsets[0] == 0
        and offsets[-1] == count == len(edges)
        and (np.diff(offsets) >= 0).all()
        and (count == 0 or (targets.min() >= 0 and targets.max() < nodes))
        and (count == 0 or (edges.min() >= 0 and edges.max() < count))
        and (np.bincount(edges, minlength=count) == 1).all()
        and len(arrays["weights"]) == (count if weighted else 0)
        and np.isfinite(arrays["weights"]).all()
    )
    weights = arrays["weights"] if weighted else None
    return Neighbours(offsets, targets, weights, edges) if good else None
