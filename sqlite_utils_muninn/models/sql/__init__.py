"""What this room puts on a connection, one file for each kind of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..names import lookup
from . import (
    embedding,
    lembed,
    registration,
    rembed,
    reranking,
    similarity,
    splitting,
    tokens,
)

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Declaration
    from sqlite_utils_muninn.settings import Host

__all__ = ["lookup", "surface"]

_PARTS = (registration, embedding, tokens, splitting, reranking, similarity, lembed, rembed)


def surface(host: Host) -> list[Declaration]:
    """Return the functions and tables of models, as far as the host allows them."""
    return [declaration for part in _PARTS for declaration in part.surface(host)]
