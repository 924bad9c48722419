"""sqlite-utils muninn import: vectors that other programs made."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .database import host_for, open_database, plain_errors
from .progress import Bar, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlite_utils_muninn.vectors.imports.run import Progress

_METRICS = ("l2", "cosine", "inner_product")


@click.group("import")
def imports() -> None:
    """Import vectors that other programs made

    The source is only read. An interrupted import goes on where it stopped
    when it is started again; rows that are there already are passed over.
    """


def _paths(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that all have: the database, the new table, the file to read."""
    existing = click.Path(exists=True, dir_okay=False, allow_dash=False)
    for argument in (
        click.argument("file", type=existing),
        click.argument("dbtable", metavar="TABLE"),
        click.argument("path", type=click.Path(dir_okay=False, allow_dash=False)),
    ):
        command = argument(command)
    return click.option("-s", "--silent", is_flag=True, help="Show no progress")(command)


_replace = click.option("--replace", is_flag=True, help="Import rows anew that are there already")


@imports.command("sqlite-muninn")
@_paths
@click.argument("source")
@_replace
def from_muninn(
    source: str, path: str, dbtable: str, file: str, silent: bool, replace: bool
) -> None:
    """Import an hnsw_index table of the extension sqlite-muninn

    SOURCE is its table in FILE. TABLE, a new hnsw_index table in PATH, gets the
    same rowids, dimensions, metric and options. The same file and table twice
    convert it: the new table takes the place of the old one.

    For example:

    \b
        sqlite-utils muninn import sqlite-muninn new.db vectors old.db my_vecs
        sqlite-utils muninn import sqlite-muninn old.db my_vecs old.db my_vecs
    """
    from sqlite_utils_muninn.vectors.imports.origin import opened
    from sqlite_utils_muninn.vectors.imports.run import put_in_place, run
    from sqlite_utils_muninn.vectors.imports.sqlite_muninn import origin

    is_converted = dbtable == source and Path(path).exists() and Path(path).samefile(file)
    table = f"{dbtable}_converted" if is_converted else dbtable
    with plain_errors(), opened(file) as old, _into(path, table) as conn:
        found = origin(old, source)
        _work(dbtable, found.count, run(conn, table, found, replace=replace), silent)
        if is_converted:
            put_in_place(conn, table, source)


@imports.command("sqlite-vec")
@_paths
@click.argument("source")
@_replace
@click.option("--column", help="Column of vectors, where there are several")
@click.option(
    "--metric", type=click.Choice(_METRICS), help="Metric of the new table  [default: the same]"
)
def from_vec0(
    source: str,
    path: str,
    dbtable: str,
    file: str,
    silent: bool,
    replace: bool,
    column: str | None,
    metric: str | None,
) -> None:
    """Import a vec0 table of sqlite-vec

    SOURCE is its table in FILE. TABLE, a new hnsw_index table in PATH, gets the
    same rowids; metadata, partition and auxiliary columns, and a text primary
    key, become metadata columns. Distances of the metric l2 are squared there.

    For example:

    \b
        sqlite-utils muninn import sqlite-vec new.db vectors old.db vec_items
    """
    from sqlite_utils_muninn.vectors.imports.origin import opened
    from sqlite_utils_muninn.vectors.imports.run import run
    from sqlite_utils_muninn.vectors.imports.sqlite_vec import origin

    with plain_errors(), opened(file) as old, _into(path, dbtable) as conn:
        found = origin(old, source, column, metric)
        _work(dbtable, found.count, run(conn, dbtable, found, replace=replace), silent)


@imports.command("llm")
@_paths
@click.argument("name", metavar="[COLLECTION]", required=False)
@click.option(
    "-m", "--model", help="Model here that has made the same vectors, to search the texts with"
)
def from_llm(
    name: str | None, path: str, dbtable: str, file: str, silent: bool, model: str | None
) -> None:
    """Import a collection of embeddings of the tool llm

    TABLE, a new table in PATH, gets id, key (the id that llm knows), content
    and metadata; TABLE_vectors the vectors, by the same id. With --model, whose
    vectors are compared with those of a few texts first, sqlite-utils similar
    searches them.

    FILE is what "llm collections path" names.

    For example:

    \b
        sqlite-utils muninn import llm notes.db notes "$(llm collections path)" my-notes
    """
    from sqlite_utils_muninn.vectors.imports.llm import collection, run
    from sqlite_utils_muninn.vectors.imports.origin import opened
    from sqlite_utils_muninn.vectors.texts.embedder import Models

    with plain_errors(), opened(file) as old, _into(path, dbtable, model) as conn:
        chosen = collection(old, name)
        steps = run(conn, dbtable, old, chosen, model, Models(host_for(model)))
        _work(dbtable, chosen.count, steps, silent)


@contextmanager
def _into(path: str, table: str, model: str | None = None) -> Iterator[Any]:
    """The database to import into; a new file is not left behind if no row came into it."""
    file, has_rows = Path(path), False
    is_new = not (file.exists() or file.is_symlink())
    try:
        with closing(open_database(path, model)) as conn:
            try:
                yield conn
            finally:
                has_rows = is_new and _has_rows(conn, table)
    except BaseException:
        if is_new and not has_rows:
            file.unlink(missing_ok=True)
        raise


def _has_rows(conn: Any, table: str) -> bool:
    from sqlite_utils_muninn.bridge import quote

    there = conn.execute("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)", (table,))
    if there.fetchone() is None:
        return False
    return conn.execute(f"SELECT 1 FROM {quote(table)} LIMIT 1").fetchone() is not None


def _work(table: str, total: int, steps: Iterable[Progress], silent: bool) -> None:
    last = None
    with Bar(total, label="Importing", hidden=silent) as bar:
        for last in steps:
            bar.show(last.seen)
    if not silent and last:
        parts = [f"{table}: imported {rows(last.imported)}"]
        if last.there:
            parts.append(f"{last.there:,} were there already")
        if last.unusable:
            parts.append(f"{last.unusable:,} left out that have no usable vector")
        click.echo(", ".join(parts), err=True)
