"""Whether a model file is what it was, and behaves as a model should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..files.checksum import sha256_of
from ..rerank import rerank
from .samples import ANSWER, QUESTION, UNRELATED, short_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ..model import Model

_BATCH_TOLERANCE = 5e-3
"""llama.cpp computes some sums of a batch in another order, with 16-bit keys and values."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str


def check_file(path: Path, expected: dict[str, str]) -> Check:
    """Compare a file's checksum with those that are known, by where they come from."""
    actual = sha256_of(path)
    if not expected:
        return Check("checksum", True, f"{actual}, and nothing to compare it with")
    for source, checksum in expected.items():
        if checksum == actual:
            return Check("checksum", True, f"as {source}")
    known = ", ".join(f"{source} {checksum}" for source, checksum in expected.items())
    return Check("checksum", False, f"it is {actual}, expected {known}")


def check_behaviour(model: Model) -> Iterator[Check]:
    """Compute with a model and yield what was seen."""
    yield from (_reranker if model.is_reranker else _embedder)(model)


def _embedder(model: Model) -> Iterator[Check]:
    question = model.embed([QUESTION], role="query")[0]
    answer, unrelated = model.embed([ANSWER, UNRELATED], role="document")
    near, far = float(question @ answer), float(question @ unrelated)
    yield Check("meaning", near > far, f"paraphrase {near:.3f}, unrelated text {far:.3f}")
    lengths = np.linalg.norm(model.embed(short_texts(8)), axis=1)
    yield Check("length", bool(np.abs(lengths - 1).max() < 1e-4), "every vector has length 1")
    yield from _repeatable(model.embed)


def _reranker(model: Model) -> Iterator[Check]:
    near, far = rerank(model, QUESTION, [ANSWER, UNRELATED]).scores
    yield Check("meaning", near > far, f"answer {near:.3f}, unrelated text {far:.3f}")
    yield from _repeatable(lambda texts: rerank(model, QUESTION, texts).scores)


def _repeatable(compute: Callable[[list[str]], np.ndarray]) -> Iterator[Check]:
    texts = short_texts(24)
    together, again = compute(texts), compute(texts)
    single = np.stack([compute([text])[0] for text in texts])
    difference = float(np.abs(together - single).max())
    yield Check(
        "batches", difference < _BATCH_TOLERANCE, f"differ by {difference:.1e} from single texts"
    )
    difference = float(np.abs(together - again).max())
    yield Check("repetition", difference < 1e-6, f"the same texts differ by {difference:.1e}")
