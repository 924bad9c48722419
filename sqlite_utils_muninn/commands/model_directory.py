"""The directory of the model files, as all commands about models find and open it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sqlite_utils_muninn.models.files.store import ModelStore

F = TypeVar("F", bound=Callable[..., Any])


def directory_option(command: F) -> F:
    """Add what names the models directory."""
    return click.option(
        "--models-dir",
        "directory",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory of the model files (default: MUNINN_MODELS_DIR, or in the user's data)",
    )(command)


def open_store(directory: Path | None) -> ModelStore:
    """The models directory that is meant; what is damaged in its index is said."""
    from sqlite_utils_muninn.models.files.store import ModelStore
    from sqlite_utils_muninn.settings import default_models_directory

    store = ModelStore((directory or default_models_directory()).expanduser().absolute())
    list(store)  # reads the index
    if store.damage:
        click.echo(f"Warning: {store.damage}", err=True)
    return store


def try_out(path: Path) -> None:
    """Open a new file in another process first: a corrupt one may kill the one that opens it."""
    from sqlite_utils_muninn.models import probe
    from sqlite_utils_muninn.models.llama import LlamaMissingError

    try:
        probe.check(path)
    except LlamaMissingError as error:  # its header was checked all the same
        click.echo(f"The file was not tried out: {error}", err=True)
