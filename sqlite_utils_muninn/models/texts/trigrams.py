"""How alike two texts are by their letters: a measure that needs no model.

The trigrams of a text are those of its words, each with two blanks before it and one behind, so
that the beginning of a word counts most (as PostgreSQL's pg_trgm has it). Case, width and the
composition of accents do not count.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\w+")


def trigrams(text: str) -> frozenset[str]:
    """Return the set of a text's trigrams; empty for a text without letters and digits."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    padded = (f"  {word} " for word in _WORD.findall(plain))
    return frozenset(word[i : i + 3] for word in padded for i in range(len(word) - 2))


def similarity(one: str, other: str) -> float:
    """Return the Jaccard index of two texts' trigrams: shared ones over all, 0 to 1.

    Texts that both have none are alike (1) where they are the same text, else not (0).
    """
    first, second = trigrams(one), trigrams(other)
    if not first and not second:
        return float(one == other)
    return len(first & second) / len(first | second)
