"""The weights of a GGUF file as floats, without native code: the types that are plain to read.

Layouts as ggml has them: a block of 32 weights is a 16-bit scale and its integers.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

import numpy as np

from . import ggml

if TYPE_CHECKING:
    from pathlib import Path

    from .header import Header, Tensor

READABLE = ("F32", "F16", "BF16", "Q8_0", "Q5_0", "Q4_0")


def type_of(tensor: Tensor) -> str:
    """Return the name of a tensor's type; empty for one that is newer than this version."""
    known = ggml.TENSOR_TYPES.get(tensor.type)
    return known.name if known else ""


class Tensors:
    """The tensors of a file by name. The file stays mapped for as long as somebody holds this."""

    def __init__(self, header: Header) -> None:
        self._described = {tensor.name: tensor for tensor in header.tensors}
        self._file = _mapped(header.path)

    def rows(self, name: str) -> Rows:
        """Return a matrix whose rows can be read one by one."""
        return Rows(self._described[name], self._file)

    def whole(self, name: str) -> np.ndarray:
        """Return a tensor as float32, (rows, columns) or (columns,)."""
        matrix = self.rows(name)
        values = matrix.read(slice(None))
        return values if len(matrix.shape) > 1 else values[0]


def _mapped(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


class Rows:
    """A matrix in a file, (rows, columns)."""

    def __init__(self, tensor: Tensor, file: np.ndarray) -> None:
        assert tensor.size is not None
        self.shape = tuple(reversed(tensor.shape))
        self.kind = type_of(tensor)
        columns = tensor.shape[0]
        data = file[tensor.offset : tensor.offset + tensor.size]
        self._rows = data.reshape(_count(self.shape), -1)
        self._columns = columns

    def read(self, which: slice | np.ndarray) -> np.ndarray:
        """Return some rows as float32. Raises IndexError for a row that is not there."""
        raw = np.ascontiguousarray(self._rows[which])
        if self.kind == "F32":
            return raw.view("<f4").astype(np.float32, copy=False)
        if self.kind == "F16":
            return np.asarray(raw.view("<f2"), np.float32)
        if self.kind == "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return _of_blocks(self.kind, raw, self._columns)


def _count(shape: tuple[int, ...]) -> int:
    """Return how many rows a tensor of a shape has."""
    rows = 1
    for length in shape[:-1]:
        rows *= length
    return rows


def _of_blocks(kind: str, raw: np.ndarray, columns: int) -> np.ndarray:
    """Return rows of quantized blocks as float32."""
    size = {"Q8_0": 34, "Q5_0": 22, "Q4_0": 18}[kind]
    blocks = raw.reshape(-1, size)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    if kind == "Q8_0":
        return np.asarray(_scaled(blocks[:, 2:].view(np.int8), scale).reshape(-1, columns))
    if kind == "Q4_0":
        whole = _halves(blocks[:, 2:]) - np.float32(8)
    else:
        fifth = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little").astype(np.float32)
        whole = _halves(blocks[:, 6:]) + 16 * fifth - np.float32(16)
    return np.asarray((whole * scale).reshape(-1, columns))


def _scaled(whole: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return bytes times a scale for each row, without an array of floats between."""
    out = np.empty(whole.shape, np.float32)
    np.copyto(out, whole)
    out *= scale
    return out


def _halves(packed: np.ndarray) -> np.ndarray:
    """Return the low halves of 16 bytes, then the high ones."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
