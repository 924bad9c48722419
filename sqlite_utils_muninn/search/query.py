"""The query's words as an FTS5 expression: by rule, for raw text is no expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = re.compile(r"[^\W_]+")
""""a_b" is two words to FTS5, too; as one it would be a phrase, which some tables cannot match."""

MOST_WORDS = 64
"""Different words of a query that are looked up; a longer text says the same with its rarest."""
FREQUENT = 0.1
"""Words in more than this part of the rows say little and cost much."""
FEW_ROWS = 1_000
"""A word in no more rows than this costs next to nothing, and what little it says helps."""

LONGEST_SAID = 100
"""Characters of words and all that stands between them; longer, only the words are said."""


def words(query: str) -> list[str]:
    """Return the different words of a query in their order, without regard to case."""
    found: dict[str, str] = {}
    for word in _WORD.findall(query):
        found.setdefault(word.casefold(), word)
    return list(found.values())


def split(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return _WORD.findall(text.casefold())


def said(text: str, first: int, last: int) -> str:
    """Return words as they stand in a text: from one to another of those that `split` finds."""
    places = [match.span() for match in _WORD.finditer(text) for _ in split(match[0])]
    found = split(text)
    if len(places) == len(found):  # a few letters are no letters any more in lower case
        whole = " ".join(text[places[first][0] : places[last][1]].split())
        if len(whole) <= LONGEST_SAID:
            return whole
    return " ".join(found[first : last + 1])


def telling(given: list[str], rows: int, count: Callable[[str, int], int]) -> list[str]:
    """Return the words that are not in a large part of many rows, in their order.

    ``count(word, most)`` gives the number of rows that have a word, at most `most`. Where all are
    frequent, the rarest is kept.
    """
    if rows <= FEW_ROWS and len(given) <= MOST_WORDS:
        return given
    most = max(int(rows * FREQUENT), FEW_ROWS) + 1
    counts = {word: count(word, most) for word in given[: MOST_WORDS * 4]}
    kept = [word for word, rows_with in counts.items() if 0 < rows_with < most]
    if not kept:
        whole = {word: count(word, rows) for word, rows_with in counts.items() if rows_with}
        return sorted(whole, key=whole.__getitem__)[:1]
    rarest = sorted(kept, key=counts.__getitem__)[:MOST_WORDS]
    return [word for word in kept if word in set(rarest)]


def expression(chosen: list[str]) -> str:
    """Return the MATCH expression of words, any of which may be there; each is quoted."""
    return " OR ".join(quoted(word) for word in chosen)


def quoted(word: str) -> str:
    """Return a word as a string of FTS5's language."""
    return '"' + word.replace('"', '""') + '"'
