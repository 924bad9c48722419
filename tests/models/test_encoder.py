"""BERT in 8-bit integers: near llama.cpp's vectors, the same whatever stands beside a text."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.models import encoder, probe
from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.files.header import Tensor, read_header
from sqlite_utils_muninn.models.files.tensors import Tensors
from sqlite_utils_muninn.models.limits import limits
from sqlite_utils_muninn.models.quality.compare import compare
from sqlite_utils_muninn.models.quality.samples import long_texts, sentences, short_texts
from sqlite_utils_muninn.models.quantize import quantize
from sqlite_utils_muninn.models.registry import Registry
from sqlite_utils_muninn.models.rerank import rerank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils_muninn.models.model import Model

pytestmark = pytest.mark.skipif(
    not encoder.instructions(), reason="this CPU does not multiply bytes (VNNI)"
)

Opener = "Callable[[Path], Model]"


@pytest.fixture
def open_model(
    models_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Model]]:
    """Opens a file and computes it by the encoder of a name."""
    registries = []

    def opened(path: Path, by: str = "auto") -> Model:
        monkeypatch.setattr(limits, "encoder", by)
        registries.append(Registry(threads=2))
        model = registries[-1].open_file(path, directory=models_directory)
        with model.engine.weights():  # loaded now, while the limit is as it is
            return model

    yield opened
    for registry in registries:
        for engine in registry._engines.values():
            engine.unload()


@pytest.fixture(scope="module")
def q8_0(minilm_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("quantized") / "q8_0.gguf"
    quantize(minilm_path, target, "q8_0", threads=2)
    return target


def some_texts() -> list[str]:
    """Texts of 2 to 512 tokens, of several kinds."""
    long = " ".join(long_texts(3))
    cuts = [long[: 7 * n * n] for n in range(14)]
    return [*sentences()[::3], *cuts, "", "?", "def f(x): return x + 1", "Übergrößenträger 猫 🎉"]


def test_files_in_16_bits_stay_exact(open_model: Any, minilm_path: Path, q8_0: Path) -> None:
    assert not open_model(minilm_path).engine.is_int8
    assert open_model(q8_0).engine.is_int8
    assert open_model(minilm_path, "int8").engine.is_int8
    assert not open_model(q8_0, "llama.cpp").engine.is_int8


@pytest.mark.parametrize("kind", ["q8_0", "q5_0", "q4_0"])
def test_vectors_are_those_of_llama_cpp(
    open_model: Any, minilm_path: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"{kind}.gguf"
    quantize(minilm_path, path, kind, threads=2)
    ours, theirs = open_model(path), open_model(path, "llama.cpp")
    assert (ours.engine.is_int8, theirs.engine.is_int8) == (True, False)
    texts = some_texts()
    cosines = np.sum(ours.embed(texts) * theirs.embed(texts), axis=1)
    assert cosines.min() > 0.99, texts[int(cosines.argmin())]
    assert cosines.mean() > 0.997


def test_neighbours_are_those_of_the_exact_file(
    open_model: Any, minilm_path: Path, q8_0: Path
) -> None:
    found = compare(open_model(minilm_path), open_model(q8_0), sentences())
    assert found.mean_squared_error is not None
    assert found.mean_squared_error < 1e-5
    assert found.rank_correlation > 0.997
    assert found.neighbours_shared > 0.95


def test_a_vector_does_not_depend_on_its_neighbours(open_model: Any, q8_0: Path) -> None:
    """Where a scale is shared by a batch (onnxruntime's dynamic quantization), it does."""
    model, texts = open_model(q8_0), some_texts()
    together = model.embed(texts)
    assert np.array_equal(np.concatenate([model.embed([text]) for text in texts]), together)
    order = np.random.default_rng(3).permutation(len(texts))
    assert np.array_equal(model.embed([texts[i] for i in order]), together[order])


def test_instruction_sets_agree(open_model: Any, q8_0: Path) -> None:
    model = open_model(q8_0)
    made = encoder.Encoder(model.engine.header, "mean")
    with model.engine.weights() as weights:
        texts = [weights.encode(text, 512)[0] for text in some_texts()]

    def run(some: list[np.ndarray], number: int) -> np.ndarray:
        lengths = np.array([len(ids) for ids in some], np.int32)
        return made.run(np.concatenate(some), lengths, b"\0", number)

    sets = range(len(encoder.instructions()))
    found = [run(texts, number) for number in sets]
    for number in sets:
        single = np.concatenate([run([text], number) for text in texts])
        assert np.array_equal(single, found[number]), encoder.instructions()[number]
    made.close()
    for other in found[1:]:
        cosines = np.sum(other * found[0], axis=1) / (
            np.linalg.norm(other, axis=1) * np.linalg.norm(found[0], axis=1)
        )
        assert cosines.min() > 0.99


def test_a_reranker_whose_scores_would_move_stays_with_llama_cpp(
    open_model: Any, reranker_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rank.gguf"
    quantize(reranker_path, path, "q8_0", threads=2)
    query = "program that plays music files"
    texts = [
        "It is an audio player with playlist support for mp3, ogg and flac files.",
        "This library parses XML documents.",
        "A tool that converts images between formats.",
        *sentences()[:20],
    ]
    usual, ours = open_model(path), open_model(path, "int8")
    assert (usual.engine.is_int8, ours.engine.is_int8) == (False, True)
    found = [rerank(model, query, texts) for model in (usual, ours)]
    assert np.abs(found[0].scores - found[1].scores).max() < 0.15
    assert [each.scores.argmax() for each in found] == [0, 0]


def test_threads_compute_the_same(open_model: Any, q8_0: Path) -> None:
    model, texts = open_model(q8_0), short_texts(60)
    expected = model.embed(texts)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(model.embed(texts))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.abs(vectors - expected).max() < 1e-5 for vectors in found)


def test_a_check_stops_it(open_model: Any, q8_0: Path) -> None:
    model, texts = open_model(q8_0), long_texts(600)
    until, started = time.monotonic() + 0.1, time.process_time()

    def check() -> None:
        if time.monotonic() > until:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        model.embed(texts, check=check)
    assert time.process_time() - started < 3  # all of it takes 9
    assert len(model.embed(texts[:3])) == 3


def test_unloading_frees_it(open_model: Any, q8_0: Path) -> None:
    model = open_model(q8_0)
    before = model.embed(["a"])
    assert model.engine.unload()
    assert not model.engine.is_loaded
    assert np.array_equal(model.embed(["a"]), before)


def test_a_model_that_it_does_not_suit_is_left_to_llama_cpp(q8_0: Path) -> None:
    """Larger models have outliers in their activations, which one scale for a row cannot hold."""
    header = read_header(q8_0)
    assert encoder.serves(header, "mean", 0.998)
    assert not encoder.serves(header, "mean", 0.97)
    assert not encoder.serves(header, "mean", None)


def test_the_trial_run_compares_both(
    q8_0: Path, reranker_path: Path, models_directory: Path
) -> None:
    for path, least in ((q8_0, 0.985), (reranker_path, 0.9)):
        found = probe.check(path, models_directory)
        assert found.agreement is not None
        assert least < found.agreement <= 1
        assert probe.remembered(path, models_directory) == found


def test_weights_that_are_no_numbers_are_refused(q8_0: Path, tmp_path: Path) -> None:
    header = read_header(q8_0)
    (norm,) = (each for each in header.tensors if each.name == "blk.3.attn_output_norm.weight")
    data = bytearray(q8_0.read_bytes())
    data[norm.offset : norm.offset + 4] = np.float32(np.nan).tobytes()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(data)
    with pytest.raises(ModelFileError, match=r"blk\.3\.attn_output_norm\.weight"):
        encoder.Encoder(read_header(damaged), "mean")


def test_any_other_shape_is_left_to_llama_cpp(q8_0: Path) -> None:
    """What the compiled part believes must have been looked at: a header is a stranger's."""
    header = read_header(q8_0)
    assert encoder.is_known(header, "mean")
    assert not encoder.is_known(header, "last")
    rng = random.Random(7)
    keys = ("block_count", "embedding_length", "attention.head_count", "feed_forward_length")
    for _ in range(200):
        key = f"bert.{rng.choice((*keys, 'context_length'))}"
        value = rng.choice([0, -1, 1, 5, 31, 33, 2**31, 2**40, None, "6", 6.0, True])
        if (key, value) == ("bert.attention.head_count", 1):
            continue  # another model, and a possible one
        changed = dataclasses.replace(header, metadata={**header.metadata, key: value})
        assert not encoder.is_known(changed, "mean"), (key, value)
    for number in range(len(header.tensors)):
        for tensors in _damaged(header.tensors, number):
            assert not encoder.is_known(dataclasses.replace(header, tensors=tensors), "mean")


def _damaged(tensors: tuple[Tensor, ...], number: int) -> Iterator[tuple[Tensor, ...]]:
    tensor = tensors[number]
    before, behind = tensors[:number], tensors[number + 1 :]
    longer = dataclasses.replace(tensor, shape=(*tensor.shape[:-1], tensor.shape[-1] + 32))
    odd = dataclasses.replace(tensor, type=12)
    if tensor.name not in ("token_embd.weight", "token_types.weight"):  # of any number of rows
        yield (*before, longer, *behind)
    if tensor.name != "token_types.weight":  # which a model may lack
        yield (*before, *behind)
    yield (*before, odd, *behind)
    yield (*before, tensor, dataclasses.replace(tensor, name="another"), *behind)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q5_0", "q4_0"])
def test_weights_are_read_as_gguf_reads_them(minilm_path: Path, tmp_path: Path, kind: str) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    path = minilm_path
    if kind != "f16":
        path = tmp_path / f"{kind}.gguf"
        quantize(minilm_path, path, kind, threads=2)
    ours = Tensors(read_header(path))
    for tensor in gguf.GGUFReader(path).tensors[:24]:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(ours.whole(tensor.name), expected), tensor.name
