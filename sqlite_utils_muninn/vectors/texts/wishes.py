"""What a user asks of embedding, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..options import Cutting


@dataclass(frozen=True)
class Wish:
    """What the user asks for."""

    table: str
    columns: tuple[str, ...]
    model: str | None = None  # None: the table's, or the default
    name: str | None = None  # of the vector table
    where: str | None = None
    dimensions: int | None = None
    chunk: bool | None = None  # split long texts; None: as the table does
    max_tokens: int | None = None  # of a passage
    overlap: int | None = None
    force: bool = False  # replace vectors of another model or other columns
    full: bool = False  # look at every text, not only at those noted as changed
    schema: str = "main"


@dataclass
class Progress:
    """How far a run has come."""

    total: int
    done: int = 0
    truncated: int = 0
    """Texts that were longer than the model reads."""
    moved_on: int = 0
    """Rows that were changed by others while they were embedded: left for the next run."""
    deleted: int = 0


def literal(text: str) -> str:
    """A text as an argument of CREATE VIRTUAL TABLE."""
    return "'" + text.replace("'", "''") + "'"


def passages(cutting: Cutting | None) -> str:
    """The arguments that tell how texts are split."""
    if cutting is None:
        return ""
    return f", chunk=true, max_tokens={cutting.max_tokens}, overlap={cutting.overlap}"
