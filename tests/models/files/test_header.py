"""A GGUF header is believed only after every count and length was compared with the file."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.models.files import ggml
from sqlite_utils_muninn.models.files.header import Array, HeaderError, read_header
from tests.models import raw_gguf

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return path


def test_says_what_the_file_says(tmp_path: Path) -> None:
    metadata = {
        **raw_gguf.MODEL,
        "general.name": "Tiny",
        "general.license": "apache-2.0",
        "general.file_type": 15,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": ["a"] * 100,
        "general.tags": ["x", "y"],
    }
    header = read_header(written(tmp_path, raw_gguf.file(metadata)))
    assert (header.architecture, header.name, header.licence) == ("bert", "Tiny", "apache-2.0")
    assert (header.dimensions, header.context, header.pooling) == (32, 64, "mean")
    assert (header.quantization, header.tokenizer, header.parameters) == ("Q4_K_M", "bert", 128)
    assert header.metadata["tokenizer.ggml.tokens"] == Array(100)
    assert header.metadata["general.tags"] == Array(2, ("x", "y"))
    assert header.tensors[0].offset + 512 == header.size


def test_version_2_is_read(tmp_path: Path) -> None:
    assert read_header(written(tmp_path, raw_gguf.file(version=2))).version == 2


def test_reference_model(minilm_path: Path) -> None:
    header = read_header(minilm_path)
    assert (header.architecture, header.dimensions, header.context) == ("bert", 384, 512)
    assert (header.pooling, header.quantization, len(header.tensors)) == ("mean", "F16", 101)
    assert header.metadata["tokenizer.ggml.tokens"].length == 30522


def test_a_classifier_makes_a_reranker(reranker_path: Path) -> None:
    assert read_header(reranker_path).pooling == "rank"


def test_pooling_that_is_not_said_follows_from_the_kind_of_model(tmp_path: Path) -> None:
    """A decoder's first tokens have not seen the text: only its last one can stand for it."""
    silent = {key: raw_gguf.MODEL[key] for key in raw_gguf.MODEL if "pooling" not in key}
    encoder = {**silent, "bert.attention.causal": False}
    assert read_header(written(tmp_path, raw_gguf.file(encoder))).pooling == "mean"
    assert read_header(written(tmp_path, raw_gguf.file(silent))).pooling == "last"


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a GGUF file"),
    "another format": (b"PK\x03\x04" + bytes(100), "not a GGUF file"),
    "magic alone": (b"GGUF", "cut off"),
    "version 1": (raw_gguf.file(version=1), "GGUF version 1"),
    "big-endian": (raw_gguf.file(version=3 << 24), "big-endian"),
    "tensor count": (raw_gguf.file(n_tensors=1 << 60), "claims"),
    "entry count": (raw_gguf.file(n_entries=1 << 60), "claims"),
    "more entries than there are": (raw_gguf.file(n_entries=9), "not a usable GGUF file"),
    "key of 2**63 bytes": (
        raw_gguf.file({})[:24] + struct.pack("<Q", 1 << 63) + bytes(64),
        "claims",
    ),
    "string longer than the file": (
        raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<IQ", 8, 1 << 20)}),
        "cut off",
    ),
    "array of 2**61 numbers": (
        raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<IIQ", 9, 4, 1 << 61)}),
        "cut off",
    ),
    "array of 2**61 strings": (
        raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<IIQ", 9, 8, 1 << 61)}),
        "cut off",
    ),
    "array of arrays": (
        raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<IIQ", 9, 9, 1)}),
        "array of type 9",
    ),
    "unknown value type": (
        raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<I", 99)}),
        "unknown type 99",
    ),
    "no architecture": (raw_gguf.file({}), "general.architecture"),
    "architecture is a number": (raw_gguf.file({"general.architecture": 1}), "architecture"),
    "no dimensions": (raw_gguf.file({"general.architecture": "bert"}), "bert.embedding_length"),
    "no context": (
        raw_gguf.file({**raw_gguf.MODEL, "bert.context_length": 0}),
        "bert.context_length",
    ),
    "alignment 0": (raw_gguf.file({**raw_gguf.MODEL, "general.alignment": 0}), "alignment"),
    "no tensors": (raw_gguf.file(tensors=()), "no tensors"),
    "tensor beyond the end": (
        raw_gguf.file(tensors=(("a", (32, 4), 0, 1 << 40, -(1 << 40)),)),
        "cut off",
    ),
    "tensor larger than the file": (raw_gguf.file(tensors=(("a", (1 << 20,), 0, 0, 4),)), "cut"),
    "tensor of 2**70 weights": (
        raw_gguf.file(tensors=(("a", (1 << 30, 1 << 30, 1 << 10), 0, 0, 4),)),
        "has shape",
    ),
    "tensor of no weights": (raw_gguf.file(tensors=(("a", (32, 0), 0, 0, 4),)), "has shape"),
    "five dimensions": (raw_gguf.file(tensors=(("a", (1,) * 5, 0, 0, 4),)), "5 dimensions"),
    "half a block": (raw_gguf.file(tensors=(("a", (33,), 8, 0, 34),)), "blocks of 32"),
    "same name twice": (raw_gguf.file(tensors=(raw_gguf.WEIGHT,) * 2), "same name"),
    "reranker without a classifier": (
        raw_gguf.file({**raw_gguf.MODEL, "bert.pooling_type": 4}),
        "without a classifier",
    ),
}


@pytest.mark.parametrize(("data", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_gets_one_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(HeaderError, match=said) as caught:
        read_header(path)
    assert str(caught.value).startswith(f"failed to load {path}: ")
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HeaderError, match="No such file"):
        read_header(tmp_path / "none.gguf")


def test_every_truncation_is_seen(tmp_path: Path) -> None:
    """Native code would read past the end of a mapped file, and die of SIGBUS."""
    whole = raw_gguf.file()
    for length in range(len(whole)):
        with pytest.raises(HeaderError):
            read_header(written(tmp_path, whole[:length]))
    read_header(written(tmp_path, whole))


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    rng = random.Random(7)
    whole = raw_gguf.file({**raw_gguf.MODEL, "general.tags": ["a", "b"]})
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(whole) - 512)] = rng.choice(
                (0, 1, 0x7F, 0xFF, rng.randrange(256))
            )
        with contextlib.suppress(HeaderError):
            read_header(written(tmp_path, bytes(data)))


def test_claims_of_a_small_file_cost_nothing(tmp_path: Path) -> None:
    data = raw_gguf.file({**raw_gguf.MODEL, "x": struct.pack("<IIQ", 9, 8, 1 << 50)})
    started = time.process_time()
    with pytest.raises(HeaderError):
        read_header(written(tmp_path, data))
    assert time.process_time() - started < 0.5


def test_block_sizes_agree_with_the_gguf_package() -> None:
    gguf: Any = pytest.importorskip("gguf", reason="the gguf package is not installed")
    for kind, sizes in gguf.GGML_QUANT_SIZES.items():
        known = ggml.TENSOR_TYPES.get(int(kind))
        assert known is None or (known.block, known.size) == sizes, kind
