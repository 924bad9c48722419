"""sqlite-utils similar: the rows of a table that mean something like a text."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from .database import open_database, plain_errors
from .output import output_options, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.vectors.match import Match


@click.command()
@click.argument(
    "path", type=click.Path(exists=True, file_okay=True, dir_okay=False, allow_dash=False)
)
@click.argument("dbtable", metavar="TABLE")
@click.argument("query")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True)
@click.option("-c", "--column", "columns", multiple=True, help="Columns to return")
@click.option("--name", help="Name of the vector table, where there are several")
@click.option(
    "-m",
    "--model",
    help="The table's model, where that is on a server or a file: openai:..., x.gguf",
)
@output_options
def similar(
    path: str,
    dbtable: str,
    query: str,
    number: int,
    columns: tuple[str, ...],
    name: str | None,
    model: str | None,
    **output: Any,
) -> None:
    """Find the rows of a table that mean something like a text

    Where the table's model is not here, rows are found by full-text search, if
    the table has that, and by spelling; a line on standard error says so. Where
    texts are split into passages, the one that was found is shown.

    For example:

    \b
        sqlite-utils similar news.db articles "rising rents" -n 5 --table
    """
    from sqlite_utils_muninn.vectors import similar as room

    if not query.strip():  # a model has a vector for nothing, too
        raise click.BadParameter("it is empty", param_hint="QUERY")
    with plain_errors(), closing(open_database(path, model)) as conn:
        if model is None:
            _refuse_key(conn, dbtable, name)
        else:
            _load(conn, model)
        found = room.similar(conn, dbtable, query, number, vectors=name, say=_say)
        names, rows = _with_source(conn, dbtable, columns, found)
        write_rows(names, rows, **output)


def _load(conn: Any, model: str) -> None:
    """Have a model on the connection. A file is read where the user names it, never the table."""
    from sqlite_utils_muninn.bridge import attach
    from sqlite_utils_muninn.models.backends.servers import is_served
    from sqlite_utils_muninn.settings import Host
    from sqlite_utils_muninn.vectors.texts.embedder import Models, remember

    if not is_served(model):
        db = attach(conn)
        remember(db, Models(Host()).named(db, model))


def _refuse_key(conn: Any, table: str, name: str | None) -> None:
    """Raise ValueError where only the file says which server is asked, with the user's key."""
    from sqlite_utils_muninn.models.backends.servers import takes_key
    from sqlite_utils_muninn.vectors.storage.schema import text_tables

    for each in text_tables(conn, table):
        if name in (None, each.name):
            if each.model and takes_key(each.model):
                raise ValueError(
                    f"{each.name!r} was made by a model on a server that takes a key; "
                    f"to ask it, name it: --model {each.model}"
                )
            return


def _say(why: str) -> None:
    click.echo(why, err=True)


def _with_source(
    conn: Any, table: str, columns: Sequence[str], found: Sequence[Match]
) -> tuple[list[str], list[list[Any]]]:
    """The rows of the source table, in the order of what was found, with their scores in front."""
    from sqlite_utils_muninn.bridge import quote

    wanted = ", ".join(map(quote, columns)) or _all_columns(conn, table)
    has_passages = any(match.passage is not None for match in found)
    names: list[str] = []
    rows = []
    for match in found:
        cursor = conn.execute(
            f"SELECT {wanted} FROM {quote(table)} WHERE rowid = ?", (match.rowid,)
        )
        names = names or [column[0] for column in cursor.description]
        row = cursor.fetchone()
        if row is not None:
            passage = [match.passage] if has_passages else []
            rows.append([round(match.score, 4), *passage, *row])
    return ["score", *(["passage"] if has_passages else []), *names], rows


def _all_columns(conn: Any, table: str) -> str:
    """All columns; of a vector table its rowid, but no distance: that is the score told twice."""
    from sqlite_utils_muninn.bridge import quote
    from sqlite_utils_muninn.vectors.storage.schema import vector_tables

    if table.casefold() not in {each.name.casefold() for each in vector_tables(conn)}:
        return "*"
    names = conn.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return ", ".join(["rowid", *(quote(name) for (name,) in names if name != "distance")])
