"""The models directory: no name lost, no file deleted that is not ours, no half-written index."""

from __future__ import annotations

import json
import multiprocessing
from typing import TYPE_CHECKING

import pytest

from sqlite_utils_muninn.models.errors import StoreError, UnknownModelError
from sqlite_utils_muninn.models.files.checksum import sha256_of
from sqlite_utils_muninn.models.files.locks import exclusive, write_whole
from sqlite_utils_muninn.models.files.store import INDEX, InstalledModel, ModelStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


def put(store: ModelStore, file_name: str, content: bytes = b"GGUF") -> Path:
    store.prepare()
    path = store.directory / file_name
    path.write_bytes(content)
    return path


def test_a_directory_that_is_not_there_is_empty(store):
    assert list(store) == []
    assert store.get("MiniLM") is None
    assert not store.directory.exists()


def test_a_recorded_model_is_found_by_name_alias_and_case(store):
    path = put(store, "all-MiniLM-L6-v2.f16.gguf")
    model = InstalledModel("all-MiniLM-L6-v2", path, 4, sha256_of(path), "somewhere")
    recorded = store.record(model)
    assert recorded.installed is not None
    for name in ("all-MiniLM-L6-v2", "minilm", "ALL-MINILM-L6-V2"):
        assert ModelStore(store.directory).find(name) == recorded


def test_files_put_there_by_hand_are_models(store):
    put(store, "bge-small-en-v1.5-f16.gguf")
    put(store, "my own.gguf")
    assert {model.name for model in store} == {"bge-small-en-v1.5", "my own"}
    assert store.find("bge-small").sha256 is None


def test_the_directory_may_move(store, tmp_path):
    path = put(store, "bge-small-en-v1.5-f16.gguf")
    store.record(InstalledModel("bge-small-en-v1.5", path, 4, "0" * 64))
    moved = store.directory.rename(tmp_path / "moved")
    assert ModelStore(moved).find("bge-small").path == moved / path.name


def test_an_added_file_stays_where_it_is(store, tmp_path):
    path = tmp_path / "elsewhere.gguf"
    path.write_bytes(b"GGUF")
    added = store.add("mine", path, query_prefix="q: ", pooling="cls")
    assert (added.path, added.sha256) == (path, sha256_of(path))
    assert (added.query_prefix, added.document_prefix, added.pooling) == ("q: ", None, "cls")
    assert ModelStore(store.directory).find("MINE") == added
    store.remove("mine")
    assert path.exists()
    assert list(store) == []


def test_a_catalogue_name_can_be_given_to_a_file(store, tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    assert store.add("minilm", path).name == "all-MiniLM-L6-v2"


def test_a_taken_name_is_replaced_only_when_asked(store, tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    store.add("mine", path)
    with pytest.raises(StoreError, match="A model named 'mine' is installed already"):
        store.add("Mine", path)
    assert store.add("mine", path, replace=True, pooling="last").pooling == "last"


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a" * 101, "x\ny"])
def test_a_name_that_is_no_name(store, tmp_path, name):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(StoreError, match="A model cannot be named"):
        store.add(name, path)
    assert not (store.directory / INDEX).exists()


def test_an_added_path_must_be_a_file(store, tmp_path):
    with pytest.raises(StoreError, match="There is no file"):
        store.add("mine", tmp_path)


def test_removal_deletes_our_file_and_keeps_the_checksum(store):
    path = put(store, "jina-reranker-v1-tiny-en-FP16.gguf")
    url = "https://example.com/jina"
    store.record(InstalledModel("jina-reranker-v1-tiny-en", path, 4, "a" * 64), url=url)
    assert store.remove("jina-reranker-tiny").path == path
    assert not path.exists()
    assert store.checksum_held(url) == "a" * 64


def test_the_first_checksum_is_the_one_that_is_held(store):
    path = put(store, "x.gguf")
    for checksum in ("a" * 64, "b" * 64):
        store.record(InstalledModel("x", path, 4, checksum), url="https://example.com/x")
    assert store.checksum_held("https://example.com/x") == "a" * 64


def test_three_kinds_of_not_found(store, tmp_path):
    with pytest.raises(UnknownModelError, match=r"No model is named 'MiniLN'.*'MiniLM'"):
        store.find("MiniLN")
    with pytest.raises(StoreError, match=r"'BGE-M3' is not installed.*models pull BGE-M3"):
        store.find("bge-m3")
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF")
    store.add("mine", path)
    path.unlink()
    with pytest.raises(StoreError, match="The file of model 'mine' is gone"):
        store.find("mine")
    store.remove("mine")
    assert list(store) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"models": {"a": {}}, "checksums": {}}', b'{"models": 3}', b"\xff\xfe"],
)
def test_a_damaged_index_loses_notes_not_models(store, content):
    put(store, "bge-small-en-v1.5-f16.gguf")
    put(store, INDEX, content)
    assert [model.name for model in store] == ["bge-small-en-v1.5"]
    assert "is damaged" in store.damage
    store.record(InstalledModel("bge-small-en-v1.5", store.find("bge-small").path, 4, "0" * 64))
    assert store.damage is None
    assert ModelStore(store.directory).find("bge-small").sha256 == "0" * 64
    assert (store.directory / "index.damaged").read_bytes() == content


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    store = ModelStore(tmp_path / "file" / "models")
    with pytest.raises(StoreError, match="cannot be made"):
        store.prepare()


def _record_many(directory: Path, prefix: str) -> None:
    store = ModelStore(directory)
    for number in range(20):
        store.record(InstalledModel(f"{prefix}{number}", directory / "x.gguf", 4, "0" * 64))


def test_two_processes_lose_no_record(store):
    put(store, "x.gguf")
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=_record_many, args=(store.directory, prefix)) for prefix in "ab"
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(json.loads((store.directory / INDEX).read_text())["models"]) == 40


def test_a_lock_that_is_held_is_told(store, monkeypatch):
    store.prepare()
    monkeypatch.setattr("sqlite_utils_muninn.models.files.store._LOCK_SECONDS", 0.1)
    with (
        exclusive(store.directory / ".index.lock", 0.0),
        pytest.raises(StoreError, match="Another process is changing"),
    ):
        store.record(InstalledModel("x", store.directory / "x.gguf"))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "index.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_whole(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.json"]
