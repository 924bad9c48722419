"""models verify, bench, compare and quantize: faults are seen, figures are those of the files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")

from sqlite_utils_muninn.commands.models import register
from sqlite_utils_muninn.models.files.facts import facts_of, mix_of
from sqlite_utils_muninn.models.files.header import read_header
from sqlite_utils_muninn.models.quality.compare import compare
from sqlite_utils_muninn.models.quality.samples import long_texts, sentences, short_texts
from sqlite_utils_muninn.models.quantize import quantize
from sqlite_utils_muninn.models.registry import Registry
from tests.models import raw_gguf
from tests.tiny_gguf import Bert, Qwen3Reranker

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def directory(directory: Path) -> Path:
    directory.mkdir()
    return directory


# ---- verify


def test_a_good_model_passes(run: Any, minilm_path: Path, reranker_path: Path) -> None:
    run("add", "mine", str(minilm_path))
    lines = run("verify", "mine").output.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", f"{name}:"] for name in ("checksum", "meaning", "length", "batches", "repetition")
    ]
    assert run("verify", str(reranker_path)).output.count("ok ") == 4


def test_a_changed_file_fails(run: Any, directory: Path) -> None:
    path = Bert().write(directory.parent / "bert.gguf")
    run("add", "mine", str(path))
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\x00\x3f"
    path.write_bytes(data)
    done = run("verify", "mine", code=1)
    assert "FAILED  checksum: it is" in done.output
    assert "failed" in done.output.splitlines()[-1]


def test_a_model_that_knows_nothing_fails(run: Any, directory: Path) -> None:
    """Random weights do not see a paraphrase in half of the seeds."""
    outputs = []
    for seed in (1, 4):
        path = Bert(seed).write(directory.parent / f"{seed}.gguf")
        group = click.Group("muninn")
        register(group)
        outputs.append(CliRunner().invoke(group, ["models", "verify", str(path)]))
    failed = [done for done in outputs if "FAILED  meaning" in done.output]
    assert failed
    assert all(done.exit_code == 1 for done in failed)
    assert all("FAILED  batches" not in done.output for done in outputs)


# ---- bench


def test_bench_measures(run: Any, minilm_path: Path) -> None:
    done = run("bench", str(minilm_path), "--texts", "30", "--threads", "1")
    speed = json.loads(done.output)
    assert speed["threads"] == 1
    assert speed["short_per_second"] > speed["long_per_second"] > 0
    assert 0 < speed["query_milliseconds"] <= speed["query_milliseconds_worst"] < 5000


def test_bench_texts_are_as_long_as_it_says(minilm_path: Path, models_directory: Path) -> None:
    model = Registry(threads=1).open(minilm_path, models_directory)
    short = [model.token_count(text) for text in short_texts(100)]
    long = [model.token_count(text) for text in long_texts(100)]
    assert 17 <= np.mean(short) <= 23
    assert 235 <= np.mean(long) <= 265
    assert len(set(sentences())) == 96


def test_bench_of_a_reranker(run: Any, directory: Path) -> None:
    path = Qwen3Reranker().write(directory.parent / "r.gguf")
    assert json.loads(run("bench", str(path), "--texts", "10").output)["short_per_second"] > 0


# ---- compare, quantize


def test_compare_with_itself_finds_nothing(run: Any, minilm_path: Path) -> None:
    done = json.loads(run("compare", str(minilm_path), str(minilm_path)).output)
    assert done["texts"] == 96
    assert done["mean_squared_error"] < 1e-9
    assert done["rank_correlation"] > 0.9999
    assert done["neighbours_shared"] > 0.99


def test_compare_figures_by_hand(tmp_path: Path) -> None:
    models = [
        Registry(1).open_file(Bert(seed).write(tmp_path / f"{seed}.gguf"), directory=tmp_path)
        for seed in (1, 2)
    ]
    texts = ["raven", "the raven", "graph", "searching", "the"]
    one, other = (model.embed(texts) for model in models)
    found = compare(*models, texts)
    assert found.mean_squared_error == pytest.approx(((one - other) ** 2).mean())
    assert found.mean_cosine == pytest.approx((one * other).sum(axis=1).mean())
    assert found.neighbours_shared == 1  # all of four
    assert -1 <= found.rank_correlation < 0.9
    with pytest.raises(ValueError, match="3 texts or more"):
        compare(*models, texts[:2])


def test_quantize_and_compare(run: Any, directory: Path, minilm_path: Path, tmp_path: Path) -> None:
    run("add", "mine", str(minilm_path), "--query-prefix", "q: ")
    done = run("quantize", "mine", "q8_0")
    assert done.output.startswith(f"mine-q8_0: {directory / 'mine-q8_0.gguf'} (25.3 MB, was 46.")
    assert "Q8_0: 99." in done.output
    run("quantize", "mine", "bf16")
    errors = [
        json.loads(run("compare", "mine", f"mine-{kind}").output)["mean_squared_error"]
        for kind in ("bf16", "q8_0")
    ]
    assert 0 < errors[0] < 1e-6 < errors[1] < 1e-5
    shown = json.loads(run("show", "mine-q8_0").output)
    assert shown["installed"]["query_prefix"] == "q: "
    assert shown["file"]["quantization"] == "Q8_0"
    assert run("quantize", "mine", "q8_0", code=1).output.startswith("Error: A model named 'mine")
    assert "quantized already (Q8_0)" in run("quantize", "mine-q8_0", "q4_0", code=1).output
    assert not list(directory.glob("*.part"))


def test_k_quants_show_what_each_matrix_became(minilm_path: Path, tmp_path: Path) -> None:
    mix = mix_of(quantize(minilm_path, tmp_path / "q.gguf", "q4_k_m", threads=1))
    assert set(mix) == {"F32", "Q5_0", "Q4_K", "Q6_K", "Q8_0"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [("q4_k_m", "no matrix with rows of a multiple of 256"), ("q9_9", "type must be one of bf16")],
)
def test_quantizing_what_cannot_be(tmp_path: Path, kind: str, said: str) -> None:
    path = Bert().write(tmp_path / "bert.gguf")
    with pytest.raises(ValueError, match=said):
        quantize(path, tmp_path / "out.gguf", kind)
    assert not (tmp_path / "out.gguf").exists()


def test_a_file_that_kills_the_routine_is_an_error(tmp_path: Path, minilm_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw_gguf.with_number(minilm_path.read_bytes(), "bert.block_count", 0))
    with pytest.raises(ValueError, match=r"."):
        quantize(path, tmp_path / "nowhere" / "out.gguf", "q8_0")


def test_facts_come_from_the_header(reranker_path: Path, tmp_path: Path) -> None:
    facts = facts_of(read_header(reranker_path))
    assert (facts["layers"], facts["heads"], facts["tokens"]) == (6, 12, 30522)
    assert facts["vocabulary"] == "WordPiece"
    assert sum(facts["weights"].values()) == facts["parameters"]
    prompted = facts_of(read_header(Qwen3Reranker().write(tmp_path / "q.gguf")))
    assert prompted["labels"] == ["yes", "no"]
    assert "{document}" in prompted["rerank_prompt"]
