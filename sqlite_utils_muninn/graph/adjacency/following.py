"""How arrays in the file follow their edge table.

Triggers note the rowids of rows that are written, and nothing else: what a row holds is read from
the edge table itself when it is wanted, as the connection sees it. So neither the order of other
triggers nor a rollback can make the note untrue. They are plain SQL and write to a plain table, so
the edge table can be written where this module is missing.

What triggers are not told is found by counting rows: a row that REPLACE deletes (unless
recursive_triggers is on), rows written while triggers were off, rows that VACUUM has given other
rowids (where the table has no INTEGER PRIMARY KEY).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary, quote

from ..edge_table import find_column, read
from .rows import Kept, Rows

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database

    from ..edge_table import EdgeTable, Statement, Table
    from ..work import Work

EVENTS = {"ai": ("INSERT", ("new",)), "ad": ("DELETE", ("old",)), "au": ("UPDATE", ("old", "new"))}
MOST_OF_A_TABLE = 4
"""Where more than one row in so many has changed, the table is read at once."""


@dataclass(frozen=True)
class Followed:
    """An edge table that is followed, and where the rowids of its changed rows are noted."""

    db: Database
    caller: str
    table: Table
    edges: EdgeTable
    name: str
    """Of the table that follows, in the same schema."""

    @property
    def delta(self) -> str:
        """The table of notes, quoted."""
        return f"{quote(self.table.schema)}.{quote(self.name + '_delta')}"

    # ---- Triggers ----

    def is_watched(self) -> bool:
        """Whether all triggers are there: a table that is dropped takes them along."""
        rows = self.db.execute(
            f"SELECT name FROM {quote(self.table.schema)}.sqlite_master "
            "WHERE type = 'trigger' AND tbl_name = ?",
            (self.table.name,),
        )
        return {f"{self.name}_{suffix}" for suffix in EVENTS} <= {name for (name,) in rows}

    def watch(self) -> None:
        """Make the triggers anew."""
        unwatch(self.db, self.table.schema, self.name)
        delta = quote(f"{self.name}_delta")
        for suffix, (event, rows) in EVENTS.items():
            # Not OR IGNORE: the conflict clause of the statement outside would win.
            values = [f"{row}.{self.table.rowid}" if self.table.rowid else "0" for row in rows]
            notes = " ".join(
                f"INSERT INTO {delta} (edge) SELECT {value} "
                f"WHERE NOT EXISTS (SELECT 1 FROM {delta} WHERE edge = {value});"
                for value in values
            )
            trigger = f"{quote(self.table.schema)}.{quote(f'{self.name}_{suffix}')}"
            self.db.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {quote(self.table.name)} "
                f"BEGIN {notes} END"
            )

    # ---- Rows ----

    def has_changed(self) -> bool:
        """Whether there are notes."""
        return bool(self.db.execute(f"SELECT 1 FROM {self.delta} LIMIT 1"))

    def read(self, statement: Statement, work: Work) -> Kept:
        """Read the whole table. Raises as `edge_table.read`."""
        ids = Dictionary()
        try:
            rows = self._rows(ids, "", work)
        except TypeError:
            rows = None
        if rows is not None:
            found = rows
            return work.aside(lambda _: Kept.of_rows(ids, found), steps=len(rows.rowids))
        # Without rowids single rows cannot be put into it later.
        graph = read(self.db, statement, work)
        ends = (graph.source, graph.target)
        nulls = np.zeros(self._count() - graph.edges, np.int64)
        return Kept(graph.ids, *ends, graph.weight, np.empty(0, np.int64), nulls)

    def update(self, kept: Kept, work: Work) -> tuple[Kept, bool] | None:
        """The rows as they are now, and whether the nodes that were there have their numbers.

        None where that is not certain, or the table is read as fast.
        """
        if not self.has_changed():
            return (kept, True) if self._count() == kept.rows else None
        (touched,) = self.db.columns(f"SELECT edge FROM {self.delta} ORDER BY 1", (), ("integer",))
        is_much = len(touched) * MOST_OF_A_TABLE > kept.rows
        if is_much or len(kept.rowids) != len(kept.source):
            return None
        where = f" WHERE {self.table.rowid} IN (SELECT edge FROM {self.delta})"
        try:
            rows = self._rows(kept.ids, where, work)
        except TypeError:
            return None
        if rows is None:
            return None
        new = rows
        updated, same_numbers = work.aside(lambda _: kept.with_rows(touched, new), steps=kept.rows)
        is_true = self._count() == updated.rows and self.has_rowids_of(updated)
        return (updated, same_numbers) if is_true else None

    def has_rowids_of(self, kept: Kept) -> bool:
        """Whether rows have still the rowids that they had: VACUUM makes them 1, 2, 3, ..."""
        is_known = self.table.rowid and len(kept.rowids) == len(kept.source)
        return not is_known or self._bounds() == _bounds(kept)

    def _count(self) -> int:
        count: int = self.db.execute(f"SELECT count(*) FROM {self.table.sql}")[0][0]
        return count

    def _bounds(self) -> tuple[Any, Any]:
        rowid, table = self.table.rowid, self.table.sql
        sql = f"SELECT (SELECT min({rowid}) FROM {table}), (SELECT max({rowid}) FROM {table})"
        least, most = self.db.execute(sql)[0]
        return least, most

    def _rows(self, ids: Dictionary, where: str, work: Work) -> Rows | None:
        """Rows by rising rowid.

        Raises TypeError for a weight that is no finite number.
        None where there are no rowids, or an id is a real number: 1 and 1.0 are one node, whose id
        is the one that comes first, which the arrays do not remember.
        """
        if not self.table.rowid:
            return None
        names = (("src_col", self.edges.source), ("dst_col", self.edges.target))
        source, target = (find_column(self.caller, arg, self.table, name) for arg, name in names)
        columns = [self.table.rowid, source, target]
        kinds = ["integer", "code", "code"]
        if self.edges.weight is not None:
            weight = find_column(self.caller, "weight_col", self.table, self.edges.weight)
            is_null = f"{source} IS NULL OR {target} IS NULL"
            columns.append(f"CASE WHEN {is_null} THEN 0 ELSE {weight} END")
            kinds.append("real")
        head = f"SELECT {', '.join(columns)} FROM {self.table.sql}{where}"
        real = " AND " if where else " WHERE "
        real += f"(typeof({source}) = 'real' OR typeof({target}) = 'real')"
        if self.db.execute(f"SELECT 1 FROM {self.table.sql}{where}{real} LIMIT 1"):
            return None
        found = self.db.columns(
            f"{head} ORDER BY {self.table.rowid}",
            (),
            tuple(kinds),
            dictionary=ids,
            limit=work.memory or 0,
        )
        weights = found[3] if self.edges.weight is not None else None
        if weights is not None and not np.isfinite(weights).all():
            raise TypeError("a weight is infinite or NULL")
        return Rows(found[0], found[1], found[2], weights)


def unwatch(db: Database, schema: str, name: str) -> None:
    """Drop the triggers, where they are."""
    for suffix in EVENTS:
        db.execute(f"DROP TRIGGER IF EXISTS {quote(schema)}.{quote(f'{name}_{suffix}')}")


def _bounds(kept: Kept) -> tuple[Any, Any]:
    """The least and the largest rowid; None where there are no rows."""
    every = [
        int(part[place]) for part in (kept.rowids, kept.skipped) if len(part) for place in (0, -1)
    ]
    return (min(every), max(every)) if every else (None, None)
