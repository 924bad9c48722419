"""Texts in, vectors out: right, in order, the same however they are batched, and stoppable."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sqlite_utils_muninn.models import batches, workers
from sqlite_utils_muninn.models.limits import limits
from sqlite_utils_muninn.models.llama import SEQUENCES, Context
from sqlite_utils_muninn.models.registry import Registry, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils_muninn.models.engine import Engine
    from sqlite_utils_muninn.models.model import Model

WORDS = """
    graph node edge vector search index table query row column key value page cache lock system
    network attack file process memory disk user group letter bread music river mountain
""".split()  # noqa: SIM905


def some_texts(count: int, longest: int = 40) -> list[str]:
    rng = random.Random(count)
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, longest))) for _ in range(count)]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    made = Registry(threads=4)
    yield made
    for each in made._engines.values():
        each.unload()


@pytest.fixture(scope="module")
def model(registry: Registry, minilm_path: Path, models_directory: Path) -> Model:
    return registry.open(minilm_path, models_directory)


def test_meaning(model: Model) -> None:
    bread, loaf, stocks, cat = model.embed(
        [
            "How do I bake bread?",
            "A recipe for baking a loaf of bread",
            "The stock market fell sharply on Tuesday",
            "A small cat sleeps on the sofa",
        ]
    )
    assert bread @ loaf > 0.4
    assert max(bread @ stocks, bread @ cat, stocks @ cat) < 0.1


def test_vectors_have_length_one_and_the_order_of_the_texts(model: Model) -> None:
    texts = some_texts(70)
    vectors = model.embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (70, 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    turned = model.embed(texts[::-1])
    assert np.abs(turned[::-1] - vectors).max() < 1e-3


def test_a_batch_gives_what_single_texts_give(model: Model) -> None:
    texts = [*some_texts(40), "", "x", "long " * 300]
    single = np.vstack([model.embed([text]) for text in texts])
    for threads in (1, 3):
        assert np.abs(model.embed(texts, threads=threads) - single).max() < 1e-3


def test_no_texts(model: Model) -> None:
    assert model.embed([]).shape == (0, 384)
    assert model.embed([], dimensions=10).shape == (0, 10)


def test_empty_text_is_embedded_as_the_model_does(model: Model) -> None:
    empty, blank, other = model.embed(["", "  \n", "house"])
    assert np.allclose(empty, blank, atol=1e-4)
    assert np.linalg.norm(empty) == pytest.approx(1, abs=1e-5)
    assert abs(empty @ other) < 0.9


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "\ud800", "\U0001f600" * 700, "[SEP]" * 9, "é" * 99]
)
def test_odd_text(model: Model, text: str) -> None:
    assert np.isfinite(model.embed([text])).all()
    assert model.token_count(text) == len(model.pieces(text))


def test_what_looks_like_a_command_is_text(model: Model) -> None:
    """A document that contains [SEP] must not end its own reading."""
    assert model.tokenize("[SEP]").count(102) == 1


def test_long_text_is_cut_and_counted(model: Model) -> None:
    words = " ".join(f"word{i % 7}" for i in range(3000))
    report = model.embed_report([words, "short", words[:100]])
    assert report.truncated == 1
    assert report.tokens < 512 + 200
    first = words[: len(words) // 3]  # still far more than the context
    assert model.embed([first])[0] @ report.vectors[0] > 0.9999


def test_a_cut_text_keeps_its_last_special_token(model: Model, minilm_path: Path) -> None:
    with model.engine.weights() as weights:
        ids, cut = weights.encode("river " * 1000, 100)
        whole, uncut = weights.encode("river " * 98, 100)
    assert cut
    assert not uncut
    assert ids.tolist() == whole.tolist()
    assert ids[-1] == 102


def test_megabytes_cost_what_the_context_costs(model: Model) -> None:
    started = time.process_time()
    model.embed(["river bank " * 1_000_000])
    assert time.process_time() - started < 5  # 0.2 in truth


def test_context_of_a_registration(
    registry: Registry, minilm_path: Path, models_directory: Path, model: Model
) -> None:
    """Two names with other contexts share one engine."""
    short = registry.open(minilm_path, models_directory, context=16)
    assert short.engine is model.engine
    assert (short.context, model.context) == (16, 512)
    assert short.embed_report(["river " * 30]).truncated == 1
    beyond = registry.open(minilm_path, models_directory, context=100_000)
    assert beyond.context == 512  # positions that the model does not have abort llama.cpp
    assert beyond.embed(["river " * 2000]).shape == (1, 384)


def test_dimensions_are_cut_and_normalized(model: Model) -> None:
    whole = model.embed(["a text"])[0]
    cut = model.embed(["a text"], dimensions=100)[0]
    assert np.allclose(cut, whole[:100] / np.linalg.norm(whole[:100]), atol=1e-6)
    for wrong in (0, -1, 385):
        with pytest.raises(ValueError, match="dimensions must be 1 to 384"):
            model.embed(["a"], dimensions=wrong)


def test_roles_put_the_prefix_before(model: Model) -> None:
    nomic = named(model, "bge-small-en-v1.5")  # of as many dimensions, with a query prefix
    assert nomic.query_prefix.startswith("Represent this sentence")
    query = nomic.embed(["rivers"], role="query")
    assert np.allclose(query, model.embed([nomic.query_prefix + "rivers"]), atol=1e-6)
    assert np.allclose(nomic.embed(["rivers"], role="document"), model.embed(["rivers"]), atol=1e-6)
    with pytest.raises(ValueError, match="role must be 'query' or 'document', got 'x'"):
        model.embed(["a"], role="x")


def test_tokens(model: Model) -> None:
    assert model.tokenize("playing guitars") == [101, 2652, 7334, 102]
    assert model.pieces("playing guitars") == ["[CLS]", " playing", " guitars", "[SEP]"]
    assert model.token_count("") == 2


def test_sixteen_threads_get_their_own_answers(model: Model) -> None:
    texts = some_texts(16 * 12)
    expected = model.embed(texts)
    found = np.zeros_like(expected)

    def ask(start: int) -> None:
        for row in range(start, len(texts), 16):
            found[row] = model.embed([texts[row]])[0]

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.abs(found - expected).max() < 1e-3


class Stop(Exception):
    pass


def after(seconds: float) -> Callable[[], None]:
    deadline = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > deadline:
            raise Stop

    return check


@pytest.mark.parametrize("longest", [40, 600], ids=["many short texts", "texts of 512 tokens"])
def test_interrupt_stops_the_work_and_leaves_no_thread(model: Model, longest: int) -> None:
    before = set(threading.enumerate())
    texts = [" ".join(WORDS * 20)[: longest * 7]] * 3000
    started = time.process_time()
    with pytest.raises(Stop):
        model.embed(texts, check=after(0.3), threads=2)
    assert time.process_time() - started < 5  # all of it takes more than 30
    assert set(threading.enumerate()) <= before
    assert np.isfinite(model.embed(["still works", *texts[:3]])).all()


def test_a_single_query_does_not_wait_for_a_bulk_job(
    minilm_path: Path, models_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one core it waits for one batch; contexts are lent first come, first served."""
    model = Registry(threads=1).open(minilm_path, models_directory)
    model.embed(["warm"])
    waited, stopped = counted_waits(model.engine, monkeypatch), threading.Event()

    def check() -> None:
        if stopped.is_set():
            raise Stop

    def bulk() -> None:
        with pytest.raises(Stop):
            model.embed(some_texts(5_000, 20), check=check)

    job = threading.Thread(target=bulk)
    job.start()
    while len(waited) < 3:
        time.sleep(0.01)
    model.embed(["a query"])
    (batches,) = [count for thread, count in waited if thread is threading.current_thread()]
    assert batches <= 1
    assert job.is_alive()
    stopped.set()
    job.join()
    model.engine.unload()


def counted_waits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[threading.Thread, int]]:
    """For each wait for a context, whose it was, and how many were given back meanwhile."""
    waits: list[tuple[threading.Thread, int]] = []
    returned = 0
    wait = engine._wait_in_line

    class Busy(set):  # type: ignore[type-arg]
        """What is computing; both this and the waiting happen under the engine's lock."""

        def discard(self, context: object) -> None:
            nonlocal returned
            returned += context in self
            super().discard(context)

    def waited(check: Callable[[], None]) -> None:
        before = returned
        wait(check)
        waits.append((threading.current_thread(), returned - before))

    monkeypatch.setattr(engine, "_busy", Busy(engine._busy))
    monkeypatch.setattr(engine, "_wait_in_line", waited)
    return waits


def test_waiting_for_a_context_can_be_interrupted(
    minilm_path: Path, models_directory: Path
) -> None:
    model = Registry(threads=1).open(minilm_path, models_directory)
    with model.engine.context(10, lambda: None), pytest.raises(Stop):
        model.embed(["waits"], check=after(0.1))
    assert model.embed(["does not wait"]).shape == (1, 384)
    model.engine.unload()


def test_contexts_are_kept_and_not_more_than_cores(model: Model) -> None:
    model.embed(some_texts(300))
    kept = list(model.engine._idle)
    assert 1 <= len(kept) <= model.engine.capacity
    model.embed(some_texts(300))
    assert {id(context) for context in model.engine._idle} == {id(context) for context in kept}


def test_unloading_and_loading_again(minilm_path: Path, models_directory: Path) -> None:
    model = Registry(threads=2).open(minilm_path, models_directory)
    assert not model.is_loaded
    first = model.embed(["a text"])
    assert model.is_loaded
    with model.engine.weights():
        assert not model.engine.unload()  # somebody has them
    assert model.engine.unload()
    assert not model.is_loaded
    assert np.array_equal(model.embed(["a text"]), first)
    model.engine.unload()


def test_no_more_than_a_few_models_stay_in_memory(
    minilm_path: Path, models_directory: Path
) -> None:
    models = [
        Registry(threads=1).open(minilm_path, models_directory) for _ in range(limits.models + 2)
    ]
    for each in models:
        each.embed(["x"])
    assert sum(each.is_loaded for each in models) <= limits.models
    assert models[-1].is_loaded
    assert not models[0].is_loaded
    assert models[0].embed(["comes back"]).shape == (1, 384)
    for each in models:
        each.engine.unload()


def test_two_names_and_a_link_share_one_engine(
    registry: Registry, model: Model, minilm_path: Path, models_directory: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.gguf"
    link.symlink_to(minilm_path)
    linked = registry.open(link, models_directory)
    assert linked.engine is model.engine
    assert named(model, "other").engine is model.engine


def test_a_replaced_file_is_another_model(
    registry: Registry, minilm_path: Path, models_directory: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(minilm_path.read_bytes())
    first = registry.open(path, models_directory)
    path.unlink()
    path.write_bytes(minilm_path.read_bytes())
    assert registry.open(path, models_directory).engine is not first.engine


def test_a_reranker_has_no_embeddings(
    registry: Registry, reranker_path: Path, models_directory: Path
) -> None:
    with pytest.raises(ValueError, match="is a reranker"):
        registry.open(reranker_path, models_directory).embed(["a"])


def test_rank_pooling_gives_the_known_logits(
    registry: Registry, reranker_path: Path, models_directory: Path
) -> None:
    """The seam for reranking: pairs as token ids in, logits out, as transformers has them."""
    model = registry.open(reranker_path, models_directory)
    query = model.tokenize("program that plays music files")
    pairs = [
        np.array(query + model.tokenize(document)[1:], np.int32)
        for document in (
            "It is an audio player with playlist support for mp3, ogg and flac files.",
            "This library parses XML documents.",
            "A tool that converts images between formats.",
        )
    ]
    scores = workers.compute(model.engine, pairs, 2, lambda: None)
    assert scores.shape == (3, 1)
    assert np.abs(scores[:, 0] - [2.18, -6.65, -4.78]).max() < 0.02


def test_batches_hold_all_texts_once_and_no_more_than_they_may() -> None:
    lengths = np.random.default_rng(1).integers(0, 500, 300)
    planned = batches.plan(lengths, 4, SEQUENCES)
    assert sorted(np.concatenate(planned)) == list(range(300))
    for rows in planned:
        assert len(rows) <= SEQUENCES
        assert len(rows) == 1 or lengths[rows].sum() <= batches.TOKENS
    totals = [int(lengths[rows].max()) for rows in planned]
    assert totals == sorted(totals, reverse=True)


def test_few_texts_are_shared_by_the_cores() -> None:
    assert len(batches.plan(np.full(12, 16), 4, SEQUENCES)) == 4
    assert len(batches.plan(np.full(12, 16), 1, SEQUENCES)) == 1


def test_sizes_that_would_abort_ggml_are_refused(model: Model) -> None:
    with model.engine.weights() as weights:
        with pytest.raises(ValueError, match="multiple of 16"):
            Context(weights, 1000, "mean")
        context = Context(weights, 512, "mean")
        with pytest.raises(ValueError, match="do not fit"):
            context.embed([np.zeros(513, np.int32)])
        with pytest.raises(ValueError, match="do not fit"):
            context.embed([np.zeros(1, np.int32)] * 17)
        context.close()
