"""The table whose texts are embedded: how its rows are found again, and what their text is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...bridge import quote

Execute = Callable[..., Sequence[tuple[Any, ...]]]

ROWID_NAMES = ("rowid", "_rowid_", "oid")
BLOCK = 1000  # rows read at a time


@dataclass(frozen=True)
class Source:
    """Columns of a table, joined to one text for each row."""

    schema: str
    table: str
    columns: tuple[str, ...]
    rowid: str  # SQL
    is_stable: bool
    """Whether rowids survive VACUUM: only an INTEGER PRIMARY KEY does."""
    is_generated: bool
    """Whether a column is computed from others."""

    @property
    def name(self) -> str:
        """Quoted name of the table."""
        return f"{quote(self.schema)}.{quote(self.table)}"

    def texts(self, execute: Execute, ids: Sequence[int]) -> dict[int, str | None]:
        """The texts of those of some rows that exist."""
        rows = execute(
            f"SELECT t.{self.rowid}, {self._columns} FROM json_each(?) j "
            f"CROSS JOIN {self.name} t ON t.{self.rowid} = j.value",
            (json.dumps(list(ids)),),
        )
        return {row[0]: self.text(row[0], row[1:]) for row in rows}

    def all_texts(
        self, execute: Execute, where: str | None = None
    ) -> Iterator[tuple[int, str | None]]:
        """Rowids and texts of all rows (that satisfy a condition), in order."""
        condition = f"({where})" if where else "1"
        last = None
        while True:
            after = "" if last is None else f" AND t.{self.rowid} > {last}"
            rows = execute(
                f"SELECT t.{self.rowid}, {self._columns} FROM {self.name} t "
                f"WHERE {condition}{after} ORDER BY t.{self.rowid} LIMIT {BLOCK}"
            )
            for row in rows:
                yield row[0], self.text(row[0], row[1:])
            if len(rows) < BLOCK:
                return
            last = rows[-1][0]

    def ids(self, execute: Execute) -> set[int]:
        """Rowids of all rows."""
        return {row[0] for row in execute(f"SELECT t.{self.rowid} FROM {self.name} t")}

    @property
    def _columns(self) -> str:
        return ", ".join(f"t.{quote(column)}" for column in self.columns)

    def text(self, rowid: int, values: Sequence[Any]) -> str | None:
        """The values of one row, one on a line; None where all are NULL."""
        parts = []
        for column, value in zip(self.columns, values, strict=True):
            if isinstance(value, bytes):
                raise ValueError(
                    f"table {self.table!r}, row {rowid}: column {column!r} holds a blob, "
                    "only text and numbers can be embedded"
                )
            if value is not None:
                parts.append(str(value))
        return "\n".join(parts) if parts else None


def describe(execute: Execute, schema: str, table: str, columns: Sequence[str]) -> Source:
    """Look a table up. Raises ValueError, saying what to do, where rows cannot be remembered."""
    found = execute(f"PRAGMA {quote(schema)}.table_list({quote(table)})")
    listed = [row for row in found if row[0] == schema]
    if not listed:
        raise ValueError(f"no such table: {table}")
    _, name, kind, _, without_rowid, *_ = listed[0]
    if kind == "view":
        raise ValueError(
            f"{table!r} is a view: its rows have no lasting number to keep a vector under; "
            "embed the table behind it, or copy it: CREATE TABLE ... AS SELECT ..."
        )
    if without_rowid:
        raise ValueError(
            f"{table!r} is a WITHOUT ROWID table: its rows have no number to keep a vector under; "
            "copy it into a table that has one: CREATE TABLE ... AS SELECT ..."
        )
    info = execute(f"PRAGMA {quote(schema)}.table_xinfo({quote(table)})")
    known = {row[1].casefold(): row[1] for row in info if row[6] != 1}
    for column in columns:
        if column.casefold() not in known:
            raise ValueError(
                f"no column {column!r} in table {table!r}, it has: {', '.join(known.values())}"
            )
    rowid, is_stable = _rowid(execute, schema, table, info)
    chosen = tuple(known[column.casefold()] for column in columns)
    is_generated = any(row[1] in chosen and row[6] in (2, 3) for row in info)
    return Source(schema, name, chosen, rowid, is_stable, is_generated)


def _rowid(
    execute: Execute, schema: str, table: str, info: Sequence[tuple[Any, ...]]
) -> tuple[str, bool]:
    keys = [row for row in info if row[5]]
    if len(keys) == 1 and keys[0][2].upper() == "INTEGER":
        indexes = execute(f"PRAGMA {quote(schema)}.index_list({quote(table)})")
        # INTEGER PRIMARY KEY DESC is, by an old mistake that stays, not the rowid.
        if all(row[3] != "pk" for row in indexes):
            return quote(keys[0][1]), True
    names = {row[1].casefold() for row in info}
    free = [name for name in ROWID_NAMES if name not in names]
    if not free:
        raise ValueError(
            f"table {table!r} has columns named rowid, _rowid_ and oid, which hide its row "
            "numbers; give it an INTEGER PRIMARY KEY"
        )
    return free[0], False


def fingerprint(text: str, model_sha256: str, prefix: str) -> bytes:
    """What tells whether a stored vector still is that of a text: 16 bytes."""
    digest = _begun(model_sha256, prefix).copy()
    _add(digest, text)
    return digest.digest()


@lru_cache(maxsize=64)
def _begun(model_sha256: str, prefix: str) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    _add(digest, model_sha256)
    _add(digest, prefix)
    return digest


def _add(digest: hashlib.blake2b, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    digest.update(len(data).to_bytes(8, "little") + data)
