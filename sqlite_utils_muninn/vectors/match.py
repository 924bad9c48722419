"""What a search for a text finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A row that was found, by its rowid in the source table."""

    rowid: int
    distance: float
    score: float
    """Cosine similarity, 0 where it is negative."""
    text: str | None
    by: str = "meaning"
    """What was compared; "words" or "letters" where the model is not here."""
    passage: str | None = None
    """The part of the text that was nearest, where texts are split into passages."""
