"""Rows ranked by the nearest of their passages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..blob import Packed
    from ..index.engine import Search
    from ..texts.passages import Passages, Span
    from .reader import Answer, Ranked, Reader

_MORE = 4  # times as many passages are asked for as would do if each were of another row


class BestPassages:
    """Searches for passages and answers with rows."""

    def __init__(self, passages: Passages, reader: Reader) -> None:
        self.passages = passages
        self.reader = reader
        self.found: dict[int, tuple[int, Span]] = {}
        """The best passage, its id and place, of each row that was answered last."""

    def answers(self, search: Search) -> Answer:
        """Ranked rows."""
        query, most, ef, only, _, beyond = search
        if only is None and most is not None and beyond == -math.inf:
            return self._first(query, most, ef)
        return self._batches(search)

    def _batches(self, search: Search) -> Iterator[Ranked]:
        seen: dict[int, tuple[int, Span]] = {}
        for part in self._all(search):
            ids, far = self._rows(part, seen)
            kept = far >= search.beyond
            self.found = seen
            yield ids[kept][: search.most], far[kept][: search.most]

    def _all(self, search: Search) -> Iterator[Ranked]:
        """Every passage that may count, nearest first."""
        if search.ids is not None:
            yield self.reader.among(search.query, self.passages.ids_of(search.ids))
        elif search.most is not None or search.beyond > -math.inf:
            yield self.reader.scan(search.query)
        else:
            yield from self.reader.stream(search.query)

    def _first(self, probe: Packed, count: int, ef: int | None) -> Ranked:
        """The `count` nearest rows: as many passages are looked at as that takes."""
        asked = _MORE * count
        while True:
            seen: dict[int, tuple[int, Span]] = {}
            ranked = self.reader.nearest(probe, asked, ef)
            ids, far = self._rows(ranked, seen)
            if len(ids) >= count or len(ranked[0]) < asked:
                self.found = seen
                return ids[:count], far[:count]
            asked *= _MORE

    def _rows(self, ranked: Ranked, seen: dict[int, tuple[int, Span]]) -> Ranked:
        """The rows of ranked passages, each once, that were not `seen` before."""
        places = self.passages.rows_of(ranked[0].tolist())
        rows, distances = [], []
        for id_, far in zip(ranked[0].tolist(), ranked[1].tolist(), strict=True):
            if id_ not in places:
                continue
            row, *span = places[id_]
            if row not in seen:
                seen[row] = (id_, (span[0], span[1]))
                rows.append(row)
                distances.append(far)
        ids, far = np.array(rows, np.int64), np.array(distances, np.float64)
        order = np.lexsort((ids, far))
        return ids[order], far[order]
