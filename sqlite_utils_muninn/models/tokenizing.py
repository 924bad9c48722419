"""Reading no more of a text than a model does, whatever tokenizes it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

_CUT_MARGIN = 64  # tokens


class Tokenizer(Protocol):
    """What turns texts into token ids."""

    ending: int
    """How many special tokens stand behind every text."""

    def tokenize(self, text: str) -> np.ndarray: ...
    def tokenize_plain(self, text: str, *, control: bool = False) -> np.ndarray: ...


def encode(tokenizer: Tokenizer, text: str, limit: int) -> tuple[np.ndarray, bool]:
    """Return at most `limit` token ids of a text, and whether that cut it.

    The special tokens at its end stay. Of a text that is far too long only the part that
    matters is tokenized: a megabyte costs what the context costs.
    """
    ids = _enough(tokenizer, text, limit, special=True)
    if len(ids) <= limit:
        return ids, False
    ending = tokenizer.ending
    return np.concatenate([ids[: limit - ending], ids[len(ids) - ending :]]), True


def encode_plain(tokenizer: Tokenizer, text: str, limit: int) -> tuple[np.ndarray, bool]:
    """Do as `encode` does, with no special token around the text."""
    ids = _enough(tokenizer, text, limit, special=False)
    return ids[:limit], len(ids) > limit


def _enough(tokenizer: Tokenizer, text: str, limit: int, *, special: bool) -> np.ndarray:
    """Return all tokens of a text, or clearly more than `limit` of them."""
    read = tokenizer.tokenize if special else tokenizer.tokenize_plain
    characters = 16 * limit
    while True:
        ids = read(text[:characters])
        # Tokens near a cut differ from those of the whole text, so they must not be used.
        if characters >= len(text) or len(ids) > limit + _CUT_MARGIN:
            return ids
        characters *= 4
