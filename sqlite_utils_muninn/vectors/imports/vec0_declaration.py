"""What `CREATE VIRTUAL TABLE ... USING vec0(...)` says of a table's columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_BODY = re.compile(r"\bUSING\s+[\"`\[]?vec0[\"`\]]?\s*\((.*)\)\s*;?\s*$", re.IGNORECASE | re.DOTALL)
_VECTOR = re.compile(r"(\w+)\s+(\w+)\s*\[\s*([0-9]{1,5})\s*\]\s*(.*)", re.DOTALL)
_METRIC = re.compile(r"\bdistance_metric\s*=\s*(\w+)", re.IGNORECASE)
_KEY = re.compile(r"(\w+)\s+(\w+)\s+(primary|partition)\s+key", re.IGNORECASE)
_COLUMN = re.compile(r"(\+?)\s*(\w+)\s+(\w+)")
_OPTION = re.compile(r"\w+\s*=\s*\w+")
_FLOATS = ("float", "float32", "f32")


@dataclass(frozen=True)
class VectorColumn:
    """A column of vectors: its number among those, and how long and how far they are."""

    name: str
    number: int
    is_float: bool
    dimensions: int
    metric: str


@dataclass
class Declaration:
    """The columns of a vec0 table, each kind in its order."""

    vectors: list[VectorColumn] = field(default_factory=list)
    text_key: str | None = None
    """The primary key, where it is of text and not the rowid."""
    partitions: list[tuple[str, str]] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)
    auxiliary: list[tuple[str, str]] = field(default_factory=list)


def declaration(sql: str) -> Declaration | None:
    """Read a CREATE statement; None where it is not understood."""
    body = _BODY.search(_COMMENT.sub(" ", sql))
    if not body:
        return None
    found = Declaration()
    parts = [" ".join(part.split()) for part in body[1].split(",")]
    return found if all(_read(found, part) for part in parts) and found.vectors else None


def _read(found: Declaration, part: str) -> bool:
    """Take one argument up. Returns whether it was understood."""
    if match := _VECTOR.fullmatch(part):
        kind, size, more = match[2].lower(), int(match[3]), match[4]
        metric = _METRIC.search(more)
        column = VectorColumn(
            match[1],
            len(found.vectors),
            kind in _FLOATS,
            size,
            metric[1].lower() if metric else "l2",
        )
        found.vectors.append(column)
    elif match := _KEY.fullmatch(part):
        if match[3].lower() == "partition":
            found.partitions.append((match[1], match[2].lower()))
        elif match[2].lower() == "text":
            found.text_key = match[1]
    elif match := _COLUMN.fullmatch(part):
        columns = found.auxiliary if match[1] else found.metadata
        columns.append((match[2], match[3].lower()))
    else:
        return bool(_OPTION.fullmatch(part))
    return True
