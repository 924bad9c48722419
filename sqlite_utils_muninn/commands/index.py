"""sqlite-utils muninn index: what can be told about a vector table, and mending it."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from .database import open_database, plain_errors
from .output import output_options, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.vectors.state import State


@click.command()
@click.argument(
    "path", type=click.Path(exists=True, file_okay=True, dir_okay=False, allow_dash=False)
)
@click.argument("dbtable", metavar="[TABLE]", required=False)
@click.option("--check", is_flag=True, help="Look for damage: says ok, or fails")
@click.option(
    "--optimize", is_flag=True, help="Build and save the neighbour graph, give back unused room"
)
@click.option(
    "--rebuild", is_flag=True, help="Make everything anew from the vectors that are whole"
)
@click.option(
    "--recall", type=click.IntRange(1), metavar="N", help="Search for N rows and check the answers"
)
@output_options
def index(
    path: str,
    dbtable: str | None,
    check: bool,
    optimize: bool,
    rebuild: bool,
    recall: int | None,
    **output: Any,
) -> None:
    """Show the state of vector tables, check them, mend them

    TABLE is a vector table, or one that is embedded; without it, all are shown.

    "waiting" counts the rows that were added or changed since, and are not found until
    sqlite-utils embed has run again; "left_out" those that its --where left out,
    by the condition "where"; "truncated" those longer than the model reads.
    "memory" is in bytes, "saved" counts the changes since the index was saved in
    the file. --check adds "integrity_check", which is "ok", or fails and says what
    is damaged. --recall and --optimize build a large table's neighbour graph, which
    takes 15 to 30 seconds for 100,000 rows.

    For example:

    \b
        sqlite-utils muninn index news.db articles --check --table
    """
    from sqlite_utils_muninn.vectors.state import State

    columns = [field.name for field in dataclasses.fields(State)]
    commands = {"rebuild": rebuild, "optimize": optimize}
    with plain_errors(), closing(open_database(path)) as conn:
        names = _chosen(conn, path, dbtable)
        for name in names:
            for command in (word for word, is_wanted in commands.items() if is_wanted):
                _run(conn, name, command)
        if check:
            _check(conn, names)
        states = [dataclasses.astuple(_state(conn, name, recall or 0)) for name in names]
        if check:
            columns, states = [*columns, "integrity_check"], [(*row, "ok") for row in states]
        write_rows(columns, states, **output)


def _chosen(conn: Any, path: str, name: str | None) -> Sequence[str]:
    """The vector tables that are meant. Raises ValueError where there is none."""
    from sqlite_utils_muninn.vectors.storage.schema import declared_tables, vector_tables

    tables = declared_tables(conn)
    if name is None:
        if not tables:
            raise ValueError(f"{path} has no vector tables: sqlite-utils embed PATH TABLE COLUMN")
        return [table.name for table in tables]
    # A source that was renamed is known by its present name, where its table is not damaged.
    sources = {table.name: table.source for table in tables}
    sources |= {table.name: table.source for table in vector_tables(conn)}
    wanted = name.casefold()
    found = [
        table
        for table, source in sources.items()
        if wanted in (table.casefold(), (source or "").casefold())
    ]
    if not found:
        known = ", ".join(sources) or "none"
        raise ValueError(f"{name!r} is not a vector table and not embedded; there are: {known}")
    return found


def _check(conn: Any, names: Sequence[str]) -> None:
    """Check all tables. Raises ValueError with a line for each that is damaged."""
    from sqlite_utils.utils import sqlite3

    from sqlite_utils_muninn.bridge import SQLError

    damage = []
    for name in names:
        try:
            _run(conn, name, "integrity-check")
        except (SQLError, sqlite3.Error) as error:
            damage.append(str(error))
    if damage:
        raise ValueError("\n".join(damage))


def _state(conn: Any, name: str, sample: int) -> State:
    """What can be told of a table. Raises ValueError, saying why, where it is too damaged."""
    from sqlite_utils.utils import sqlite3

    from sqlite_utils_muninn.bridge import SQLError
    from sqlite_utils_muninn.vectors.state import state
    from sqlite_utils_muninn.vectors.storage.schema import vector_tables

    try:
        (table,) = (each for each in vector_tables(conn) if each.name == name)
        return state(conn, table, sample)
    except (ValueError, SQLError, sqlite3.Error):
        _check(conn, [name])
        raise


def _run(conn: Any, name: str, command: str) -> None:
    from sqlite_utils_muninn.bridge import quote

    with conn:
        conn.execute(f"INSERT INTO {quote(name)}({quote(name)}) VALUES (?)", (command,))
