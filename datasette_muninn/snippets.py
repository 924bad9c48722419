"""Beginnings of texts, as lists and drawings show them."""

from __future__ import annotations

SNIPPET = 300  # characters


def shorten(text: str, length: int) -> str:
    """The beginning of a text, cut between words."""
    if len(text) <= length:
        return text
    cut = text[:length].rpartition(" ")[0] or text[:length]
    return f"{cut} …"
