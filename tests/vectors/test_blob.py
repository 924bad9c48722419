"""What is a vector, and what is not."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from sqlite_utils_muninn.vectors.blob import vector


@pytest.mark.parametrize(
    "given", [struct.pack("<3f", 1, -2, 0.5), "[1, -2, 0.5]", " [1.0,-2e0,5E-1] "]
)
def test_blobs_and_json_arrays_are_vectors(given: Any) -> None:
    assert vector(given, 3, "f") == struct.pack("<3f", 1, -2, 0.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (struct.pack("<2f", 1, 2), "f: expected 3-dim vector, got 2"),
        ("[1, 2, 3, 4]", "f: expected 3-dim vector, got 4"),
        ("[]", "f: expected 3-dim vector, got 0"),
        (b"", "f: expected 3-dim vector, got 0"),
        (b"12345", "f: expected 3-dim vector, a blob of 12 bytes, got 5 bytes"),
        ("[1, 2, NaN]", "f: a vector must not hold NaN or infinity"),
        ("[1, 2, 1e39]", "f: a vector must not hold NaN or infinity"),
        (f"[1, 2, {10**400}]", "f: a vector must not hold NaN or infinity"),
        (struct.pack("<3f", float("nan"), 1, 2), "f: a vector must not hold NaN or infinity"),
        (struct.pack("<3f", 1, float("-inf"), 2), "f: a vector must not hold NaN or infinity"),
        (struct.pack("<3f", 1, 2, float("inf")), "f: a vector must not hold NaN or infinity"),
        ("[1, 2, true]", "f: a vector given as text must be a JSON array of numbers"),
        ("[1, [2], 3]", "f: a vector given as text must be a JSON array of numbers"),
        ('{"a": 1}', "f: a vector given as text must be a JSON array of numbers"),
        ("fox", "f: a vector given as text must be a JSON array of numbers, got 'fox'"),
        ("[" * 100_000, "f: a vector given as text must be a JSON array of numbers"),
        (5, "f: a vector must be a blob of float32 or a JSON array, got integer"),
        (0.5, "f: a vector must be a blob of float32 or a JSON array, got real"),
        (None, "f: a vector must be a blob of float32 or a JSON array, got NULL"),
    ],
)
def test_anything_else_is_named(given: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        vector(given, 3, "f")
    assert str(caught.value).startswith(message)
