"""Which texts are computed together."""

from __future__ import annotations

import numpy as np

TOKENS = 192
"""Tokens that fill a batch of llama.cpp's.

Measured with MiniLM f16 on one core, texts a second: of 6 tokens 437 one by one, 729 in sixteens;
of 22 tokens 128 one by one, 203 with 128 to 192 tokens a batch, 183 with 384; of 60 tokens 52 and
71; from 190 tokens on a batch gains nothing. Attention is computed across all texts of a batch, so
larger ones lose again.
"""

LEAST_TOKENS = 48
"""Below this a batch is not divided further to keep more cores busy."""


def plan(
    lengths: np.ndarray, threads: int, most: int, most_tokens: int = TOKENS
) -> list[np.ndarray]:
    """Return batches of row numbers: texts of like length together, the longest first.

    A batch holds up to `most` texts and `most_tokens` tokens; a longer text is alone. Longest
    first, so that at the end no core works on a long one while the others wait.
    """
    share = int(lengths.sum()) // max(threads, 1)
    budget = min(most_tokens, max(LEAST_TOKENS, share))
    order = np.argsort(-lengths, kind="stable")
    batches: list[np.ndarray] = []
    start = tokens = 0
    for end, length in enumerate(lengths[order]):
        if end > start and (end - start == most or tokens + length > budget):
            batches.append(order[start:end])
            start, tokens = end, 0
        tokens += int(length)
    if start < len(order):
        batches.append(order[start:])
    return batches
