"""``python -m demo``: builds the knowledge base, embeds it, serves it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from demo.build import build_database
from demo.graph import declare_graph
from demo.serve import SEARCH_PATH, check_port, serve
from demo.vectors import MODEL, embed_objects, pull_model

FOLDER = Path(__file__).parent


def check_name(_context: click.Context, _parameter: click.Parameter, path: Path) -> Path:
    """The settings, and in them MITRE's notice, are for a database of one name."""
    if path.name != "attack.db":
        raise click.BadParameter(f"the file must be called attack.db, got '{path.name}'")
    return path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=FOLDER / "attack.db",
    callback=check_name,
    help="Where to build it; the file must be called attack.db  [default: demo/attack.db]",
)
@click.option("--port", default=8001, show_default=True, help="Port to serve on")
@click.option("--embed/--no-embed", default=True, help="Make vectors for search by meaning")
@click.option("--serve/--no-serve", "wants_server", default=True, help="Serve with Datasette")
def main(database: Path, port: int, embed: bool, wants_server: bool) -> None:
    """Build a knowledge base from MITRE ATT&CK and serve it.

    Run again, it does only what is not done yet.
    """
    try:
        if wants_server:
            check_port(port)  # before minutes of work, not after
        build(database)
        if embed:
            click.echo(f"Model {MODEL}:")
            pull_model()
            click.echo("Vectors of objects:")
            embed_objects(database)
        if declare_graph(database):
            click.echo("Declared its knowledge graph")
        if wants_server:
            address = f"http://127.0.0.1:{port}/"
            click.echo(f"Serving {address}{SEARCH_PATH} (Ctrl-C to stop)")
            serve(database, port)
    except (ModuleNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def build(database: Path) -> None:
    """Builds the tables and says what was done."""
    start = time.perf_counter()
    if build_database(database):
        click.echo(f"Built {database} in {time.perf_counter() - start:.1f} s")
    else:
        click.echo(f"{database} is up to date")


if __name__ == "__main__":
    main(prog_name="python -m demo")
