"""The sqlite-utils commands, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def register(cli: click.Group) -> None:
    """Add the commands to sqlite-utils."""
    import click

    from . import models

    @cli.group()
    def muninn() -> None:
        """Embeddings, vectors and graphs for SQLite"""

    assert isinstance(muninn, click.Group)
    models.register(muninn)
