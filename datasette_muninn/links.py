"""Ways to the search page from Datasette's own pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from .graph_search.graphs import declared_graphs
from .permissions import derived_of
from .settings import settings_of
from .table_search import searchable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from datasette.app import Datasette
    from datasette.database import Database


def search_url(datasette: Datasette, database: str, query: str = "") -> str:
    """The path of a database's search page."""
    path = str(datasette.urls.database(database)) + "/-/muninn/search"
    return f"{path}?{query}" if query else path


def file_name(db: Database) -> str:
    """What commands call a database's file; Datasette's own name may be another."""
    return Path(db.path or f"{db.name}.db").name


def for_database(
    datasette: Datasette, actor: Any, database: str
) -> Callable[[], Awaitable[list[dict[str, str]]]]:
    """The action "Search", where there is a graph, or "Search by meaning"."""

    async def links() -> list[dict[str, str]]:
        url = search_url(datasette, database)
        if await declared_graphs(datasette, actor, database):
            return [{"href": url, "label": "Search", "description": "Find rows, and why"}]
        if not await searchable(datasette, actor, database):
            return []
        return [_link(url, "every embedded table of this database")]

    return links


def for_table(
    datasette: Datasette, actor: Any, database: str, table: str
) -> Callable[[], Awaitable[list[dict[str, str]]]]:
    """The action "Search by meaning" of an embedded table."""

    async def links() -> list[dict[str, str]]:
        from urllib.parse import urlencode

        derived = await derived_of(datasette.databases[database])
        if table not in derived.values():
            return []
        url = search_url(datasette, database, urlencode({"table": table}))
        return [_link(url, "the rows of this table")]

    return links


def search_box(
    datasette: Datasette, request: Any, database: str
) -> Callable[[], Awaitable[Markup | None]]:
    """The search form above a database's tables."""

    async def box() -> Markup | None:
        graphs = await declared_graphs(datasette, request.actor, database)
        tables = [] if graphs else await searchable(datasette, request.actor, database)
        if not graphs and not tables:
            return None
        html = await datasette.render_template(
            "muninn/_search_box.html",
            {
                "search_url": search_url(datasette, database),
                "has_graph": bool(graphs),
                "tables": sorted({table.source or table.name for table in tables}),
                "max_query": settings_of(datasette).max_query,
            },
            request=request,
        )
        return Markup(html)  # noqa: S704 - a rendered template

    return box


def _link(url: str, what: str) -> dict[str, str]:
    return {"href": url, "label": "Search by meaning", "description": f"Search {what}"}
