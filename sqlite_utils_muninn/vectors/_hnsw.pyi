"""The compiled index, as Python sees it. Ids are int64 and vectors float32, both as bytes.

Vectors in bulk may stay in an array, which spares a copy of them.
"""

from typing import Any

import numpy as np

_Floats = bytes | np.ndarray[Any, np.dtype[np.float32]]

class Index:
    nodes: int
    linked: int
    dead: int
    twins: int
    memory: int

    def __init__(
        self,
        dimensions: int,
        metric: int,
        kind: int,
        m: int,
        ef_construction: int,
        unit: float,
        centre: bytes | None,
        /,
    ) -> None: ...
    def add(self, ids: bytes, vectors: _Floats, /) -> bytes: ...
    def compact(self) -> None: ...
    def drop(self, id_: int, /) -> bool: ...
    def has(self, id_: int, /) -> bool: ...
    def ids(self) -> bytes: ...
    def link(self, count: int, /) -> int: ...
    def search(
        self,
        query: bytes,
        wanted: int,
        ef: int,
        trust: float,
        within: float,
        beyond: float,
        passing: bytes,
        among: bytes | None,
        /,
    ) -> bytes | None: ...
    def snapshot_check(self) -> None: ...
    def snapshot_fill(self, ids: bytes, vectors: _Floats, /) -> bytes: ...
    def snapshot_finish(self) -> None: ...
    def snapshot_lose(self, ids: bytes, /) -> None: ...
    def snapshot_read(self, start: int, size: int, /) -> bytes: ...
    def snapshot_size(self) -> int: ...
    def snapshot_start(
        self, nodes: int, linked: int, dead: int, more: int, size: int, /
    ) -> None: ...
    def snapshot_write(self, start: int, part: bytes, /) -> None: ...

def checksum(seed: int, part: bytes, /) -> int: ...
def use_loops(name: str | None = ..., /) -> str: ...
def is_finite(vectors: bytes, /) -> bool: ...
def distances(metric: int, query: bytes, vectors: bytes, /) -> bytes: ...
def rank(
    metric: int,
    query: bytes,
    ids: bytes,
    vectors: bytes,
    most: int,
    within: float,
    beyond: float,
    /,
) -> tuple[bytes, bytes, bytes]: ...
