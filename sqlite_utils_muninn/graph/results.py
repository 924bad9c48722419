"""Writing what a graph function gives: as a new table, or as columns of one that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import quote

from .edge_table import affinity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .edge_columns import EdgeColumns

IDS = ("node", "src", "dst")
"""Columns of results that say which row of a table they belong to."""


@dataclass(frozen=True)
class Results:
    """Rows of a graph function, under the names that they are to be saved by."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    ids: int
    """So many columns at the beginning say whose results they are."""

    @classmethod
    def of(cls, columns: Sequence[str], rows: Sequence[Sequence[Any]], prefix: str) -> Results:
        """Name the columns: ``prefix`` comes before all but the ids."""
        ids = sum(column in IDS for column in columns)
        return cls((*columns[:ids], *(prefix + c for c in columns[ids:])), rows, ids)


def save_results(
    conn: Any,
    table: str,
    results: Results,
    edges: EdgeColumns,
    *,
    key: str | None = None,
    replace: bool = False,
    both: bool = False,
) -> int:
    """Save results, and count the rows that have some now.

    A table that is not there is made, one of just these columns is made anew. Any other gets them
    as columns, next to the values of ``key`` (found where the foreign keys of the edge table name
    this table, and for results of edges in the edge table itself; with ``both`` an edge may be
    stored the other way round). Raises ValueError where that is not clear, or where a column of
    the same name is there and ``replace`` is not said. All is done or nothing.
    """
    there = conn.execute(f"PRAGMA table_info({quote(table)})").fetchall()
    names = [row[1] for row in there]
    with conn:
        conn.execute("BEGIN IMMEDIATE")
        if not there or tuple(names) == results.columns:
            return _make_table(conn, table, results)
        keys = _keys(conn, table, results, edges, key)
        types = {row[1].lower(): row[2] for row in there}
        for one in keys:
            if one.lower() not in types:
                raise ValueError(f"{table!r} has no column {one!r}; it has {', '.join(names)}")
        new = results.columns[results.ids :]
        _make_columns(conn, table, results, set(types), replace=replace)
        _put_aside(conn, results, [types[one.lower()] for one in keys])
        return _fill(conn, table, keys, new, both=both)


def _make_table(conn: Any, table: str, results: Results) -> int:
    names = ", ".join(map(quote, results.columns))
    conn.execute(f"DROP TABLE IF EXISTS {quote(table)}")
    conn.execute(f"CREATE TABLE {quote(table)} ({names})")
    marks = ", ".join("?" * len(results.columns))
    conn.executemany(f"INSERT INTO {quote(table)} VALUES ({marks})", results.rows)
    return len(results.rows)


def _keys(
    conn: Any, table: str, results: Results, edges: EdgeColumns, key: str | None
) -> tuple[str, ...]:
    """The columns of the table that say which results belong to a row."""
    if results.ids == 2:
        if table.lower() == edges.table.lower():
            return edges.source, edges.target
        raise ValueError(
            f"results of edges can be columns of {edges.table!r} or a new table; "
            f"{table!r} is something else"
        )
    found = key or _referenced(conn, table, edges)
    if found is None:
        raise ValueError(
            f"there is already a table {table!r} that is something else; "
            "to save the results as columns of it, say which of its columns holds the nodes: --key"
        )
    return (found,)


def _referenced(conn: Any, table: str, edges: EdgeColumns) -> str | None:
    """The column that both ends of an edge refer to, where that is one of this table."""
    keys = conn.execute(f"PRAGMA foreign_key_list({quote(edges.table)})").fetchall()
    found = {
        (str(row[2]).lower(), row[4]) for row in keys if row[3] in (edges.source, edges.target)
    }
    if len(found) != 1 or {name for name, _ in found} != {table.lower()}:
        return None
    column: str | None = next(iter(found))[1]
    if column is None:  # REFERENCES table: its primary key
        primary = [r[1] for r in conn.execute(f"PRAGMA table_info({quote(table)})") if r[5]]
        return primary[0] if len(primary) == 1 else None
    return column


def _make_columns(
    conn: Any, table: str, results: Results, taken: set[str], *, replace: bool
) -> None:
    sql = "SELECT strict FROM pragma_table_list(?)"
    mixed = "ANY" if (1,) in conn.execute(sql, (table,)).fetchall() else ""
    for place, name in enumerate(results.columns):
        if place < results.ids:
            continue
        if name.lower() not in taken:
            kind = _type([row[place] for row in results.rows]) or mixed
            conn.execute(f"ALTER TABLE {quote(table)} ADD COLUMN {quote(name)} {kind}")
        elif not replace:
            raise ValueError(
                f"{table!r} has a column {name!r} already: --replace writes over it, "
                "--prefix gives the new one another name"
            )


def _type(values: Sequence[Any]) -> str:
    """The type of a column; none where ids of several types may be."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and kinds:
        return "INTEGER"
    return "REAL" if kinds and kinds <= {int, float} else "TEXT" if kinds == {str} else ""


def _put_aside(conn: Any, results: Results, types: Sequence[str]) -> None:
    """Put the results where their ids are found, compared as the table compares its keys."""
    names = [f"id{place}" for place in range(results.ids)]
    columns = [
        # ANY is a type of STRICT tables alone, which leave its values as they are.
        f"{name} {'BLOB' if kind.upper() == 'ANY' else affinity_of(kind)}"
        for name, kind in zip(names, types, strict=True)
    ]
    columns += [f"value{place}" for place in range(len(results.columns) - results.ids)]
    conn.execute("DROP TABLE IF EXISTS temp.muninn_results")
    conn.execute(f"CREATE TEMP TABLE muninn_results ({', '.join(columns)})")
    marks = ", ".join("?" * len(columns))
    conn.executemany(f"INSERT INTO temp.muninn_results VALUES ({marks})", results.rows)
    conn.execute(f"CREATE INDEX temp.muninn_results_ids ON muninn_results ({', '.join(names)})")


def _fill(conn: Any, table: str, keys: Sequence[str], new: Sequence[str], *, both: bool) -> int:
    """Set the new columns of every row, NULL where there are no results for it."""
    column = [f"{quote(table)}.{quote(key)}" for key in keys]
    ways = [column, column[::-1]] if both and len(keys) == 2 else [column]

    def found(what: str) -> str:
        each = [
            f"(SELECT {what} FROM temp.muninn_results AS r WHERE "
            + " AND ".join(f"r.id{place} = {name}" for place, name in enumerate(way))
            + " LIMIT 1)"
            for way in ways
        ]
        return each[0] if len(each) == 1 else f"coalesce({', '.join(each)})"

    values = ", ".join(f"{quote(name)} = {found(f'value{i}')}" for i, name in enumerate(new))
    conn.execute(f"UPDATE {quote(table)} SET {values}")
    sql = f"SELECT count(*) FROM {quote(table)} WHERE {found('1')} IS NOT NULL"
    count: int = conn.execute(sql).fetchone()[0]
    conn.execute("DROP TABLE temp.muninn_results")
    return count
