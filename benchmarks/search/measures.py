"""nDCG, recall, and how sure they are: arrays in, numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MEASURES = ("nDCG@10", "recall@5", "recall@10")
RESAMPLES = 2_000
SEED = 1


class Estimate(NamedTuple):
    """A mean over questions and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def ndcg(ranked: Sequence[str], answers: Collection[str], k: int = 10) -> float:
    """Return the discounted gain of the first k over that of the best order; each answer gains 1.

    Järvelin and Kekäläinen 2002, with the logarithm to the base 2 of 1 + rank.
    """
    gains = [1.0 if name in answers else 0.0 for name in ranked[:k]]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = discounts[: len(answers)].sum()
    return float((discounts[: len(gains)] * gains).sum() / best)


def recall(ranked: Sequence[str], answers: Collection[str], k: int) -> float:
    """Return which part of the answers is among the first k."""
    return len(set(ranked[:k]) & set(answers)) / len(answers)


def judge(ranked: Sequence[str], answers: Collection[str]) -> tuple[float, float, float]:
    """Return the measures of one question, in the order of `MEASURES`."""
    if len(set(ranked)) < len(ranked):
        raise ValueError("a node is in the answer twice")
    return ndcg(ranked, answers), recall(ranked, answers, 5), recall(ranked, answers, 10)


def estimate(values: np.ndarray) -> Estimate:
    """Return the mean of one number a question and its bootstrap interval (percentiles)."""
    means = resampled(len(values)) @ values
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(values.mean()), float(low), float(high))


def resampled(count: int) -> np.ndarray:
    """Return weights (resamples, questions): how often each is drawn, over their number.

    The same for every run, so that the interval of a difference is that of a paired bootstrap.
    """
    chance = np.random.default_rng(SEED)
    drawn = chance.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return drawn / count


def by_answer(values: np.ndarray, answers: Sequence[Collection[str]]) -> float:
    """Return the mean in which each answer counts the same, however often it is asked for."""
    asked: dict[str, int] = {}
    for names in answers:
        for name in names:
            asked[name] = asked.get(name, 0) + 1
    weights = np.array([np.mean([1 / asked[name] for name in names]) for names in answers])
    return float(weights @ values / weights.sum())
