"""Which nodes may be returned, as SQL about one node table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import SQLError, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import Nodes
    from .options import Options

_INTERRUPT = 9


@dataclass(frozen=True)
class Filter:
    """A condition on the rows of a node table, to stand in `WHERE`."""

    condition: str
    parameters: tuple[Any, ...] = ()

    @property
    def excludes_all(self) -> bool:
        """Whether no row can qualify."""
        return self.condition == "0"


def filters(
    db: Database, caller: str, nodes: Sequence[Nodes], options: Options
) -> dict[int, Filter]:
    """Return the filter of each node table by its number; none where all rows qualify.

    The types of a table without a type column are its name. A table that has not the columns of
    `where` has no rows that qualify. Raises ValueError where no table has them.
    """
    found: dict[int, Filter] = {}
    refused: list[str] = []
    for table in nodes:
        parts = [_types(table, options.node_types)] if options.node_types is not None else []
        if options.where is not None:
            problem = _problem(db, table, options.where)
            parts.append(Filter("0") if problem else Filter(f"(\n{options.where}\n)"))
            refused += [problem] if problem else []
        if any(part.excludes_all for part in parts):
            found[table.number] = Filter("0")
        elif parts:
            condition = " AND ".join(part.condition for part in parts)
            values = tuple(value for part in parts for value in part.parameters)
            found[table.number] = Filter(condition, values)
    if refused and len(refused) == len(nodes):
        raise ValueError(f"{caller}: argument 'where' is no condition on the nodes: {refused[0]}")
    return found


def _types(table: Nodes, types: tuple[str, ...]) -> Filter:
    if table.type is None:
        return Filter("1" if table.name in types else "0")
    return Filter(f"{table.type} IN ({', '.join('?' * len(types))})", types)


def _problem(db: Database, table: Nodes, where: str) -> str | None:
    """What SQLite says against a condition; nothing is run."""
    try:
        db.execute(f"SELECT 1 FROM {table.table.sql} WHERE (\n{where}\n) LIMIT 0")
    except SQLError as error:
        if error.sqlite_errorcode == _INTERRUPT:
            raise
        return str(error)
    return None


def qualifying(db: Database, table: Nodes, keys: Sequence[Any], only: Filter | None) -> set[Any]:
    """Return those of some rows that are there and qualify; they are named by `key_of`."""
    if not len(keys) or (only is not None and only.excludes_all):
        return set()
    key = key_of(table)
    condition, values = among(key, keys)
    if only is not None:
        condition, values = f"{condition} AND {only.condition}", (*values, *only.parameters)
    return {
        row[0]
        for row in db.execute(f"SELECT {key} FROM {table.table.sql} WHERE {condition}", values)
    }


def among(key: str, keys: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Return the condition that a row's key is one of some, and its parameters."""
    if any(isinstance(one, bytes) for one in keys):  # which JSON has not
        return f"{key} IN ({', '.join('?' * len(keys))})", tuple(keys)
    return f"{key} IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)


def key_of(table: Nodes) -> str:
    """Return the SQL by which rows of a table are named: the rowid, or the id of a view."""
    return table.table.rowid or table.id


def also(table: Nodes, rowid: str, only: Filter | None) -> tuple[str, tuple[Any, ...]]:
    """Return ` AND EXISTS (...)`: that the row of a node table with this rowid qualifies."""
    if only is None:
        return "", ()
    inner = f"SELECT 1 FROM {table.table.sql} "
    inner += f"WHERE {quote(table.name)}.{table.table.rowid} = {rowid} AND {only.condition}"
    return f" AND EXISTS ({inner})", only.parameters
