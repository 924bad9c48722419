"""Which vector tables a database has: read from its schema and config, with or without the plugin.

For permissions, commands and pages. Everything is plain SQL, so it works on any connection.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...bridge import quote
from ..options import INDEX, TEXT, Cutting, unquote
from .pending import watched_tables

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = r"""(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|'(?:[^']|'')+'|[^\s("'`\[]+)"""
# SQLite writes this beginning itself, whatever the user wrote before the name.
_CREATE = re.compile(
    rf"CREATE VIRTUAL TABLE {_NAME}\s+USING\s+[\"`\[']?({INDEX}|{TEXT})\b", re.IGNORECASE
)

_MODULE = re.compile(rf"CREATE VIRTUAL TABLE {_NAME}\s+USING\s+[\"`\[']?(\w+)", re.IGNORECASE)

_CLOSING = {"'": "'", '"': '"', "`": "`", "[": "]"}


@dataclass(frozen=True)
class VectorTable:
    """An hnsw_index or hnsw_text table, as far as it can be told without opening it."""

    schema: str
    name: str
    kind: str
    id: str
    dimensions: int
    metric: str
    model: str | None = None
    sha256: str | None = None
    source: str | None = None
    """The table whose texts are embedded, as it is called now; None: they are its own."""
    columns: tuple[str, ...] = ()
    """The columns of the source that are embedded."""
    cutting: Cutting | None = None
    """How texts are split into passages; None: they are not."""


def module_of(sql: str) -> str:
    """The module of a virtual table, in lower case, by the statement that made it."""
    match = _MODULE.match(sql)
    return match[1].lower() if match else ""


def arguments_of(sql: str) -> list[str]:
    """The arguments of a CREATE VIRTUAL TABLE statement, as SQLite hands them to the module."""
    match = _MODULE.match(sql)
    rest = sql[match.end() :] if match else ""
    found, depth, closing = [""], 0, ""
    for sign in rest[rest.find("(") + 1 : rest.rfind(")")]:
        if closing:
            closing = "" if sign == closing else closing
        elif sign in _CLOSING:
            closing = _CLOSING[sign]
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        if sign == "," and not depth and not closing:
            found.append("")
        else:
            found[-1] += sign
    return [argument.strip() for argument in found]


class Declared(NamedTuple):
    """A vector table as its CREATE statement has it: whether its own tables are whole or not."""

    name: str
    kind: str
    sql: str

    @property
    def source(self) -> str | None:
        """The table whose texts are embedded, as it was called then."""
        given = (argument.partition("=") for argument in arguments_of(self.sql))
        return next((unquote(v) for key, _, v in given if key.strip().lower() == "content"), None)


def declared_tables(conn: Any, schema: str = "main") -> list[Declared]:
    """Return the vector tables of a schema by name, damaged ones too."""
    rows = list(
        getattr(conn, "conn", conn).execute(
            f"SELECT name, sql FROM {quote(schema)}.sqlite_master "
            "WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%hnsw_%' "
            "AND name NOT LIKE '~_muninn~_%' ESCAPE '~' ORDER BY name"
        )
    )
    found = ((name, _CREATE.match(sql), sql) for name, sql in rows)
    return [Declared(name, match[1].lower(), sql) for name, match, sql in found if match]


def vector_tables(conn: Any, schema: str = "main") -> list[VectorTable]:
    """Return the vector tables of a schema by name; damaged and unfinished ones are left out.

    `conn` is a connection, a sqlite_utils.Database or the bridge's handle.
    """
    execute = getattr(conn, "conn", conn).execute
    listed = declared_tables(conn, schema)
    found = []
    watched = watched_tables(execute, schema) if listed else {}
    for name, kind, _ in listed:
        table = read_table(execute, schema, name, kind)
        if table and table.source and table.id in watched:
            table = replace(table, source=watched[table.id])
        if table:
            found.append(table)
    return found


def unreadable(conn: Any, name: str | None = None) -> None:
    """Let a table that `vector_tables` leaves out, of this name or any, say what is wrong."""
    execute = getattr(conn, "conn", conn).execute
    readable = {table.name.casefold() for table in vector_tables(conn)}
    for there, sql in list(execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")):
        is_meant = name is None or name.casefold() == there.casefold()
        if is_meant and there.casefold() not in readable and module_of(sql or "") in (INDEX, TEXT):
            execute(f"SELECT count(*) FROM {quote(there)}")


def text_tables(conn: Any, source: str, schema: str = "main") -> list[VectorTable]:
    """Return the hnsw_text tables over a table, and `source` itself if it is one."""
    wanted = source.casefold()
    return [
        table
        for table in vector_tables(conn, schema)
        if table.kind == TEXT and wanted in ((table.source or "").casefold(), table.name.casefold())
    ]


def read_table(execute: Any, schema: str, name: str, kind: str) -> VectorTable | None:
    """One table of a kind; None where it is not there, or damaged."""
    table = f"{quote(schema)}.{quote(f'{name}_config')}"
    try:
        config = dict(list(execute(f"SELECT key, value FROM {table}")))
        return VectorTable(
            schema,
            name,
            kind,
            id=_text(config["id"]),
            dimensions=int(config["dimensions"]),
            metric=_text(config["metric"]),
            model=config.get("model"),
            sha256=config.get("sha256"),
            source=config.get("content"),
            columns=_strings(json.loads(config.get("content_columns") or "[]")),
            cutting=_cutting(config),
        )
    except Exception as error:
        if "locked" in str(error) or "interrupted" in str(error):
            raise
        return None


def _cutting(config: dict[str, Any]) -> Cutting | None:
    if "max_tokens" not in config:
        return None
    return Cutting(int(config["max_tokens"]), int(config["overlap"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _strings(values: Sequence[object]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)
