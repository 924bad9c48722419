"""Texts to try a model on, of our own making."""

from __future__ import annotations

QUESTION = "How do I bake bread at home?"
ANSWER = "A recipe for baking a loaf of bread in your own kitchen"
UNRELATED = "The stock market fell sharply on Tuesday"

_SUBJECTS = (
    "The city library", "A small bakery", "The river port", "Our football club", "The old theatre",
    "A young violinist", "The mountain railway", "The county hospital", "A software company",
    "The botanical garden", "The fishing fleet", "A group of astronomers",
)  # fmt: skip
_EVENTS = (
    "opened its doors to visitors on Sunday", "lost half of its money last year",
    "was praised in a newspaper article", "is looking for three new members",
    "moved to a building near the station", "published a report about the storm",
    "celebrates its hundredth birthday in June", "had to close because of the flood",
)  # fmt: skip


def sentences() -> list[str]:
    """Return 96 sentences in which every subject meets every event."""
    return [f"{subject} {event}." for subject in _SUBJECTS for event in _EVENTS]


def short_texts(count: int) -> list[str]:
    """Return texts of about 20 tokens."""
    made = sentences()
    return [f"{made[n % 96]} Number {n} of a long series." for n in range(count)]


def long_texts(count: int) -> list[str]:
    """Return texts of about 250 tokens."""
    made = sentences()
    return [" ".join(made[(7 * n + k) % 96] for k in range(22)) for n in range(count)]
