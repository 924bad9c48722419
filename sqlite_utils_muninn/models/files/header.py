"""Reading the header of a GGUF file, before any native code sees it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The file is hostile until
proved otherwise: each count and length is compared with what is left of the file before it is
believed, and the data of every tensor must lie inside the file. No tensor is loaded.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import ModelFileError
from . import ggml

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)

# Far above any real file (Gemma's 262,144 tokens make 16 MB), far below what hurts to read.
MAX_HEADER = 256 << 20
MAX_ENTRIES = 1 << 17
MAX_NAME = 1 << 16
MAX_STRING = 16 << 20
MAX_DIMENSIONS = 4
MAX_SAID = 400  # characters of an error
KEPT_ITEMS = 64  # of an array; vocabularies are counted, not kept

_PORTION = 1 << 20  # bytes of one read
_LENGTH = struct.Struct("<Q")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_NUMBERS = {  # type number -> struct format
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f",
    _BOOL: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip


class HeaderError(ModelFileError):
    """The file is not a GGUF file that can be trusted to native code."""


@dataclass(frozen=True)
class Array:
    """An array of the metadata: its length, and its items where they are few."""

    length: int
    items: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Tensor:
    """One tensor as the header describes it; `offset` counts from the start of the file."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int
    size: int | None
    """Bytes; None where this version does not know the tensor's type."""


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself."""

    path: Path
    size: int
    """Bytes of the whole file."""
    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    def own(self, key: str) -> Any:
        """Return the metadata value of a key of this architecture, `bert.KEY`; else None."""
        return self.metadata.get(f"{self.architecture}.{key}")

    @property
    def architecture(self) -> str:
        return str(self.metadata["general.architecture"])

    @property
    def name(self) -> str | None:
        value = self.metadata.get("general.name")
        return value if isinstance(value, str) else None

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.own("embedding_length_out") or self.own("embedding_length"))

    @property
    def context(self) -> int:
        """Tokens that the model was trained to read."""
        return int(self.own("context_length"))

    @cached_property
    def pooling(self) -> str:
        """How token vectors become one: mean, cls, last or rank.

        Where the file does not say: rank if there is a classifier, else what its kind of model
        was trained with.
        """
        number = self.own("pooling_type")
        if isinstance(number, int) and number in ggml.POOLINGS and number != 0:
            return ggml.POOLINGS[number]
        if any(tensor.name in ("cls.weight", "cls.output.weight") for tensor in self.tensors):
            return "rank"
        return "mean" if self.own("attention.causal") is False else "last"

    @property
    def tokenizer(self) -> str | None:
        value = self.metadata.get("tokenizer.ggml.model")
        return value if isinstance(value, str) else None

    @property
    def licence(self) -> str | None:
        value = self.metadata.get("general.license")
        return value if isinstance(value, str) else None

    @cached_property
    def quantization(self) -> str:
        """The name of the mix, `Q4_K_M`; where the file does not say, of most of its weights."""
        number = self.metadata.get("general.file_type")
        if isinstance(number, int) and number in ggml.FILE_TYPES:
            return ggml.FILE_TYPES[number]
        weights: dict[int, int] = {}
        for tensor in self.tensors:
            weights[tensor.type] = weights.get(tensor.type, 0) + math.prod(tensor.shape)
        most = max(weights, key=lambda kind: weights[kind], default=-1)
        return ggml.TENSOR_TYPES[most].name if most in ggml.TENSOR_TYPES else f"type {most}"

    @cached_property
    def parameters(self) -> int:
        """The number of weights."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)


def read_header(path: Path) -> Header:
    """Return the header of a GGUF file.

    Raises HeaderError, a ValueError with one sentence for the user, for anything else than a
    whole, well-formed GGUF file of a text model, or where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = _Reader(file, path).header()
        _check_model(header)
    except HeaderError:
        raise
    except OSError as error:
        raise HeaderError(f"failed to load {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, OverflowError, struct.error) as error:
        said = f"not a usable GGUF file, {_brief(str(error))}"
        raise HeaderError(f"failed to load {path}: {said}") from error
    return header


def read_arrays(path: Path, keys: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """Return arrays of a file's metadata whole, which `read_header` only counts.

    Raises as it does.
    """
    with path.open("rb") as file:
        try:
            found = _Reader(file, path, whole=keys).header()
        except (ValueError, TypeError, KeyError, OverflowError, struct.error) as error:
            raise HeaderError(f"failed to load {path}: {_brief(str(error))}") from error
    values = {key: found.metadata.get(key) for key in keys}
    return {key: value.items for key, value in values.items() if isinstance(value, Array)}


def _brief(said: str) -> str:
    """Return an error's words; names in a damaged file may have 65,536 characters."""
    half = MAX_SAID // 2
    return said if len(said) <= MAX_SAID else f"{said[:half]} ... {said[-half:]}"


def _check_model(header: Header) -> None:
    """Raise ValueError where what every text model has is missing or out of proportion."""
    name = header.metadata.get("general.architecture")
    if not isinstance(name, str) or not name:
        raise ValueError("its metadata has no 'general.architecture'")
    for key in ("embedding_length", "context_length"):
        value = header.own(key)
        if not isinstance(value, int) or not 0 < value < 1 << 31:
            raise ValueError(f"its metadata has no sensible '{name}.{key}' (it is {value!r})")
    if not header.tensors:
        raise ValueError("it has no tensors")
    if header.pooling == "rank" and not any(t.name.startswith("cls.") for t in header.tensors):
        # llama.cpp loads it and gives scores near zero (its issue 16407)
        raise ValueError(
            "it is a reranker without a classifier: convert it again with 'cls.output'"
        )


class _Reader:
    """Reads forward through a header, never past the file's end or the limits above."""

    def __init__(self, file: BinaryIO, path: Path, whole: Collection[str] = ()) -> None:
        """`whole` are the keys of arrays whose items are kept, however many they are."""
        self.whole = whole
        self.file = file
        self.path = path
        self.size = os.fstat(file.fileno()).st_size
        self.limit = min(self.size, MAX_HEADER)

    def header(self) -> Header:
        version = self.opening()
        n_tensors = self.count("tensors", at_least=24)
        n_entries = self.count("metadata entries", at_least=13)
        metadata: dict[str, Any] = {}
        for _ in range(n_entries):
            key = self.string("a metadata key", MAX_NAME)
            if key in metadata:
                raise ValueError(f"metadata key {key!r} is there twice")
            metadata[key] = self.value(key, self.number("<I"))
        described = [self.tensor() for _ in range(n_tensors)]
        start = self.data_start(metadata.get("general.alignment", 32))
        tensors = tuple(self.placed(tensor, start) for tensor in described)
        if len({tensor.name for tensor in tensors}) != n_tensors:
            raise ValueError("two tensors have the same name")
        return Header(self.path, self.size, version, metadata, tensors)

    def opening(self) -> int:
        magic = self.file.read(4)
        if magic != MAGIC:
            raise HeaderError(
                f"failed to load {self.path}: not a GGUF file, it starts with {magic!r}"
            )
        version = int(self.number("<I"))
        if version in VERSIONS:
            return version
        if version.to_bytes(4, "little")[::-1] in {n.to_bytes(4, "little") for n in VERSIONS}:
            raise ValueError("it is written for big-endian machines")
        raise ValueError(f"it has GGUF version {version}, versions 2 and 3 can be read")

    def take(self, length: int, what: str) -> bytes:
        """Return the next bytes, which must be there."""
        position = self.file.tell()
        if length > self.limit - position:
            raise ValueError(self.cut_off(what, position))
        data = self.file.read(length)
        if len(data) != length:
            raise ValueError(self.cut_off(what, position))
        return data

    def cut_off(self, what: str, position: int) -> str:
        if self.limit < self.size:
            return f"its header is larger than {MAX_HEADER >> 20} MB (in {what})"
        return f"it ends at byte {self.size:,}, in {what} at byte {position:,}: it is cut off"

    def number(self, form: str, what: str = "a number") -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def count(self, what: str, at_least: int) -> int:
        """Return a number of things, each of which takes `at_least` bytes of the file."""
        count = int(self.number("<Q"))
        if count > MAX_ENTRIES or count * at_least > self.size:
            raise ValueError(f"it claims {count:,} {what}, more than it can hold")
        return count

    def string(self, what: str, most: int = MAX_STRING) -> str:
        length = self.number("<Q", what)
        if length > most:
            raise ValueError(f"{what} claims {length:,} bytes, at most {most:,} are read")
        # llama.cpp is handed the file, not this string, so odd bytes are shown, not refused
        return self.take(length, what).decode("utf-8", "replace")

    def value(self, key: str, kind: int) -> Any:
        what = f"the value of {key!r}"
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind], what)
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            return self.array(what, MAX_HEADER if key in self.whole else KEPT_ITEMS)
        raise ValueError(f"{what} has unknown type {kind}")

    def array(self, what: str, most: int) -> Array:
        """Return an array, with its items where they are no more than `most`."""
        kind = self.number("<I", what)
        length = self.number("<Q", what)
        if kind == _STRING:
            return self.string_array(what, length, most)
        if kind not in _NUMBERS:  # arrays of arrays too: no model has them, llama.cpp reads none
            raise ValueError(f"{what} is an array of type {kind}, which cannot be read")
        form = _NUMBERS[kind]
        data = self.take(length * struct.calcsize(form), what)
        if length > most:
            return Array(length)
        return Array(length, tuple(item for (item,) in struct.iter_unpack(form, data)))

    def string_array(self, what: str, length: int, most: int) -> Array:
        if length * 8 > self.limit - self.file.tell():
            raise ValueError(self.cut_off(what, self.file.tell()))
        strings = self.strings(length, what, keep=length <= most)
        return Array(length, tuple(string.decode("utf-8", "replace") for string in strings))

    def strings(self, count: int, what: str, *, keep: bool) -> list[bytes]:
        """Go behind so many strings and return them, or none of them unless `keep`.

        Vocabularies have too many for a read or two of each, and each start goes through here.
        """
        kept: list[bytes] = []
        start = end = place = self.file.tell()
        data = b""
        for _ in range(count):
            begin = place + 8
            if begin > end:
                start, data = place, self.portion(place, 8, what)
                end = start + len(data)
            (length,) = _LENGTH.unpack_from(data, place - start)
            place = begin + length
            if place > self.limit:
                raise ValueError(self.cut_off(what, begin))
            if keep:
                if place > end:
                    start, data = begin, self.portion(begin, length, what)
                    end = start + len(data)
                kept.append(data[begin - start : place - start])
        self.file.seek(place)
        return kept

    def portion(self, place: int, least: int, what: str) -> bytes:
        """Return what stands at a place, a good deal of it and `least` bytes at any rate."""
        self.file.seek(place)
        data = self.file.read(min(max(_PORTION, least), self.limit - place))
        if len(data) < least:
            raise ValueError(self.cut_off(what, place))
        return data

    def tensor(self) -> Tensor:
        """Return a tensor whose offset still counts from the start of the data."""
        name = self.string("a tensor's name", MAX_NAME)
        what = f"tensor {name!r}"
        n_dimensions = self.number("<I", what)
        if not 0 < n_dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"{what} has {n_dimensions} dimensions, 1 to {MAX_DIMENSIONS} may be")
        shape = tuple(self.number("<Q", what) for _ in range(n_dimensions))
        kind, offset = self.number("<I", what), self.number("<Q", what)
        return Tensor(name, shape, kind, offset, _bytes_of(what, shape, kind))

    def data_start(self, alignment: Any) -> int:
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 16 or alignment % 8:
            raise ValueError(f"its alignment is {alignment!r}")
        position = self.file.tell()
        return position + -position % alignment

    def placed(self, tensor: Tensor, start: int) -> Tensor:
        """Return the tensor with its offset in the file, where it must lie as a whole."""
        offset = start + tensor.offset
        end = offset + (tensor.size or 0)
        if end > self.size:
            raise ValueError(
                f"tensor {tensor.name!r} ends at byte {end:,} of a file "
                f"of {self.size:,} bytes: it is cut off"
            )
        return Tensor(tensor.name, tensor.shape, tensor.type, offset, tensor.size)


def _bytes_of(what: str, shape: tuple[int, ...], kind: int) -> int | None:
    """Return the bytes of a tensor; None for a type that is newer than this list."""
    weights = math.prod(shape)
    if weights >= 1 << 63 or not all(shape):
        raise ValueError(f"{what} has shape {shape}")
    if kind not in ggml.TENSOR_TYPES:
        return None
    known = ggml.TENSOR_TYPES[kind]
    if shape[0] % known.block:
        raise ValueError(
            f"{what} has rows of {shape[0]}, which {known.name} holds in blocks of {known.block}"
        )
    return weights // known.block * known.size
