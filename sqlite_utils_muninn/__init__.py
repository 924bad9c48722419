"""Embeddings, vectors and graphs for any SQLite file.

    import sqlite_utils_muninn

    conn = sqlite_utils_muninn.connect("data.db")
    conn.execute("SELECT muninn_embed('MiniLM', 'Hello')")

The work is done in the rooms below; this file only names what is public and tells sqlite-utils of
the plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

from .loading import connect, is_loaded, load, load_in_command
from .search import search
from .settings import Host

if TYPE_CHECKING:
    import click

__all__ = ["Host", "connect", "load", "search"]

hookimpl = pluggy.HookimplMarker("sqlite_utils")


@hookimpl
def register_commands(cli: click.Group) -> None:
    """Add ``embed``, ``similar`` and ``muninn`` to sqlite-utils."""
    from .commands import register

    register(cli)


@hookimpl
def prepare_connection(conn: Any) -> None:
    """Put the SQL surface on each connection that sqlite-utils opens.

    Datasette wraps its own connections in sqlite-utils' Database: those were loaded on Datasette's
    terms, which hold.
    """
    if not is_loaded(conn):
        load_in_command(conn)
