"""Vectors as SQL values: raw little-endian float32 blobs, or JSON arrays of numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from . import _hnsw

FLOAT32 = np.dtype("<f4")
INT64 = np.dtype("<i8")
Matrix = np.ndarray[Any, np.dtype[np.float32]]
Ids = np.ndarray[Any, np.dtype[np.int64]]
Packed = bytes
"""Vectors or ids as the compiled files take and give them: for ten an array costs more than it
gives."""


def vector(value: object, dimensions: int, owner: str) -> bytes:
    """Return `value` as the bytes of `dimensions` float32.

    `owner` begins the error text: the function or table that was handed the value.
    Raises ValueError when it is not a vector, not of that size, or not finite.
    """
    blob = value if isinstance(value, bytes) else _as_blob(value, owner)
    if len(blob) != 4 * dimensions:
        expected = f"{owner}: expected {dimensions}-dim vector"
        if len(blob) % 4:
            raise ValueError(f"{expected}, a blob of {4 * dimensions} bytes, got {len(blob)} bytes")
        raise ValueError(f"{expected}, got {len(blob) // 4}")
    if not _hnsw.is_finite(blob):
        raise ValueError(f"{owner}: a vector must not hold NaN or infinity")
    return blob


def _as_blob(value: object, owner: str) -> bytes:
    if isinstance(value, str):
        return _from_json(value, owner)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    raise ValueError(
        f"{owner}: a vector must be a blob of float32 or a JSON array, got {_kind(value)}"
    )


def _from_json(text: str, owner: str) -> bytes:
    try:
        numbers = json.loads(text)
    except (ValueError, RecursionError):
        numbers = None
    # bool is an int to Python, but `true` is no coordinate.
    if not isinstance(numbers, list) or any(type(n) not in (int, float) for n in numbers):
        raise ValueError(
            f"{owner}: a vector given as text must be a JSON array of numbers, got {text[:40]!r}"
        )
    try:
        with np.errstate(over="ignore"):
            return np.array(numbers, dtype=FLOAT32).tobytes()
    except OverflowError:  # an integer beyond every float
        raise ValueError(f"{owner}: a vector must not hold NaN or infinity") from None


def _kind(value: object) -> str:
    if value is None:
        return "NULL"
    return {int: "integer", float: "real", bool: "integer"}.get(type(value), type(value).__name__)
