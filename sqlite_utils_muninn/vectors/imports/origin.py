"""A table of vectors as it can be imported, and the file that it is in."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..options import RESERVED, Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Row(NamedTuple):
    """One row of the source."""

    id: int
    vector: bytes  # float32, little-endian
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Origin:
    """What is to be imported."""

    name: str
    dimensions: int
    metric: str
    columns: tuple[Column, ...]
    count: int
    blocks: Callable[[], Iterator[list[Row]]]
    """Rows, some at a time; the whole of a block is in memory."""
    options: str = ""
    """What else the new table is declared with."""


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """A connection that cannot write, and runs nothing but SQLite itself.

    Raises ValueError where the file is not a database.
    """
    from sqlite_utils.utils import sqlite3

    conn = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
    try:
        try:
            conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{path}: {error}") from error
        yield conn
    finally:
        conn.close()


def tables(conn: Any) -> dict[str, str]:
    """The tables of a file and the statements that made them."""
    rows = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    return {name: sql or "" for name, sql in rows}


def prefix_of(there: Iterable[str], table: str, suffixes: Sequence[str]) -> str | None:
    """What the names of the tables behind a virtual table begin with; None: they are not there.

    ALTER TABLE ... RENAME leaves them as they are called, both in sqlite-muninn and in sqlite-vec.
    """
    names = set(there)
    last = suffixes[0]
    begins = [name[: -len(last)] for name in names if name.endswith(last)]
    whole = [each for each in begins if all(each + suffix in names for suffix in suffixes)]
    if table in whole:
        return table
    orphans = [each for each in whole if each not in names]
    return orphans[0] if len(orphans) == 1 and table in names else None


def free_name(name: str) -> str:
    """A name that a metadata column may have."""
    return f"{name}_" if name.casefold() in RESERVED else name
