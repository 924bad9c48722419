"""Every architecture that matters, through llama.cpp and again in numpy.

Guards against a wrong pooling, a context that mixes the texts of a batch, tokens that
are added or lost, and a llama.cpp whose graph changed.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")

from sqlite_utils_muninn.models import probe
from sqlite_utils_muninn.models.llama import Context, Weights
from sqlite_utils_muninn.models.registry import Registry
from tests import tiny_gguf

MODELS = {
    "bert": tiny_gguf.Bert(),
    "nomic-bert": tiny_gguf.NomicBert(),
    "jina-bert-v2": tiny_gguf.JinaBert(),
    "jina-bert-v2 as in code models": tiny_gguf.JinaBert(as_code=True),
    "qwen3": tiny_gguf.Qwen3(),
    "xlm-roberta with a rank head": tiny_gguf.BertReranker(),
}
EMBEDDING = [name for name, model in MODELS.items() if model.pooling != "rank"]

TEXTS = ["raven", "the raven remembers", "the", "searching the graph", "unremembered", "a b c d e"]

TOLERANCE = 1e-3  # llama.cpp attends to keys and values in 16 bits


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tiny")
    return {
        name: model.write(directory / f"{number}.gguf")
        for number, (name, model) in enumerate(MODELS.items())
    }


@pytest.fixture(scope="module")
def loaded(files):
    for path in files.values():
        probe.check(path)  # a llama.cpp that aborts on a file ends that process, not this one
    weights = {name: Weights(path) for name, path in files.items()}
    yield weights
    for model in weights.values():
        model.close()


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


def run(weights: Weights, pooling: str, texts: list[list[int]]) -> np.ndarray:
    context = Context(weights, 256, pooling)
    try:
        return context.embed([np.array(ids, np.int32) for ids in texts])
    finally:
        context.close()


@pytest.mark.parametrize("name", MODELS)
def test_files_are_small(files, name):
    assert files[name].stat().st_size < 300_000


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("text", ["", *TEXTS, "zzz"])
def test_tokens(loaded, name, text):
    assert loaded[name].tokenize(text).tolist() == MODELS[name].vocabulary.encode(text)


@pytest.mark.parametrize("name", EMBEDDING)
def test_one_text(loaded, name):
    model = MODELS[name]
    for text in TEXTS:
        ids = model.vocabulary.encode(text)
        vector = run(loaded[name], model.pooling, [ids])[0]
        assert_same(vector, model.embed(ids))


@pytest.mark.parametrize("name", EMBEDDING)
def test_a_batch_does_not_mix_its_texts(loaded, name):
    model = MODELS[name]
    texts = [model.vocabulary.encode(text) for text in TEXTS[:4]]
    expected = [model.embed(ids) for ids in texts]
    assert_same(run(loaded[name], model.pooling, texts), expected)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("name", ["bert", "qwen3"])
def test_each_pooling(loaded, name, pooling):
    model = type(MODELS[name])()
    model.pooling = pooling
    ids = model.vocabulary.encode(TEXTS[1])
    vector = run(loaded[name], pooling, [ids])[0]
    assert_same(vector, model.embed(ids))


def test_a_pair_gets_its_logit(loaded):
    model = MODELS["xlm-roberta with a rank head"]
    pairs = [model.vocabulary.encode_pair("raven", text) for text in TEXTS[:4]]
    scores = run(loaded["xlm-roberta with a rank head"], "rank", pairs)
    assert scores.shape == (4, 1)
    expected = [model.embed(ids) for ids in pairs]
    assert_same(scores, expected)
    assert np.ptp(scores) > 0.1


@pytest.mark.parametrize("name", EMBEDDING)
def test_as_the_project_opens_them(files, name, tmp_path):
    """From the file to vectors of length 1, over the trial in another process."""
    model = MODELS[name]
    opened = Registry(threads=1).open_file(files[name], directory=tmp_path)
    assert (opened.architecture, opened.dimensions) == (model.architecture, model.width)
    assert (opened.pooling, opened.context) == (model.pooling, model.positions)
    expected = np.array([model.embed(model.vocabulary.encode(text)) for text in TEXTS])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert_same(opened.embed(TEXTS), expected)
