"""Rows that a join looks up one by one: SQLite began with the other table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..blob import Ids, Packed
    from ..index.index import Position
    from ..index.metric import Distances
    from .reader import Ranked, Reader

# To look at one costs 8 us, to look at all 1 us a row: where one in so many has been asked for, as
# many again may follow. What is kept then is 16 bytes a row, and the bridge finds each in .2 us.
SHARE, FEW = 20, 256


class Lookups:
    """What has been looked up for one probe. Whatever is kept is of the snapshot that asks."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.forget()

    def forget(self) -> None:
        """Keep nothing."""
        self.given: tuple[object, ...] = ()
        """What is being asked about; empty: nothing."""
        self._probe: Packed | None = None
        self._asked, self._enough = 0, FEW
        self._all: tuple[Position, Ids, Distances] | None = None

    def probe(self, given: tuple[object, ...]) -> Packed | None:
        """The vector that is searched for; None: something else was asked about."""
        return self._probe if given == self.given else None

    def begin(self, given: tuple[object, ...], probe: Packed) -> None:
        """Ask about another vector."""
        self.forget()
        self.given, self._probe = given, probe

    def everything(self) -> Ranked | None:
        """The distances of all rows, by rowid, for one that is asked for; None while few are."""
        assert self._probe is not None
        self._asked += 1
        if self._asked <= self._enough:
            return None
        storage = self.reader.storage
        position = storage.position()
        if self._all is not None and self._all[0] == position:
            return self._all[1:]
        if self._all is not None or self._enough == FEW or position is None:
            # Whoever writes meanwhile is not to be answered by looking at all each time.
            self._all, self._asked = None, 0
            self._enough = FEW + 1 + storage.count() // SHARE
            return None
        ids, far = self.reader.distances(self._probe)
        whole = ~np.isnan(far)
        self._all = position, ids[whole], far[whole]
        return self._all[1:]
