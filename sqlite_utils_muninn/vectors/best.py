"""Rows ranked by the nearest of their passages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blob import Ids, Packed
    from .passages import Passages, Span
    from .reader import Answer, Ranked, Reader
    from .request import Request

_MORE = 4  # times as many passages are asked for as would do if each were of another row


class BestPassages:
    """Searches for passages and answers with rows."""

    def __init__(self, passages: Passages, reader: Reader) -> None:
        self.passages = passages
        self.reader = reader
        self.found: dict[int, tuple[int, Span]] = {}
        """The best passage, its id and place, of each row that was answered last."""

    def answers(self, wanted: Request, allowed: Ids | None, probe: Packed) -> Answer:
        """Ranked rows; `allowed`: none but these."""
        if allowed is None and wanted.most is not None and wanted.beyond == -math.inf:
            return self._first(probe, wanted.most, wanted.ef)
        return self._batches(wanted, allowed, probe)

    def _batches(self, wanted: Request, allowed: Ids | None, probe: Packed) -> Iterator[Ranked]:
        seen: dict[int, tuple[int, Span]] = {}
        for part in self._all(wanted, allowed, probe):
            ids, far = self._rows(part, seen)
            kept = far >= wanted.beyond
            self.found = seen
            yield ids[kept][: wanted.most], far[kept][: wanted.most]

    def _all(self, wanted: Request, allowed: Ids | None, probe: Packed) -> Iterator[Ranked]:
        """Every passage that may count, nearest first."""
        if allowed is not None:
            yield self.reader.among(probe, self.passages.ids_of(allowed))
        elif wanted.most is not None or wanted.beyond > -math.inf:
            yield self.reader.scan(probe)
        else:
            yield from self.reader.stream(probe, wanted.ef)

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
