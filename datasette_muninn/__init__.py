"""The web face of muninn: hook implementations, each a line or two that calls a room.

    settings, database_settings    what datasette.yaml says, checked once
    permissions, connections       who may see what; SQL as the public may use it
    inference                      models at work, off the threads that serve pages
    parameters                     what a request asks of a search
    graph_search/, drawing/        searching a knowledge graph for a visitor; its picture
    table_search                   searching embedded tables by meaning alone
    models/                        which models there are, trying and installing them
    views/, links                  pages and JSON of all this; ways there from Datasette's pages

Rooms know no pages; `views` knows what a page shows, and not how it is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasette import hookimpl

from . import connections, database_settings, inference, links, permissions, settings
from .models import pulls
from .views import models, search

if TYPE_CHECKING:
    from collections.abc import Callable

    from datasette.app import Datasette


@hookimpl
def startup(datasette: Datasette) -> Callable[[], Any]:
    """Check the configuration once, before anything is served."""

    async def check() -> None:
        settings.settings_of(datasette)
        await database_settings.check_all(datasette)

    return check


@hookimpl
def shutdown(datasette: Datasette) -> None:
    """Let the models' thread end, and stop downloads."""
    inference.close(datasette)
    pulls.close(datasette)


@hookimpl
def prepare_connection(conn: Any, database: str, datasette: Datasette) -> None:
    """Put the SQL surface on each connection, as the public may use it."""
    connections.prepare(datasette, conn, database)


@hookimpl
def register_routes() -> list[tuple[str, Any]]:
    """The pages and their JSON."""
    return [
        (r"^/(?P<database>[^/]+)/-/muninn/search(?P<format>\.json)?$", search.search),
        (r"^/-/muninn/models(?P<format>\.json)?$", models.models),
        (r"^/-/muninn/models/(?P<name>[^/]+?)(?P<format>\.json)?$", models.model),
    ]


@hookimpl
def register_actions(datasette: Datasette) -> list[Any]:
    """What may be allowed and denied."""
    return permissions.actions()


@hookimpl(specname="permission_resources_sql")
def default_permissions(datasette: Datasette, action: str) -> Any:
    """Allow what anybody may do."""
    return permissions.allowed_by_default(datasette, action)


@hookimpl
def permission_resources_sql(datasette: Datasette, actor: Any, action: str) -> Any:
    """Deny what was made from a table to those who may not view that table."""
    return permissions.derived_tables_sql(datasette, actor, action)


@hookimpl
def menu_links(datasette: Datasette, actor: Any) -> Any:
    """The page of models."""
    return models.menu(datasette, actor)


@hookimpl
def database_actions(datasette: Datasette, actor: Any, database: str) -> Any:
    """A link to the search page."""
    return links.for_database(datasette, actor, database)


@hookimpl
def table_actions(datasette: Datasette, actor: Any, database: str, table: str) -> Any:
    """A link to the search page, at this table."""
    return links.for_table(datasette, actor, database, table)


@hookimpl
def top_database(datasette: Datasette, request: Any, database: str) -> Any:
    """A search box above the tables."""
    return links.search_box(datasette, request, database)
