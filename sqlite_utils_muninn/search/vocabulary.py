"""How many rows of a full-text table have a word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import SQLError, quote
from sqlite_utils_muninn.graph.cache import token_of

from .query import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import FullText

_STATE = "search.words"
MOST_KEPT = 20_000
"""Words that a connection remembers, as long as its data are the same."""
COMMON = 0.005
"""A word in more than this part of the texts names nothing by itself."""


class Vocabulary:
    """The words of some full-text tables, as the connection sees them now.

    Words are counted by MATCH, which takes them apart as the table's own tokenizer does; fts5vocab
    would want them stemmed, and a table of its own.
    """

    def __init__(self, db: Database, indexes: Sequence[FullText], check: Callable[[], None]):
        self.db, self.indexes, self.check = db, indexes, check
        self._rows: dict[FullText, int] = {}
        self._counts = self._known()

    def _known(self) -> dict[Any, int]:
        token = token_of(self.db)
        kept: tuple[Any, dict[Any, int]] | None = self.db.state.get(_STATE)
        if kept is not None and token is not None and kept[0] == token and len(kept[1]) < MOST_KEPT:
            return kept[1]
        counts: dict[Any, int] = {}
        if token is not None:
            self.db.state[_STATE] = (token, counts)
        return counts

    def rows(self, index: FullText) -> int:
        """Return how many rows a table has: the first number of FTS5's record of averages."""
        if index not in self._rows:
            self._rows[index] = self._read_rows(index)
        return self._rows[index]

    def _read_rows(self, index: FullText) -> int:
        data = f"{quote(index.schema)}.{quote(index.name + '_data')}"
        try:
            rows = self.db.execute(f"SELECT block FROM {data} WHERE id = 1")
        except SQLError as error:
            if error.sqlite_errorcode == 9:
                raise
            return 0
        record = rows[0][0] if rows and isinstance(rows[0][0], bytes) else b""
        number = 0
        for byte in record[:8]:
            number = number << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        return number

    def count(self, index: FullText, word: str, most: int) -> int:
        """Return how many rows have a word, at most so many."""
        folded = word.casefold()
        key, to_the_end = (index, folded, most), (index, folded, 0)
        known = self._counts.get(key, self._counts.get(to_the_end))
        if known is None:
            self.check()
            sql = f"SELECT 1 FROM {index.sql} WHERE {quote(index.name)} MATCH ? LIMIT ?"
            known = int(
                self.db.execute(f"SELECT count(*) FROM ({sql})", (quoted(word), most))[0][0]
            )
            self._counts[key if known == most else to_the_end] = known
        return min(known, most)

    def telling(self, name: Sequence[str]) -> float | None:
        """Return how much a name tells, 0 to 1; None where there is no full text.

        The idf of its words in the texts are added up; as much as a word has that stands in COMMON
        of them is 0, as much as one that stands in no other row is 1.
        """
        rows = sum(self.rows(index) for index in self.indexes)
        if not rows:
            return None
        whole = math.log(1 + rows)
        least = min(math.log(1 / COMMON), 0.75 * whole)
        counts = (sum(self.count(i, word, self.rows(i) + 1) for i in self.indexes) for word in name)
        told = sum(math.log((1 + rows) / max(count, 1)) for count in counts)
        return min(max((told - least) / (whole - least), 0.0), 1.0)
