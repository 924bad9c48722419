"""sqlite-utils rerank: the rows of a table, in the order in which they answer a query."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from .database import open_database, plain_errors
from .output import output_options, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUGGESTED = "jina-reranker-v1-tiny-en"
_CANDIDATES = "muninn_candidates"


@click.command()
@click.argument(
    "path", type=click.Path(exists=True, file_okay=True, dir_okay=False, allow_dash=False)
)
@click.argument("dbtable", metavar="TABLE")
@click.argument("column")
@click.argument("query")
@click.option("-m", "--model", help="Reranker to use  [default: the installed one]")
@click.option("-n", "--number", type=click.IntRange(1), default=10, show_default=True)
@click.option("-c", "--column", "columns", multiple=True, help="Columns to return")
@click.option("--where", help="Only rows that satisfy this SQL condition")
@output_options
def rerank(
    path: str,
    dbtable: str,
    column: str,
    query: str,
    model: str | None,
    number: int,
    columns: tuple[str, ...],
    where: str | None,
    **output: Any,
) -> None:
    """Order the rows of a table by how well they answer a query

    A cross-encoder reads the query together with the text of each row, which is
    exact and slow: give it hundreds of rows, not millions.

    For example:

    \b
        sqlite-utils rerank news.db articles body "Why do rents rise?" \\
          --where "articles.id IN (SELECT rowid FROM articles_fts('rent'))"
    """
    with plain_errors(), closing(open_database(path)) as conn:
        names, rows = _ranked(
            conn, dbtable, column, query, model or _installed(), number, columns, where
        )
        write_rows(names, rows, **output)


def _ranked(
    conn: Any,
    table: str,
    column: str,
    query: str,
    model: str,
    number: int,
    columns: Sequence[str],
    where: str | None,
) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns and the rows, best first."""
    from sqlite_utils_muninn.bridge import quote

    source, candidates, identity = quote(table), table, None
    if where:
        candidates, identity = f"temp.{_CANDIDATES}", "muninn_rowid"
        conn.execute(
            f"CREATE TEMP VIEW {_CANDIDATES} AS "
            f"SELECT rowid AS muninn_rowid, * FROM {source} WHERE {where}"
        )
    wanted = ", ".join(f"t.{quote(name)}" for name in columns) or "t.*"
    cursor = conn.execute(
        f"SELECT r.rerank_score AS score, {wanted} "
        f"FROM rerank(?, ?, ?, ?, ?, ?) AS r JOIN {source} AS t ON t.rowid = r.id "
        "ORDER BY r.rerank_score DESC",
        (model, query, candidates if where else source, column, identity, number),
    )
    names = [name for name, *_ in cursor.description]
    rows = [[row[0] if row[0] is None else round(row[0], 4), *row[1:]] for row in cursor]
    return names, rows


def _installed() -> str:
    """Return the name of the first reranker in the models directory. Raises ClickException."""
    from sqlite_utils_muninn.models.files.header import read_header
    from sqlite_utils_muninn.models.files.store import ModelStore
    from sqlite_utils_muninn.settings import default_models_directory

    for model in ModelStore(default_models_directory()):
        try:
            if (model.pooling or read_header(model.path).pooling) == "rank":
                return model.name
        except ValueError:  # gone or damaged: `models verify` tells
            continue
    raise click.ClickException(
        f"No reranker is installed. Get one with: sqlite-utils muninn models pull {_SUGGESTED}"
    )
