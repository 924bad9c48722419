"""Taking names out of texts."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST = 3
WORD = re.compile(r"\w+")


class Mask:
    """Names that a question must not have; whole words, in any case."""

    def __init__(self, names: Iterable[str]) -> None:
        # By the first word, which a text must have too: a pattern of thousands takes minutes.
        self.by_word: defaultdict[str, list[str]] = defaultdict(list)
        for name in dict.fromkeys(name.lower() for name in names):
            words = WORD.findall(name)
            if words and len(name) >= SHORTEST:
                self.by_word[words[0]].append(name)

    def out_of(self, text: str) -> str:
        """Return the text without the names, the longest first."""
        low = text.lower()
        words = dict.fromkeys(WORD.findall(low))
        names = [name for word in words for name in self.by_word.get(word, ()) if name in low]
        if names:
            parts = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
            text = re.sub(rf"(?<!\w)(?:{parts})(?!\w)", " ", text, flags=re.IGNORECASE)
        return " ".join(text.split())
