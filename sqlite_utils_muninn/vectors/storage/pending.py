"""Which rows of a table were written since they were embedded: noted by triggers, in plain SQL.

A stored trigger that wrote to a virtual table would make its table unwritable in every program
that has not the plugin. So the triggers write rowids into a plain table. It is called
`_muninn_<id>_pending`: the id never changes, so that no rename breaks a trigger; the underscore
hides it in Datasette; and as no module's shadow table it is writable under SQLite's defensive mode.

A note says "look at this row again", no more. Whether a vector is still that of its row's text is
decided by the hash of the text alone, in searches too. There is no trigger for DELETE: which rows
are gone is seen by comparing rowids, and has to be, since REPLACE deletes without any trigger.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...bridge import quote
from .source import ROWID_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .source import Execute, Source

_EVENTS = ("insert", "update")
_TRIGGER = re.compile(r"_muninn_([0-9a-f]{16})_(?:insert|update)")


def watched_tables(execute: Execute, schema: str = "main") -> dict[str, str]:
    """Map ids of vector tables to the tables that their triggers are on.

    SQLite moves a trigger along when its table is renamed, so this is the source's present name.
    """
    rows = execute(
        f"SELECT name, tbl_name FROM {quote(schema)}.sqlite_master "
        "WHERE type = 'trigger' AND name LIKE '~_muninn~_%' ESCAPE '~' ORDER BY name"
    )
    found = ((_TRIGGER.fullmatch(name), table) for name, table in rows)
    return {match[1]: table for match, table in found if match}


@dataclass(frozen=True)
class Watch:
    """The triggers and the notes of one vector table over a table."""

    execute: Execute
    schema: str
    id: str

    @property
    def table(self) -> str:
        """Quoted name of the table of notes."""
        return self._name("pending")

    def _name(self, suffix: str) -> str:
        return f"{quote(self.schema)}.{quote(f'_muninn_{self.id}_{suffix}')}"

    def has_notes(self) -> bool:
        """Whether there is a table of notes."""
        return bool(self._there("table", "pending"))

    def lacks_notes(self) -> bool:
        """Whether a trigger writes to a table of notes that is not there: no write succeeds."""
        return not self.has_notes() and any(self._there("trigger", event) for event in _EVENTS)

    def is_on(self, source: Source) -> bool:
        """Whether every change of the source was noted: all is there, and as we write it.

        SQLite rewrites a trigger when a name in it changes; then all rows are looked at once more.
        """
        return self.has_notes() and all(
            self._there("trigger", event) == [(self._trigger(source, event),)] for event in _EVENTS
        )

    def _there(self, kind: str, suffix: str) -> Sequence[tuple[object, ...]]:
        return self.execute(
            f"SELECT sql FROM {quote(self.schema)}.sqlite_master WHERE type = ? AND name = ?",
            (kind, f"_muninn_{self.id}_{suffix}"),
        )

    def turn_on(self, source: Source, embedded: str | None = None) -> None:
        """Make what is missing; all ids of the table `embedded` are then to be looked at."""
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.table}(id INTEGER PRIMARY KEY)")
        for event in _EVENTS:
            self.execute(f"DROP TRIGGER IF EXISTS {self._name(event)}")
            sql = self._trigger(source, event)
            self.execute(sql.replace("TRIGGER ", f"TRIGGER {quote(self.schema)}.", 1))
        if embedded:
            self.execute(f"INSERT OR IGNORE INTO {self.table} SELECT id FROM {embedded}")

    def _trigger(self, source: Source, event: str) -> str:
        """The CREATE statement as sqlite_master keeps it: no schema before the name."""
        notes = quote(f"_muninn_{self.id}_pending")
        rows = ("new",) if event == "insert" else ("old", "new")
        # Not INSERT OR IGNORE: the conflict clause of the user's statement would replace it.
        steps = " ".join(
            f"INSERT INTO {notes} SELECT {row}.{source.rowid} "
            f"WHERE NOT EXISTS (SELECT 1 FROM {notes} WHERE id = {row}.{source.rowid});"
            for row in rows
        )
        after = "INSERT" if event == "insert" else _update_of(source)
        return (
            f"CREATE TRIGGER {quote(f'_muninn_{self.id}_{event}')} AFTER {after} "
            f"ON {quote(source.table)} BEGIN {steps} END"
        )

    def turn_off(self) -> None:
        """Remove all of it."""
        for event in _EVENTS:
            self.execute(f"DROP TRIGGER IF EXISTS {self._name(event)}")
        self.execute(f"DROP TABLE IF EXISTS {self.table}")

    def ids(self, after: int | None = None, count: int = -1) -> list[int]:
        """The first `count` ids noted, beyond one, in order."""
        where = "1" if after is None else f"id > {after}"
        rows = self.execute(
            f"SELECT id FROM {self.table} WHERE {where} ORDER BY id LIMIT ?", (count,)
        )
        return [row[0] for row in rows]

    def note(self, ids: Sequence[int]) -> None:
        """Note that rows are to be looked at."""
        for id_ in ids:
            self.execute(f"INSERT OR IGNORE INTO {self.table} VALUES (?)", (id_,))

    def forget(self, ids: Sequence[int]) -> None:
        """Take notes off: these rows are as they were embedded."""
        self.execute(
            f"DELETE FROM {self.table} WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )


def _update_of(source: Source) -> str:
    # No column of a statement is a generated one, so it cannot be waited for.
    if source.is_generated:
        return "UPDATE"
    names = [*map(quote, source.columns), source.rowid, *ROWID_NAMES]
    return f"UPDATE OF {', '.join(dict.fromkeys(names))}"
