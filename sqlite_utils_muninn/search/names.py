"""Nodes that a query calls by their name.

Labels and aliases are kept as hashes of their words, without case and punctuation: 16 bytes a name,
compared with the runs of words in a query.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .network import places_of
from .query import said, split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .network import Network
    from .pool import Pool
    from .vocabulary import Vocabulary

LONGEST = 8
"""Words of a name that are looked for."""
SHORTEST = 2
"""Letters of a name that are looked for."""
MOST_BEARERS = 100
"""Nodes of one name: what more of them share names none of them."""
MOST_ALIASES = 100
"""Other names of a node that are looked for."""
_CHECKED_EVERY = 10_000


class Named(NamedTuple):
    """A name in a query, and the nodes that bear it."""

    words: list[str]
    nodes: list[int]
    telling: float
    """0 to 1: 1 for a name whose words are in no other."""
    said: str
    """The name as it stands in the query."""


class Names:
    """The names of all nodes. It never changes."""

    def __init__(self, hashes: np.ndarray, nodes: np.ndarray, telling: np.ndarray) -> None:
        self.hashes, self.nodes, self.telling = hashes, nodes, telling

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self.hashes.nbytes + self.nodes.nbytes + self.telling.nbytes

    def equals(self, other: Names) -> bool:
        """Whether all nodes have the same names."""
        return np.array_equal(self.hashes, other.hashes) and np.array_equal(self.nodes, other.nodes)

    def find(self, query: str) -> list[Named]:
        """Return the names that are runs of whole words of the query.

        Longest names first; a word belongs to one name.
        """
        words = split(query)
        used = [False] * len(words)
        found: list[Named] = []
        for length in range(min(LONGEST, len(words)), 0, -1):
            for start in range(len(words) - length + 1):
                run = slice(start, start + length)
                known = None if any(used[run]) else self._known(words[run])
                if known:
                    called = said(query, start, start + length - 1)
                    found.append(Named(words[run], *known, called))
                    used[run] = [True] * length
        return found

    def _known(self, words: list[str]) -> tuple[list[int], float] | None:
        key = _hash(words)
        first, last = np.searchsorted(self.hashes, key), np.searchsorted(self.hashes, key, "right")
        if not 0 < last - first <= MOST_BEARERS:
            return None
        return self.nodes[first:last].tolist(), float(self.telling[first])


def by_name(query: str, network: Network, vocabulary: Vocabulary, pool: Pool) -> int:
    """Put the nodes into the pool that the query names; return how many."""
    found = 0
    for name in network.names.find(query):
        telling = vocabulary.telling(name.words)
        telling = name.telling if telling is None else telling
        if telling > 0:
            for place in places_of(network, np.array(name.nodes, np.int64)):
                candidate = pool.at(place)
                candidate.named = telling / math.sqrt(len(name.nodes))
                candidate.called = name.said
            found += len(name.nodes)
    return found


def names_of(
    labels: Sequence[str | None],
    aliases: Sequence[Sequence[str | None]],
    check: Callable[[], None],
    *,
    count_words: bool = True,
) -> Names:
    """Return the names of nodes, given their labels and their other names; None: it has none.

    What a name tells is the sum of its words' idf among all names, over log(1 + nodes), at most 1:
    for graphs without full text, which knows better. Without `count_words` it is 1.
    """
    count = Counter[str]()
    names: list[tuple[str, ...]] = []
    nodes: list[int] = []
    for node, label in enumerate(labels):
        if node % _CHECKED_EVERY == 0:
            check()
        own = _names(label, aliases[node])
        if count_words:
            count.update({word for words in own for word in words})
        short = [words for words in own if len(words) <= LONGEST]
        names += short
        nodes += [node] * len(short)
    hashes = np.fromiter(map(_hash, names), np.int64, len(names))
    telling = _telling(names, count, len(labels)) if count_words else np.ones(len(names))
    order = np.argsort(hashes, kind="stable")
    bearers = np.array(nodes, np.int32)
    return Names(hashes[order], bearers[order], telling.astype(np.float32)[order])


def _names(label: str | None, aliases: Sequence[str | None]) -> list[tuple[str, ...]]:
    """Return the words of each name of a node, every name once."""
    if not aliases:
        words = tuple(split(label)) if label and len(label) >= SHORTEST else ()
        return [words] if words else []
    given = [label or "", *(name for text in aliases if text for name in split_aliases(text))]
    known = {tuple(split(name)): None for name in given if len(name) >= SHORTEST}
    return [name for name in known if name]


def split_aliases(text: str) -> list[str]:
    """Return the names in a JSON list of texts, or in text with lines or else commas between."""
    if text.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            return [name for name in found if isinstance(name, str)][:MOST_ALIASES]
    parts = re.split(r"[\n;|]", text) if re.search(r"[\n;|]", text) else text.split(",")
    return [name for part in parts if (name := part.strip())][:MOST_ALIASES]


def _telling(names: list[tuple[str, ...]], count: Counter[str], nodes: int) -> np.ndarray:
    whole = math.log(1 + max(nodes, 1))
    idf = {word: whole - math.log(number) for word, number in count.items()}
    sums = (min(1.0, sum(idf[word] for word in words) / whole) for words in names)
    return np.fromiter(sums, np.float64, len(names))


def _hash(words: Sequence[str]) -> int:
    # Python's hash of text has a key of its own in each process: nobody can make names collide.
    return hash(" ".join(words))
