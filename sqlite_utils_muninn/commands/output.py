"""sqlite-utils' own output options, for commands that print rows.

`from sqlite_utils.cli import output_options` would be shorter, but that module loads the
plugins, this package among them, while it is itself being imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--nl", is_flag=True, help="Output newline-delimited JSON"),
    click.option("--arrays", is_flag=True, help="Output rows as arrays instead of objects"),
    click.option("--csv", is_flag=True, help="Output CSV"),
    click.option("--tsv", is_flag=True, help="Output TSV"),
    click.option(
        "--no-headers", is_flag=True, help="Omit headers from CSV/TSV and table/--fmt output"
    ),
    click.option("-t", "--table", is_flag=True, help="Output as a formatted table"),
    click.option("--fmt", help="Table format - one of those that tabulate knows, such as github"),
    click.option(
        "--json-cols",
        is_flag=True,
        help="Detect JSON cols and output them as JSON, not escaped strings",
    ),
    click.option(
        "--ascii",
        "ascii_",
        is_flag=True,
        help="Escape non-ASCII characters in JSON output as \\uXXXX",
    ),
)


def output_options(command: F) -> F:
    """Add the output options to a command; it takes them as `**output`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def write_rows(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    nl: bool,
    arrays: bool,
    csv: bool,
    tsv: bool,
    no_headers: bool,
    table: bool,
    fmt: str | None,
    json_cols: bool,
    ascii_: bool,
) -> None:
    """Print rows as the output options say; JSON unless another format is asked for."""
    if table or fmt:
        _write_table(columns, rows, fmt or "simple", no_headers)
    elif csv or tsv:
        _write_csv(columns, rows, "excel-tab" if tsv else "excel", no_headers)
    else:
        from sqlite_utils.cli import output_rows

        for line in output_rows(iter(rows), list(columns), nl, arrays, json_cols, ascii_):
            click.echo(line)


def _write_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], fmt: str, no_headers: bool
) -> None:
    import tabulate  # type: ignore[import-untyped,unused-ignore]

    if fmt not in tabulate.tabulate_formats:
        raise click.BadParameter(
            f"{fmt!r} is not one of {', '.join(tabulate.tabulate_formats)}", param_hint="'--fmt'"
        )
    click.echo(tabulate.tabulate(list(rows), headers=() if no_headers else columns, tablefmt=fmt))


def _write_csv(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], dialect: str, no_headers: bool
) -> None:
    import csv

    writer = csv.writer(sys.stdout, dialect=dialect)
    if not no_headers:
        writer.writerow(columns)
    writer.writerows(rows)
