"""Memory of models: limits hold, the least recently used go first, nothing leaks in a minute."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("gguf", reason="the extra 'convert' is not installed")
pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")

from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.limits import Limits, limits
from sqlite_utils_muninn.models.quality.bench import _resident
from sqlite_utils_muninn.models.registry import Registry
from tests.tiny_gguf import Bert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlite_utils_muninn.models.model import Model


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("tiny")
    return [Bert(seed).write(directory / f"{seed}.gguf") for seed in range(5)]


@pytest.fixture
def tiny(files: list[Path]) -> list[Model]:
    """Five models of the same size, none of them loaded, and nothing else that is."""
    from sqlite_utils_muninn.models.engine import _engines

    for engine in list(_engines):
        engine.unload()
    made = Registry(threads=2)
    return [made.open_file(path, directory=path.parent) for path in files]


def loaded(models: list[Model]) -> list[int]:
    return [number for number, model in enumerate(models) if model.is_loaded]


def test_the_least_recently_used_goes_first(
    tiny: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "models", 2)
    for number in (0, 1, 0, 2):
        tiny[number].embed(["x"])
    assert loaded(tiny) == [0, 2]
    tiny[3].embed(["x"])
    assert loaded(tiny) == [2, 3]


def test_bytes_are_a_limit_too(tiny: list[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    size = tiny[0].size
    monkeypatch.setattr(limits, "bytes", 3 * size + 10)
    for model in tiny:
        model.embed(["x"])
    assert loaded(tiny) == [2, 3, 4]


def test_a_model_above_the_limit_is_refused(
    tiny: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny[0].embed(["x"])
    monkeypatch.setattr(limits, "bytes", tiny[1].size - 1)
    with pytest.raises(ModelFileError, match=r"takes 0 MB of memory, models may take 0 MB"):
        tiny[1].embed(["x"])
    assert loaded(tiny) == [0]


def test_what_is_in_use_stays(tiny: list[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "models", 1)
    expected = tiny[0].embed(["raven"])
    with tiny[0].engine.weights():
        tiny[1].embed(["x"])
        assert loaded(tiny) == [0, 1]
    tiny[2].embed(["x"])
    assert loaded(tiny) == [2]
    assert np.abs(tiny[0].embed(["raven"]) - expected).max() < 1e-6


def test_more_models_than_may_be_loaded_at_once_from_many_threads(
    tiny: list[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are freed and loaded all the time; every answer is right all the same."""
    expected = [model.embed(["the raven"]) for model in tiny]
    monkeypatch.setattr(limits, "models", 2)
    wrong: list[float] = []

    def ask(seed: int) -> None:
        chooser = random.Random(seed)
        for _ in range(40):
            number = chooser.randrange(5)
            found = tiny[number].embed(["the raven"])
            wrong.append(float(np.abs(found - expected[number]).max()))

    run_all([threading.Thread(target=ask, args=(seed,)) for seed in range(6)])
    assert len(wrong) == 240
    assert max(wrong) < 1e-3


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits().bytes > 100_000_000
    monkeypatch.setenv("MUNINN_MODELS_MEMORY", "5000000")
    monkeypatch.setenv("MUNINN_GPU_LAYERS", "7")
    assert (Limits().bytes, Limits().gpu_layers) == (5_000_000, 7)
    monkeypatch.setenv("MUNINN_GPU_LAYERS", "all")
    with pytest.raises(ValueError, match="MUNINN_GPU_LAYERS must be a whole number, got 'all'"):
        Limits()


@pytest.mark.long
def test_sixteen_connections_for_a_minute(
    connect: Callable[..., Any], minilm_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right answers to all, and after the first quarter no growth of memory."""
    conns = [connect(models={"m": str(minilm_path)}) for _ in range(16)]
    texts = [f"text {n} is about rivers " * (n % 12 + 1) for n in range(60)]
    sql = "SELECT muninn_embed('m', ?)"
    expected = [np.frombuffer(conns[0].execute(sql, (t,)).fetchone()[0], "<f4") for t in texts]
    end = time.monotonic() + 60
    worst = [0.0] * 16
    counts = [0] * 16

    def ask(number: int) -> None:
        chooser = random.Random(number)
        while time.monotonic() < end:
            which = chooser.randrange(len(texts))
            (blob,) = conns[number].execute(sql, (texts[which],)).fetchone()
            difference = np.abs(np.frombuffer(blob, "<f4") - expected[which]).max()
            worst[number] = max(worst[number], float(difference))
            counts[number] += 1

    memory: list[float] = []

    def look() -> None:
        while time.monotonic() < end:
            time.sleep(5)
            memory.append(_resident() or 0)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    run_all([*asking, threading.Thread(target=look)])
    print(f"{sum(counts)} answers, memory in MB: {[round(size) for size in memory]}")
    assert max(worst) < 1e-3
    assert min(counts) > max(counts) / 4, "somebody starved"
    assert memory[-1] - memory[2] < 10
