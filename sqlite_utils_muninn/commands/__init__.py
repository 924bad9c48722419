"""The sqlite-utils commands, one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def register(cli: click.Group) -> None:
    """Add the commands to sqlite-utils."""
    import click

    from .detach import detach
    from .embed import embed
    from .graph import register as register_graph
    from .imports import imports
    from .index import index
    from .models import register as register_models
    from .rerank import rerank
    from .search import search
    from .similar import similar

    cli.add_command(embed)
    cli.add_command(similar)
    cli.add_command(rerank)

    @cli.group()
    def muninn() -> None:
        """Embeddings, vectors and graphs for SQLite"""

    assert isinstance(muninn, click.Group)
    muninn.add_command(index)
    muninn.add_command(detach)
    muninn.add_command(imports)
    muninn.add_command(search)
    register_models(muninn)
    register_graph(muninn)
