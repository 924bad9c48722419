"""sqlite-utils muninn detach: a copy of a database that needs no plugin."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from .database import open_database, plain_errors


@click.command()
@click.argument(
    "path", type=click.Path(exists=True, file_okay=True, dir_okay=False, allow_dash=False)
)
@click.argument("out", type=click.Path(dir_okay=False, allow_dash=False))
@click.option("-s", "--silent", is_flag=True, help="Say nothing")
def detach(path: str, out: str, silent: bool) -> None:
    """Copy a database into a file that any SQLite and any Datasette opens

    Vector tables become plain tables of the same names: id, vector (a blob of
    little-endian 32-bit floats), metadata columns, and content where the text
    is nowhere else; passages of long texts are in TABLE_passages. The table
    muninn_detached tells which models they are of.
    Rows that were changed since they were embedded have no vector in the copy.

    For example:

    \b
        sqlite-utils muninn detach news.db plain.db
    """
    from sqlite_utils_muninn.vectors.detach import detach as copy

    with plain_errors(), closing(open_database(path)) as conn:
        counts, others = copy(conn, Path(out), open_database)
    if silent:
        return
    for table, count in counts.items():
        click.echo(f"{table}: {count:,} rows", err=True)
    if not counts:
        click.echo("There were no vector tables: a plain copy", err=True)
    for table in others:
        click.echo(
            f"Warning: {table} is a virtual table of another program, copied as it is", err=True
        )
