"""GGUF files written byte by byte, so that a test can put a wrong byte anywhere."""

from __future__ import annotations

import struct
from typing import Any

MODEL = {
    "general.architecture": "bert",
    "bert.embedding_length": 32,
    "bert.context_length": 64,
    "bert.pooling_type": 1,
}
WEIGHT = ("token_embd.weight", (32, 4), 0, 0, 32 * 4 * 4)  # name, shape, type, offset, bytes


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(given: Any) -> bytes:
    """A metadata value with its type before it."""
    if isinstance(given, bytes):
        return given
    if isinstance(given, bool):
        return struct.pack("<I?", 7, given)
    if isinstance(given, int):
        return struct.pack("<II", 4, given)
    if isinstance(given, str):
        return struct.pack("<I", 8) + text(given)
    assert isinstance(given, list)
    return struct.pack("<IIQ", 9, 8, len(given)) + b"".join(map(text, given))


def file(
    metadata: dict[str, Any] | None = None,
    tensors: tuple[tuple[str, tuple[int, ...], int, int, int], ...] = (WEIGHT,),
    *,
    version: int = 3,
    n_tensors: int | None = None,
    n_entries: int | None = None,
) -> bytes:
    """A whole file; `bytes` as a metadata value are taken as they are, type and all."""
    metadata = MODEL if metadata is None else metadata
    n_tensors = len(tensors) if n_tensors is None else n_tensors
    n_entries = len(metadata) if n_entries is None else n_entries
    header = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_entries)
    for key, given in metadata.items():
        header += text(key) + value(given)
    for name, shape, kind, offset, _ in tensors:
        header += text(name) + struct.pack("<I", len(shape))
        header += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)
    header += bytes(-len(header) % 32)
    return header + bytes(max((offset + size for *_, offset, size in tensors), default=0))


def with_tensor_type(data: bytes, name: str, kind: int) -> bytes:
    """The file with another type written into the description of one tensor."""
    start = data.index(text(name)) + 8 + len(name)
    (n_dimensions,) = struct.unpack_from("<I", data, start)
    place = start + 4 + 8 * n_dimensions
    return data[:place] + struct.pack("<I", kind) + data[place + 4 :]


def with_number(data: bytes, key: str, number: int) -> bytes:
    """The file with another uint32 as the value of one metadata key."""
    place = data.index(text(key)) + 8 + len(key) + 4
    return data[:place] + struct.pack("<I", number) + data[place + 4 :]
