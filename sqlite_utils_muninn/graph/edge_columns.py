"""Which columns of a table are the ends of its edges, where nobody says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlite_utils_muninn.bridge import split_table

SOURCES = ("source", "src", "from", "from_id", "source_id", "src_id", "parent", "head", "s")
TARGETS = ("target", "dst", "to", "to_id", "target_id", "dst_id", "child", "tail", "t")


@dataclass(frozen=True)
class EdgeColumns:
    """An edge table and its columns."""

    table: str
    source: str
    target: str
    weight: str | None = None


def find_columns(
    conn: Any,
    table: str,
    source: str | None = None,
    target: str | None = None,
    weight: str | None = None,
) -> EdgeColumns:
    """Find the columns of the ends where they are not said.

    Two foreign keys are the source and the target, in the order of their columns; else columns of
    the usual names; else the table's only two, where neither is its key alone. Raises ValueError
    where none of this is so.
    """
    schema, name = split_table(table)
    place = (name,) if schema is None else (name, schema)
    marks = ", ".join("?" * len(place))
    info = conn.execute(f"SELECT name, pk FROM pragma_table_info({marks})", place).fetchall()
    columns = [name for name, _ in info]
    if not columns:
        raise ValueError(f"there is no table or view called {table!r}")
    keyed = conn.execute(f'SELECT "from" FROM pragma_foreign_key_list({marks})', place).fetchall()
    keys = [column for column in columns if (column,) in keyed]
    is_keyed_by_one = sum(pk > 0 for _, pk in info) == 1  # then rows are things, not pairs
    found = _pair(keys, columns, len(columns) == 2 and not is_keyed_by_one)
    if (source is None or target is None) and found is None:
        raise ValueError(
            f"which columns of {table!r} are the ends of an edge? Say --source and --target; "
            f"it has {', '.join(columns)}"
        )
    return EdgeColumns(
        table, source or (found or ("", ""))[0], target or (found or ("", ""))[1], weight
    )


def _pair(keys: list[str], columns: list[str], are_ends: bool) -> tuple[str, str] | None:
    if len(keys) == 2:
        return keys[0], keys[1]
    lower = {column.lower(): column for column in columns}
    for source, target in zip(SOURCES, TARGETS, strict=True):
        if source in lower and target in lower:
            return lower[source], lower[target]
    return (columns[0], columns[1]) if are_ends else None
