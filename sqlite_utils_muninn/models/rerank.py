"""Scoring texts against a query with a cross-encoder, many pairs at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import ModelFileError
from .pairs import pairs_of
from .workers import compute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .files.header import Header
    from .model import Model

_CHECKED_EVERY = 32  # texts, while they are tokenized


@dataclass(frozen=True)
class Reranked:
    """What came of scoring texts."""

    scores: np.ndarray
    """float64, 0 to 1, in the order of the texts."""
    raw: np.ndarray
    """float32 (texts, outputs): what the model gave, a logit or a share for each label."""
    truncated: int
    """How many texts were cut; all, where the query itself was."""


def rerank(
    model: Model,
    query: str,
    texts: Sequence[str],
    *,
    check: Callable[[], None] | None = None,
    threads: int | None = None,
) -> Reranked:
    """Return how well each text answers a query.

    The score of a model with one output is the sigmoid of its logit (Nogueira and Cho 2019), that
    of a yes/no model the share of "yes". `check` is called every few milliseconds; what it raises
    ends the work. Raises ValueError for a model that embeds, ModelFileError where it fails.
    """
    if not model.is_reranker:
        raise ValueError(
            f"model {model.name!r} embeds single texts, it is no reranker: "
            "load one such as jina-reranker-v1-tiny-en"
        )
    check = check or _nothing
    with model.engine.weights() as weights:
        pairs, query_cut = pairs_of(weights, model.engine.header, query, model.context)
        ids, truncated = [], 0
        for number, text in enumerate(texts):
            if number % _CHECKED_EVERY == 0:
                check()
            pair, cut = pairs.encode(text)
            ids.append(pair)
            truncated += cut or query_cut
        if not ids:
            return Reranked(np.empty(0), np.empty((0, 1), np.float32), 0)
        raw = compute(model.engine, ids, threads or model.engine.capacity, check)
    if not np.isfinite(raw).all():
        raise ModelFileError(f"model {model.name!r} gives no numbers: its file is damaged")
    return Reranked(scores_of(raw, model.engine.header), raw, truncated)


def scores_of(raw: np.ndarray, header: Header) -> np.ndarray:
    """Return scores from 0 to 1 for a model's outputs. Raises ModelFileError for many classes."""
    outputs = raw.astype(np.float64)
    if outputs.shape[1] == 1:
        return np.asarray(np.exp(-np.logaddexp(0, -outputs[:, 0])))  # the sigmoid, without overflow
    if outputs.shape[1] != 2:
        raise ModelFileError(
            f"{header.path} is no reranker: it gives {outputs.shape[1]} scores for a pair"
        )
    if not header.architecture.startswith("qwen3"):  # there llama.cpp's graph ends in softmax
        outputs = np.exp(outputs - np.logaddexp.reduce(outputs, axis=1, keepdims=True))
    return np.asarray(np.clip(outputs[:, _yes(header)], 0, 1))


def _yes(header: Header) -> int:
    """Return which output is "yes": the first, where the labels do not say."""
    labels = header.own("classifier.output_labels")
    names = [str(label).lower() for label in getattr(labels, "items", ())]
    return names.index("yes") if "yes" in names else 0


def _nothing() -> None:
    pass
