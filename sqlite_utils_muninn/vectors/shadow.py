"""The tables behind a vector table: what they are called, how they are made, and what is settled.

v_config     key, value; `id` never changes, whatever the table is called
v_rows, v_nodes, v_log    the content, see storage.py
v_edges      the saved index, see edges.py
"""

from __future__ import annotations

import re
import secrets
import shlex
from typing import TYPE_CHECKING, Any

from ..bridge import Database, SQLError, quote
from .options import MOST_DIMENSIONS, TEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .options import Column

FORMAT = "3"
OF_SQLITE_MUNINN = {"dimensions", "entry_point", "max_level"}  # keys of its config

# SQLITE_CONSTRAINT, SQLITE_CORRUPT_VTAB
CONSTRAINT, CORRUPT = 19, 267


class ShadowTables:
    """The names and the config of one vector table's tables on one connection."""

    def __init__(
        self, db: Database, schema: str, table: str, owner: str, dimensions: int | None = None
    ) -> None:
        self.texts = owner == TEXT  # rows have a hash, and none is a row without a vector
        self.db = db
        self.schema = schema
        self.owner = owner
        self._dimensions = dimensions
        self._id: str | None = None
        self._is_known = False
        self.call(table)

    def call(self, table: str) -> None:
        """The table is called so now."""
        self.table = table

    def name(self, suffix: str) -> str:
        """Quoted name of a shadow table."""
        return f"{quote(self.schema)}.{quote(f'{self.table}_{suffix}')}"

    @property
    def id(self) -> str:
        """What names the shared index. Read once, it cannot change."""
        if self._id is None:
            self._id = self.check_config(self.config())
        return self._id

    @property
    def dimensions(self) -> int:
        """Length of a vector: what the CREATE statement says, else what the config does."""
        if self._dimensions is None:
            size = self.config().get("dimensions")
            if not isinstance(size, int) or not 0 < size <= MOST_DIMENSIONS:
                raise self.damaged(f"{self.table}_config has no valid dimensions")
            self._dimensions = size
        return self._dimensions

    @dimensions.setter
    def dimensions(self, size: int) -> None:
        self._dimensions = size

    @property
    def known_id(self) -> str | None:
        """The id if it has been read, without a look at the file."""
        return self._id

    def check_origin(self) -> None:
        """Raise SQLError where another program, or version of this one, made the tables."""
        if not self._is_known:
            if not self.db.has_table(self.schema, f"{self.table}_rows"):
                self.check_config(self.config())
            self._is_known = True

    def check_config(self, config: Mapping[str, Any]) -> str:
        """Return the id. Raises SQLError where this version of the program did not write that."""
        id_ = config.get("id")
        if id_ is None and config.keys() >= OF_SQLITE_MUNINN:
            name = shlex.quote(self.table)
            raise SQLError(
                f"{self.owner}: table {self.table!r} was made by the extension sqlite-muninn; this "
                f"converts it: sqlite-utils muninn import sqlite-muninn FILE {name} FILE {name}",
                CORRUPT,
            )
        if not isinstance(id_, str) or not re.fullmatch("[0-9a-f]{16}", id_):
            raise self.damaged(f"{self.table}_config has no valid id")
        if config.get("format") != FORMAT:
            raise SQLError(
                f"{self.owner}: table {self.table!r} was made by another version of this program "
                f"(format {config.get('format')!r}, not {FORMAT!r}): drop it and make it again",
                CORRUPT,
            )
        return id_

    def damaged(self, what: str) -> SQLError:
        """The error for content that no version of this program writes."""
        return SQLError(
            f"{self.owner}: table {self.table!r} is damaged: {what}; "
            f"INSERT INTO {quote(self.table)}({quote(self.table)}) VALUES ('rebuild') may mend it",
            CORRUPT,
        )

    def duplicate(self) -> SQLError:
        """Return the error for a rowid that is taken."""
        return SQLError(f"UNIQUE constraint failed: {self.table}.rowid", CONSTRAINT)

    @property
    def is_there(self) -> bool:
        """Whether the table is in the file under its name: SQLite tells of no rename undone."""
        try:
            rows = self.db.execute(f"SELECT value FROM {self.name('config')} WHERE key = 'id'")
        except SQLError:
            return False
        return rows == [(self.id,)]

    # ---- Making and removing ----

    def create(self, config: dict[str, Any], columns: Sequence[Column]) -> None:
        """Make all tables."""
        extra = "".join(f", {quote(c.name)} {c.type}" for c in columns)
        for suffix, declared in {
            "config": "key TEXT PRIMARY KEY, value",
            "rows": f"id INTEGER PRIMARY KEY{extra}",
            "nodes": "id INTEGER PRIMARY KEY, vector BLOB",
            "edges": "id INTEGER PRIMARY KEY, data BLOB",
            "log": "seq INTEGER PRIMARY KEY, id INTEGER, tag INTEGER NOT NULL",
        }.items():
            self.db.execute(f"CREATE TABLE {self.name(suffix)}({declared})")
        self._id = secrets.token_hex(8)
        for key, value in {"format": FORMAT, "id": self._id, **config}.items():
            self.set_config(key, value)

    def drop(self, suffixes: Sequence[str]) -> None:
        """Remove all tables, as far as they are there."""
        for suffix in suffixes:
            self.db.execute(f"DROP TABLE IF EXISTS {self.name(suffix)}")

    def rename(self, table: str, suffixes: Sequence[str]) -> None:
        """Follow the virtual table to its new name."""
        for suffix in suffixes:
            new = quote(f"{table}_{suffix}")
            self.db.execute(f"ALTER TABLE {self.name(suffix)} RENAME TO {new}")
        self.call(table)

    # ---- Config ----

    def config(self) -> dict[str, Any]:
        """All settings of the table."""
        return dict(self.db.execute(f"SELECT key, value FROM {self.name('config')}"))

    def renew_id(self) -> None:
        """Give the table an id that no other one has."""
        self._id = secrets.token_hex(8)
        self.set_config("id", self._id)

    def set_config(self, key: str, value: Any) -> None:
        """Write one setting."""
        self.db.execute(f"REPLACE INTO {self.name('config')} VALUES (?, ?)", (key, value))
