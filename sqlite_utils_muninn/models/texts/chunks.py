"""Cutting a long text into pieces that a model can read, on sentence bounds.

A piece is as many whole sentences as fit. A sentence that does not fit alone is cut between words,
and a word that does not, between characters.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sentences import sentence_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST_TOKENS = 16
"""A single character may take 8 tokens, the special ones around a text 4 more."""

_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True)
class Chunk:
    """A piece of a text: `text[start:end]`, which neither begins nor ends with a blank."""

    start: int
    end: int
    tokens: int
    """Tokens of the piece, special ones included."""


def chunks(
    text: str,
    count: Callable[[str], int],
    max_tokens: int,
    overlap: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Chunk]:
    """Yield the chunks of a text, which together hold every character that is not a blank.

    `count` counts the tokens of a text, special ones included. A chunk has at most `max_tokens`;
    it begins with the last sentences of the one before it, or the last words, as far as they have
    at most `overlap` tokens. Raises ValueError for limits that cannot be kept.
    """
    if max_tokens < LEAST_TOKENS:
        raise ValueError(f"max_tokens must be {LEAST_TOKENS} or more, got {max_tokens}")
    if not 0 <= overlap <= max_tokens // 2:
        raise ValueError(
            f"overlap must be 0 to {max_tokens // 2}, half of max_tokens, got {overlap}"
        )
    cutter = _Cutter(text, count, max_tokens, overlap, check)
    yield from cutter.chunks()


class _Cutter:
    def __init__(
        self,
        text: str,
        count: Callable[[str], int],
        most: int,
        overlap: int,
        check: Callable[[], None],
    ) -> None:
        self.text = text
        self.count = count
        self.most = most
        self.overlap = overlap
        self.check = check
        self.special = count("")

    def chunks(self) -> Iterator[Chunk]:
        units = list(self.units())
        first = 0
        start = units[0][0] if units else 0
        while first < len(units):
            self.check()
            last = self.reach(units, first, start)
            chunk = self.chunk(start, units[last - 1][1])
            while chunk.tokens > self.most and last - 1 > first:
                last -= 1
                chunk = self.chunk(start, units[last - 1][1])
            if chunk.tokens > self.most and start < units[first][0]:  # not even with the overlap
                start = units[first][0]
                continue
            if chunk.end > chunk.start:
                yield chunk
            first = last
            if first < len(units):
                start = self.overlapping(units, first, chunk)

    def reach(self, units: list[tuple[int, int, int]], first: int, start: int) -> int:
        """Return the number of the unit behind the last that may fit a chunk."""
        room = self.most - self.special - self.measure(start, units[first][0])
        last = first
        while last < len(units) and (last == first or units[last][2] <= room):
            room -= units[last][2]
            last += 1
        return last

    def overlapping(self, units: list[tuple[int, int, int]], first: int, chunk: Chunk) -> int:
        """Return where the next chunk begins: within the last one, where it may overlap."""
        begin = units[first][0]
        if not self.overlap:
            return begin
        for starts in (self.sentences, self.words):
            inside = [at for at in starts(chunk.start, begin) if at > chunk.start]
            fitting = None
            for at in reversed(inside):
                if self.measure(at, begin) > self.overlap:
                    break
                fitting = at
            if fitting is not None:
                return fitting
        return begin

    def units(self) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, tokens) of sentences, and of parts of those that are too long."""
        starts = [*sentence_starts(self.text), len(self.text)]
        for start, end in itertools.pairwise(starts):
            yield from self.fitting(start, end, (self.words, self.halves))

    def fitting(
        self, start: int, end: int, finer: tuple[Callable[[int, int], list[int]], ...]
    ) -> Iterator[tuple[int, int, int]]:
        """Yield a part whole, or what it is made of; blanks alone are left out."""
        self.check()
        if self.text[start:end].isspace():
            return
        tokens = self.measure(start, end)
        if tokens + self.special <= self.most or end - start <= 1:
            yield start, end, tokens
            return
        bounds = [*finer[0](start, end), end]
        for part, after in itertools.pairwise(bounds):
            yield from self.fitting(part, after, finer[1:] or finer)

    def sentences(self, start: int, end: int) -> list[int]:
        return [start + at for at in sentence_starts(self.text[start:end])]

    def words(self, start: int, end: int) -> list[int]:
        return [match.start() for match in _WORD.finditer(self.text, start, end)] or [start]

    def halves(self, start: int, end: int) -> list[int]:
        return [start, (start + end) // 2]

    def measure(self, start: int, end: int) -> int:
        """Return the tokens of a part without special ones."""
        return self.count(self.text[start:end].strip()) - self.special if end > start else 0

    def chunk(self, start: int, end: int) -> Chunk:
        part = self.text[start:end]
        start += len(part) - len(part.lstrip())
        end = max(start, end - (len(part) - len(part.rstrip())))
        return Chunk(start, end, self.count(self.text[start:end]))
