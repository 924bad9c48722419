"""Which rows of a table have no vector, an old one, or one too many."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...bridge import quote
from ..storage.source import BLOCK, Source, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..storage.pending import Watch
    from ..storage.source import Execute
    from .embedder import Fingerprint


@dataclass
class Difference:
    """Rowids, and how many rows need nothing."""

    new: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    """Rows with a vector that are gone, or have no text any more."""
    left_out: list[int] = field(default_factory=list)
    """Rows without a vector that the last run was told to leave out, by its condition."""
    unchanged: int = 0
    without_text: int = 0

    @property
    def todo(self) -> int:
        """How many rows are to be embedded."""
        return len(self.new) + len(self.changed)


@dataclass(frozen=True)
class Embedded:
    """An hnsw_text table over a table, with what is asked of both."""

    execute: Execute
    source: Source
    name: str
    mark: Fingerprint

    @property
    def rows(self) -> str:
        """Quoted name of the table of hashes."""
        return f"{quote(self.source.schema)}.{quote(self.name + '_rows')}"

    def satisfying(self, ids: Sequence[int], where: str) -> set[int]:
        """Those of some rows that satisfy a condition."""
        rows = self.execute(
            f"SELECT t.{self.source.rowid} FROM {self.source.name} t "
            f"WHERE t.{self.source.rowid} IN (SELECT value FROM json_each(?)) AND ({where})",
            (json.dumps(list(ids)),),
        )
        return {row[0] for row in rows}

    def hash(self, text: str | None) -> bytes | None:
        """What tells whether a vector is that of a text."""
        if text is None:
            return None
        return fingerprint(text, self.mark.sha256, self.mark.document_prefix)

    def hashes(self, ids: Sequence[int] | None = None) -> dict[int, bytes | None]:
        """Hashes by rowid, of all rows or some; None for a row that lacks its vector."""
        if ids is None:
            return dict(self.execute(f"SELECT id, hash FROM {self.rows}"))
        rows = self.execute(
            f"SELECT r.id, r.hash FROM json_each(?) j CROSS JOIN {self.rows} r ON r.id = j.value",
            (json.dumps(list(ids)),),
        )
        return dict(rows)


def everything(table: Embedded, where: str | None, *, is_new: bool) -> Difference:
    """Compare by reading every text (that satisfies a condition)."""
    found = Difference()
    stored = {} if is_new else table.hashes()
    empty = set()
    for id_, text in table.source.all_texts(table.execute, where):
        if text is None:
            empty.add(id_)
        sort(found, id_, table.hash(text), stored)
    # Rows that --where leaves out are not looked at; they have not vanished.
    present = table.source.ids(table.execute) - empty
    found.vanished = sorted(stored.keys() - present)
    return found


def noted(table: Embedded, watch: Watch) -> Difference:
    """Compare by reading the texts of those rows only that were noted or have no vector."""
    found = Difference()
    rowid, source, kept = table.source.rowid, table.source.name, table.rows
    rows = table.execute(
        f"SELECT t.{rowid} FROM {source} t LEFT JOIN {kept} k ON k.id = t.{rowid} "
        f"WHERE k.hash IS NULL UNION SELECT id FROM {watch.table} ORDER BY 1"
    )
    ids = [row[0] for row in rows]
    gone = f"SELECT id FROM {kept} WHERE id NOT IN (SELECT t.{rowid} FROM {source} t)"
    found.vanished = [row[0] for row in table.execute(gone)]
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        stored = table.hashes(block)
        for id_, text in sorted(table.source.texts(table.execute, block).items()):
            sort(found, id_, table.hash(text), stored)
            if text is None and id_ in stored:
                found.vanished.append(id_)
    ((rows_there,),) = table.execute(f"SELECT count(*) FROM {kept}")
    found.unchanged = rows_there - len(found.changed) - len(found.vanished)
    return found


def leave_out(found: Difference, watch: Watch) -> None:
    """Tell the rows that the last run left out from new ones.

    It took the notes off them; the condition itself, which anybody may have written into the file,
    is not run for that.
    """
    seen = set(watch.ids())
    found.left_out = [id_ for id_ in found.new if id_ not in seen]
    found.new = [id_ for id_ in found.new if id_ in seen]


def sort(
    found: Difference, id_: int, hashed: bytes | None, stored: dict[int, bytes | None]
) -> None:
    """Put a row where it belongs, by the hash of its text now (None: no text) and as stored."""
    if hashed is None:
        found.without_text += 1
    elif id_ not in stored:
        found.new.append(id_)
    elif stored[id_] != hashed:
        found.changed.append(id_)
    else:
        found.unchanged += 1


def settle(
    table: Embedded,
    watch: Watch,
    transaction: Callable[[Callable[[], None]], None],
    where: str | None = None,
) -> int:
    """Take off the notes of rows that are as they were embedded, or are left out by `where`.

    Returns how many were.
    """
    done, last = 0, None
    while block := watch.ids(last, BLOCK):
        last = block[-1]

        def work(block: Sequence[int] = block) -> None:
            # Read again inside the transaction: nobody can write between the look and the note.
            nonlocal done
            now, stored = table.source.texts(table.execute, block), table.hashes(block)
            same = [id_ for id_ in block if table.hash(now.get(id_)) == stored.get(id_)]
            if where:
                wanted = table.satisfying(block, where)
                same += [id_ for id_ in now if id_ not in stored and id_ not in wanted]
            watch.forget(same)
            done += len(same)

        transaction(work)
    return done
