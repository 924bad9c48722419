"""A graph's arrays in shadow tables, in pieces that fit into a row.

What is read back is checked: a file may come from anywhere, and the kernels trust their arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary

from .graph import Graph, Neighbours

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database

    from .work import Work

PIECE = 8_000_000
"""Bytes of one row."""

TYPES = {"offsets": "<i8", "targets": "<i4", "edges": "<i4", "weights": "<f8"}
Shadow = Callable[[str], str]


def save(db: Database, shadow: Shadow, graph: Graph, work: Work) -> None:
    """Write nodes, degrees and both neighbour arrays; the tables are empty."""
    for node, value in enumerate(graph.ids.take(range(graph.nodes))):
        db.execute(f"INSERT INTO {shadow('nodes')} VALUES (?, ?)", (node, value))
    inward, outward = (
        np.bincount(ends, minlength=graph.nodes).tolist() for ends in (graph.target, graph.source)
    )
    weighted = [inward, outward]
    if graph.weight is not None:
        weighted = [
            np.bincount(ends, graph.weight, graph.nodes).tolist()
            for ends in (graph.target, graph.source)
        ]
    for row in zip(range(graph.nodes), inward, outward, *weighted, strict=True):
        db.execute(f"INSERT INTO {shadow('degree')} VALUES (?, ?, ?, ?, ?)", row)
    for suffix, direction in (("csr_fwd", "forward"), ("csr_rev", "reverse")):
        ways = graph.neighbours(direction, work)
        for name, kind in TYPES.items():
            array = getattr(ways, name)
            data = b"" if array is None else array.astype(kind).tobytes()
            for start in range(0, len(data), PIECE):
                db.execute(
                    f"INSERT INTO {shadow(suffix)} (name, data) VALUES (?, ?)",
                    (name, data[start : start + PIECE]),
                )


def load(db: Database, shadow: Shadow, weighted: bool, work: Work) -> Graph | None:
    """Read a graph back; None where the arrays are damaged or of another kind."""
    ids = Dictionary()
    (codes,) = db.columns(
        f"SELECT id FROM {shadow('nodes')} ORDER BY idx", (), ("code",), dictionary=ids
    )
    if len(ids) != len(codes):
        return None
    found = {}
    for suffix, direction in (("csr_fwd", "forward"), ("csr_rev", "reverse")):
        ways = _ways(db, shadow(suffix), len(ids), weighted)
        if ways is None:
            return None
        found[direction] = ways
        work.check()
    forward = found["forward"]
    if len(forward.edges) != len(found["reverse"].edges):
        return None
    owner = np.repeat(np.arange(len(ids), dtype=np.int32), np.diff(forward.offsets))
    source, target = np.empty_like(owner), np.empty_like(owner)
    source[forward.edges], target[forward.edges] = owner, forward.targets
    weight = None
    if forward.weights is not None:
        weight = np.empty(len(owner))
        weight[forward.edges] = forward.weights
    graph = Graph(ids, source, target, weight)
    graph.put(found)
    return graph


def _ways(db: Database, table: str, nodes: int, weighted: bool) -> Neighbours | None:
    arrays = {}
    for name, kind in TYPES.items():
        rows = db.execute(f"SELECT data FROM {table} WHERE name = ? ORDER BY piece", (name,))
        data = b"".join(row[0] for row in rows if isinstance(row[0], bytes))
        if len(data) % np.dtype(kind).itemsize:
            return None
        arrays[name] = np.frombuffer(data, kind).astype(kind[1:])
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
