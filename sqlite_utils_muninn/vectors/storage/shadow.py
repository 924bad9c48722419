"""The tables behind a vector table: what they are called, how they are made, and what is settled.

How each is declared stands in parts.py. In v_config, `id` never changes, whatever the table is
called.
"""

from __future__ import annotations

import re
import secrets
import shlex
from typing import TYPE_CHECKING, Any

from ...bridge import Database, SQLError, quote
from ..options import MOST_DIMENSIONS, TEXT, Column
from .parts import Parts, declaration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
            # Only ours have it. Where it is lost, others are known by a config that can be read.
            if not self.db.has_table(self.schema, f"{self.table}_rows"):
                columns = {column.name for column in self.columns_of("config")}
                self._check_origin(self.config() if {"key", "value"} <= columns else {})
            self._is_known = True

    def _check_origin(self, config: Mapping[str, Any]) -> None:
        if "id" not in config and config.keys() >= OF_SQLITE_MUNINN:
            name = shlex.quote(self.table)
            raise SQLError(
                f"{self.owner}: table {self.table!r} was made by the extension sqlite-muninn; this "
                f"converts it: sqlite-utils muninn import sqlite-muninn FILE {name} FILE {name}",
                CORRUPT,
            )
        if config.get("format") not in (None, FORMAT):
            raise SQLError(
                f"{self.owner}: table {self.table!r} was made by another version of this program "
                f"(format {config.get('format')!r}, not {FORMAT!r}): drop it and make it again",
                CORRUPT,
            )

    def check_config(self, config: Mapping[str, Any]) -> str:
        """Return the id. Raises SQLError where this version of the program did not write that."""
        self._check_origin(config)
        id_ = config.get("id")
        if not isinstance(id_, str) or not re.fullmatch("[0-9a-f]{16}", id_):
            raise self.damaged(f"{self.table}_config has no valid id")
        if "format" not in config:
            raise self.damaged(f"{self.table}_config has no format")
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

    def create(self, config: dict[str, Any], parts: Parts) -> None:
        """Make all tables."""
        for suffix in parts.suffixes:
            self.make(suffix, parts)
        self.renew_id()
        for key, value in {"format": FORMAT, **config}.items():
            self.set_config(key, value)

    def make(self, suffix: str, parts: Parts) -> None:
        """Make one table."""
        self.db.execute(f"CREATE TABLE {self.name(suffix)}({declaration(parts.of(suffix))})")

    def columns_of(self, suffix: str) -> list[Column]:
        """The columns of a table as it is in the file, in order; none where it is missing."""
        table = quote(f"{self.table}_{suffix}")
        rows = self.db.execute(f"PRAGMA {quote(self.schema)}.table_info({table})")
        return [
            Column(name, f"{kind} PRIMARY KEY" if key else kind)
            for _, name, kind, _, _, key in rows
        ]

    def drop(self, suffixes: Sequence[str]) -> None:
        """Remove all tables, as far as they are there."""
        for suffix in suffixes:
            self.db.execute(f"DROP TABLE IF EXISTS {self.name(suffix)}")

    def rename(self, table: str, suffixes: Sequence[str]) -> None:
        """Follow the virtual table to its new name; what is missing can be made anew there."""
        for suffix in filter(self.columns_of, suffixes):
            new = quote(f"{table}_{suffix}")
            self.db.execute(f"ALTER TABLE {self.name(suffix)} RENAME TO {new}")
        self.call(table)

    # ---- Config ----

    def config(self) -> dict[str, Any]:
        """All settings of the table."""
        return dict(self.db.execute(f"SELECT key, value FROM {self.name('config')}"))

    def mend_config(self, settings: Mapping[str, Any], id_: str | None) -> None:
        """Write what is not as it should be; a lost id becomes `id_`, if that is given."""
        config = self.config()
        for key, value in {"format": FORMAT, **settings}.items():
            if config.get(key) != value:
                self.set_config(key, value)
        try:
            self._id = self.check_config({**config, "format": FORMAT})
        except SQLError:
            self._id = id_ or self._id
            self.renew_id()

    def renew_id(self) -> None:
        """Give the table the id that it is known by, else one that no other table has."""
        self._id = self._id or secrets.token_hex(8)
        self.set_config("id", self._id)

    def set_config(self, key: str, value: Any) -> None:
        """Write one setting."""
        self.db.execute(f"REPLACE INTO {self.name('config')} VALUES (?, ?)", (key, value))
