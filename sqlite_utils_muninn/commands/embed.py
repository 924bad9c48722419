"""sqlite-utils embed: embed the rows of a table, and only those that need it."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from sqlite_utils_muninn.settings import DEFAULT_MODEL

from .database import host_for, open_database, plain_errors
from .progress import Bar, rows

if TYPE_CHECKING:
    from sqlite_utils_muninn.vectors.texts.embed import OwnPlan, Plan, Progress


@click.command()
@click.argument(
    "path", type=click.Path(exists=True, file_okay=True, dir_okay=False, allow_dash=False)
)
@click.argument("table")
@click.argument("columns", metavar="[COLUMN]...", nargs=-1)
@click.option(
    "-m", "--model", help=f"Model to use  [default: that of the table, or {DEFAULT_MODEL}]"
)
@click.option("--name", help="Name of the vector table  [default: TABLE_vectors]")
@click.option("--where", help="Only rows that satisfy this SQL condition")
@click.option("--dimensions", type=int, help="Cut vectors to this many dimensions")
@click.option(
    "--batch-size", type=click.IntRange(1), default=256, show_default=True, help="Rows per commit"
)
@click.option(
    "--chunk/--no-chunk",
    default=None,
    help="Split long texts into passages, each with a vector; the best one counts",
)
@click.option("--max-tokens", type=int, help="Most tokens of a passage  [default: 256]")
@click.option("--overlap", type=int, help="Tokens that a passage shares with the one before it")
@click.option("--force", is_flag=True, help="Embed everything anew, with another model or columns")
@click.option("--full", is_flag=True, help="Read every text, not only those noted as changed")
@click.option("--dry-run", is_flag=True, help="Show what would be done")
@click.option("-s", "--silent", is_flag=True, help="Show no progress")
def embed(
    path: str,
    table: str,
    columns: tuple[str, ...],
    model: str | None,
    batch_size: int,
    dry_run: bool,
    silent: bool,
    **wishes: Any,
) -> None:
    """Embed the rows of a table, for search by meaning

    The text of a row is what its columns hold, joined. Run it again after
    changes: only new and changed rows are embedded, and those that are gone
    are dropped. An interrupted run goes on where it stopped.

    Columns that are embedded already need not be named again, nor any of an
    hnsw_text table that keeps its texts itself. With --force and another model,
    its texts are embedded anew.

    For example:

    \b
        sqlite-utils embed news.db articles title body
    """
    from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
    from sqlite_utils_muninn.vectors.texts.embedder import Models

    wish = Wish(table=table, columns=columns, model=model, **wishes)
    with plain_errors(), closing(open_database(path, model)) as conn:
        made = plan(conn, wish, Models(host_for(model)))
        if made.warning and not silent:
            click.echo(f"Warning: {made.warning}", err=True)
        if dry_run:
            click.echo(_would_do(made))
            return
        last = None
        try:
            with Bar(made.difference.todo, label="Embedding", hidden=silent) as bar:
                for last in run(made, batch_size):
                    bar.show(last.done)
        except KeyboardInterrupt:
            done = rows(last.done if last else 0)
            click.echo(f"\n{made.name}: stopped after {done}; run it again to go on", err=True)
            raise
        if not silent:
            click.echo(_done(made, last, bar.seconds), err=True)


def _would_do(made: Plan | OwnPlan) -> str:
    found = made.difference
    text = (
        f"{made.name}: would embed {len(found.new):,} new and {len(found.changed):,} changed rows, "
        f"drop {len(found.vanished):,}, keep {found.unchanged:,}"
    )
    return text + (f"; {found.without_text:,} without text" if found.without_text else "")


def _done(made: Plan | OwnPlan, last: Progress | None, seconds: float) -> str:
    assert last is not None
    if not made.difference.todo and not last.deleted:
        return f"{made.name}: nothing to do, {rows(made.difference.unchanged)} embedded already"
    parts = [f"{made.name}: embedded {rows(last.done - last.moved_on)}"]
    if made.difference.todo:
        parts[0] += f" in {seconds:.1f} s ({last.done / max(seconds, 1e-9):,.0f} rows/s)"
    if last.deleted:
        parts.append(
            f"dropped {rows(last.deleted)} that {'is' if last.deleted == 1 else 'are'} gone"
        )
    if last.truncated:
        parts.append(f"{rows(last.truncated)} longer than the model reads, cut (--chunk splits)")
    if last.moved_on:
        parts.append(f"{rows(last.moved_on)} changed meanwhile, run it again")
    return ", ".join(parts)
