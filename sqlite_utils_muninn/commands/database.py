"""Opening the file that a command works on, and its errors as one plain sentence."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlite_utils_muninn.settings import Host


def host_for(model: str | None) -> Host:
    """What the user's own connection allows: the server, too, whose model the user named.

    A name of such a model that only the database knows is not enough: it may be anybody's file.
    """
    from sqlite_utils_muninn.models.backends.servers import is_served
    from sqlite_utils_muninn.settings import Host

    return Host(models={model: model}) if model and is_served(model) else Host()


def open_database(path: str, model: str | None = None) -> Any:
    """A connection with the SQL surface on it, which the caller closes.

    `model` is one that the user named. Raises ClickException where the file is not a database.
    """
    from sqlite_utils_muninn import connect

    conn = connect(path, host_for(model))
    try:
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except Exception as error:
        conn.close()
        raise click.ClickException(f"{path}: {error}") from error
    return conn


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Errors that a user can do something about, without a traceback."""
    from sqlite_utils.utils import sqlite3

    from sqlite_utils_muninn.bridge import SQLError

    try:
        yield
    except (ValueError, OSError, ImportError, SQLError, sqlite3.Error) as error:
        raise click.ClickException(str(error)) from error
