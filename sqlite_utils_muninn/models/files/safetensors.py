"""Reading a safetensors file: a length, a JSON header, then the tensors as they lie in memory.

The format: https://huggingface.co/docs/safetensors#format. Every number of the header
is checked against the file before it is used, since the file may come from anywhere.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_HEADER = 100_000_000  # the limit that the format sets itself
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the tensors of a file by name, as read-only views of the mapped file.

    Raises ConversionError for a file that is cut short or not safetensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MAX_HEADER):
            raise ConversionError(f"{path.name} is not a safetensors file, or is cut short")
        header = _header(file.read(length), path)
    data: np.ndarray[Any, Any] = np.zeros(0, np.uint8)
    if size > 8 + length:  # an empty file region cannot be mapped
        data = np.memmap(path, np.uint8, "r", offset=8 + length)
    return {
        name: _view(data, entry, f"{path.name}: tensor {name!r}")
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _header(text: bytes, path: Path) -> Mapping[str, Any]:
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise ConversionError(f"{path.name} is not a safetensors file: its header is not JSON")
    return header


def _view(data: np.ndarray[Any, Any], entry: Mapping[str, Any], where: str) -> np.ndarray[Any, Any]:
    try:
        dtype = np.dtype(_KINDS[entry["dtype"]])
        shape = [int(length) for length in entry["shape"]]
        start, end = (int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConversionError(f"{where} is not described as it must be: {error!r}") from error
    expected = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or not 0 <= start <= end <= len(data) or end - start != expected:
        raise ConversionError(f"{where} lies outside of the file or is not of its stated size")
    return data[start:end].view(dtype).reshape(shape)
