"""How fast a model is here, and what memory it takes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..rerank import rerank
from .samples import QUESTION, long_texts, short_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..model import Model

_LATENCIES = 20  # single queries


@dataclass(frozen=True)
class Speed:
    """What was measured. Rates are of all threads together, by the clock and by CPU time."""

    computed_by: str
    """What computes the model: 8-bit integers of our own, or llama.cpp."""
    threads: int
    load_seconds: float
    """From nothing to the first result."""
    query_milliseconds: float
    """Median of single short texts."""
    query_milliseconds_worst: float
    short_per_second: float
    short_per_cpu_second: float
    long_per_second: float
    long_per_cpu_second: float
    tokens_per_second: float
    """Of the long texts."""
    memory_megabytes: float | None
    """What the process grew by, where the system says; None elsewhere."""


def bench(model: Model, *, texts: int, threads: int) -> Speed:
    """Measure a model that is not loaded yet; a tenth as many long texts are run as short ones."""
    before = _resident()
    started = time.perf_counter()
    _run(model, [QUESTION], threads)
    loaded = time.perf_counter() - started
    waits = [_timed(model, [f"{QUESTION} {n}"], threads)[0] for n in range(_LATENCIES)]
    short, long = short_texts(texts), long_texts(max(1, texts // 10))
    short_clock, short_cpu = _timed(model, short, threads)
    long_clock, long_cpu = _timed(model, long, threads)
    after = _resident()
    tokens = sum(min(model.token_count(text), model.context) for text in long)
    return Speed(
        computed_by=model.engine.computed_by,
        threads=threads,
        load_seconds=round(loaded, 3),
        query_milliseconds=round(1e3 * float(np.median(waits)), 2),
        query_milliseconds_worst=round(1e3 * max(waits), 2),
        short_per_second=round(len(short) / short_clock, 1),
        short_per_cpu_second=round(len(short) / short_cpu, 1),
        long_per_second=round(len(long) / long_clock, 2),
        long_per_cpu_second=round(len(long) / long_cpu, 2),
        tokens_per_second=round(tokens / long_clock),
        memory_megabytes=None if before is None or after is None else round(after - before, 1),
    )


def _work_of(model: Model, threads: int) -> Callable[[Sequence[str]], object]:
    if model.is_reranker:
        return lambda texts: rerank(model, QUESTION, texts, threads=threads)
    return lambda texts: model.embed(texts, threads=threads)


def _run(model: Model, texts: Sequence[str], threads: int) -> None:
    _work_of(model, threads)(texts)


def _timed(model: Model, texts: Sequence[str], threads: int) -> tuple[float, float]:
    """Return seconds by the clock and of CPU time."""
    clock, cpu = time.perf_counter(), time.process_time()
    _run(model, texts, threads)
    return time.perf_counter() - clock, max(time.process_time() - cpu, 1e-9)


def _resident() -> float | None:
    """Return the memory of this process in MB."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
