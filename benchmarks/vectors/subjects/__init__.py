"""What is measured: each subject keeps vectors with ids 1..n and finds the nearest by cosine.

One process loads one subject: some of them crash, and sqlite-vec must not be loaded by two SQLite
libraries in one process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

M, EF_CONSTRUCTION = 16, 200
"""The graph that all of them build."""

_PLACES = {
    "ours": "ours:Ours",
    "engine": "ours:Engine",
    "vectorlite": "sql_peers:Vectorlite",
    "sqlite-vec": "sql_peers:SqliteVec",
    "sqlite-muninn": "sql_peers:SqliteMuninn",
    "usearch": "libraries:Usearch",
    "hnswlib": "libraries:Hnswlib",
    "faiss": "libraries:Faiss",
}
NAMES = tuple(_PLACES)


def subject(name: str, path: Path, count: int, library: str | None) -> Any:
    """Return a subject that keeps up to `count` vectors in files that begin with `path`."""
    module, _, kind = _PLACES[name].partition(":")
    made = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
    return made(path, count, library)


class Subject:
    """What every subject can do. Ids are 1..n; vectors are float32 and have length 1."""

    def __init__(self, path: Path, count: int, library: str | None) -> None:
        self.path = path
        self.room = count + 2_000
        self.library = library

    def load_code(self) -> None:
        """Import and load whatever is needed, but none of the data."""

    def build(self, vectors: Any) -> None:
        """Take all vectors, index them all, and write them to the file."""
        raise NotImplementedError

    def open(self) -> None:
        """Open what was built; a second time in a process: one more connection."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait until nothing is left to be indexed."""

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        """Ids of the nearest; `ef` None leaves the default."""
        raise NotImplementedError

    def insert(self, id_: int, vector: Any) -> None:
        """Add one, in a transaction of its own."""
        raise NotImplementedError

    def insert_all(self, ids: range, vectors: Any) -> None:
        """Add many in one transaction."""
        raise NotImplementedError

    def delete(self, id_: int) -> None:
        """Remove one."""
        raise NotImplementedError

    def choose(self, name: str, ids: Any) -> None:
        """Get ready for `among`: the ids that qualify."""
        raise NotImplementedError

    def among(self, name: str, query: Any, k: int) -> list[int]:
        """The nearest among those that qualify."""
        raise NotImplementedError

    def joined(self, name: str, query: Any, k: int) -> list[int]:
        """The same by a join with them."""
        raise NotImplementedError

    def within(self, query: Any, distance: float) -> list[int]:
        """All that are nearer than a cosine distance."""
        raise NotImplementedError

    def page(self, query: Any, k: int, offset: int) -> list[int]:
        """The nearest after the first `offset`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close; what must be written is written."""

    def memory(self) -> int | None:
        """Bytes of the index in memory, as the subject reports them."""
        return None

    def files(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.path.parent.glob(f"{self.path.name}*"))
