"""The handle that callbacks get, the errors, and how names are quoted."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any

from . import _vtbridge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SQLError(Exception):
    """An error with a SQLite result code, which the caller of the statement gets to see.

    Raised by :meth:`Database.execute`; raise it in a callback to choose the code (19, a constraint
    violation, arrives as ``IntegrityError``).
    """

    def __init__(self, message: str, sqlite_errorcode: int = 1) -> None:
        super().__init__(message)
        self.sqlite_errorcode = sqlite_errorcode


class Interrupted(SQLError):
    """``conn.interrupt()`` was called, or a progress handler asked to stop."""

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message, 9)


class Database(_vtbridge.Database):
    """A connection, as callbacks see it: valid inside callbacks, on the thread that they run on.

    Besides what is here it has (all from the compiled half) ``execute(sql, parameters=())``, which
    gives a list of tuples, ``check()``, which raises :class:`Interrupted` when the host wants to
    stop, ``filename(schema)``, ``read_only(schema)``, ``has_table(schema, table)`` (by the schema
    as it was last read, so while a table is connected, too), ``transaction_state(schema)``,
    ``data_version(schema)``, ``in_transaction``, ``changes``, ``total_changes``,
    ``last_insert_rowid``, ``sqlite_version``, ``closed`` and ``last_error`` (the traceback of the
    last failed callback). The data version is another number wherever the schema's content may
    be another than it was; None: none of it is being read, or it is being written.

    ``read_blobs(sql, keys, size)`` reads blobs of ``size`` bytes by key, many in one call: ``sql``
    is run with each of ``keys`` (int64, one behind the other) and finds one row at most, with one
    column. It gives the keys that have a row, and their blobs, as bytes in the same order, and
    raises TypeError where a value is no blob of that size.

    ``state`` is for rooms to keep their own things in, for as long as the connection is open.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def columns(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        kinds: Sequence[str] = (),
        *,
        dictionary: _vtbridge.Dictionary | tuple[_vtbridge.Dictionary, ...] | None = None,
        limit: int = 0,
    ) -> tuple[Any, ...]:
        """Run one statement and give its columns.

        ``kinds`` has one word for each column: "integer" (int64 array), "real" (float64 array, NULL
        is NaN), "vector:384" (float32 array of shape (rows, 384)), "text", "blob" or "any" (lists),
        or "code" (int32 array of codes in ``dictionary``, NULL is -1: values of any type at the
        price of integers; a tuple has a dictionary for each such column). Raises TypeError where a
        value is of another type, and MemoryError when the columns take more than ``limit`` bytes.
        """
        import numpy as np

        found = self.read_columns(sql, parameters, tuple(kinds), dictionary, limit)
        return tuple(c if isinstance(c, list) else np.asarray(c) for c in found)

    def load_library(self, path: str | Path, entry_point: str) -> None:
        """Put another SQLite extension on this connection.

        Works where ``enable_load_extension`` is missing. An extension that keeps SQLite's routines
        in a global variable (sqlite-vec does) can serve one SQLite library in a process: a second
        one would crash it, so it raises SQLError instead.
        """
        with _libraries_lock:
            owner = _libraries.setdefault(str(path), self.library)
        if owner != self.library:
            raise SQLError(
                f"{path} already serves another SQLite library in this process; "
                "open all databases with the same module (sqlite3 or pysqlite3)"
            )
        library = ctypes.CDLL(str(path))
        function = getattr(library, entry_point)
        self.initialize(ctypes.cast(function, ctypes.c_void_p).value)


Dictionary = _vtbridge.Dictionary
"""Distinct values, each with a code: 0, 1, 2, ... in order of first appearance."""

_libraries: dict[str, int] = {}
_libraries_lock = threading.Lock()


def quote(name: str) -> str:
    """Return ``name`` as a SQL identifier, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'


def split_table(name: str) -> tuple[str | None, str]:
    """Split ``schema.table`` as a user writes it; either part may be quoted.

    Returns (schema or None, table). ``"a.b"`` in quotes is one table called ``a.b``.
    """
    parts: list[str] = []
    rest: str | None = name.strip()
    while rest is not None:
        part, rest = _first_part(rest)
        parts.append(part)
    if len(parts) > 2 or not all(parts):
        raise ValueError(f"{name!r} is not the name of a table: write table or schema.table")
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


_CLOSING = {'"': '"', "`": "`", "[": "]"}


def _first_part(text: str) -> tuple[str, str | None]:
    """Take one name off; the rest is None where no dot follows."""
    closing = _CLOSING.get(text[:1])
    end = _quoted_end(text, closing) if closing else 0
    if closing is None or not end:
        part, dot, rest = text.partition(".")
        return part.strip(), rest.strip() if dot else None
    part, rest = text[1:end], text[end + 1 :].strip()
    if closing != "]":
        part = part.replace(closing * 2, closing)
    if not rest:
        return part, None
    return (part, rest[1:].strip()) if rest.startswith(".") else ("", None)


def _quoted_end(text: str, closing: str) -> int:
    """Place of the quote that ends the name; 0 where there is none."""
    at = text.find(closing, 1)
    while at > 0 and closing != "]" and text[at + 1 : at + 2] == closing:
        at = text.find(closing, at + 2)
    return max(at, 0)


def quote_table(name: str) -> str:
    """Return ``table`` or ``schema.table`` with each part quoted."""
    schema, table = split_table(name)
    return f"{quote(schema)}.{quote(table)}" if schema is not None else quote(table)
