"""/DATABASE/-/muninn/search and its .json: a graph where there is one, else embedded tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasette.resources import DatabaseResource
from datasette.utils.asgi import NotFound

from ..graph_search.graphs import declared_graphs, proposed_graph
from ..table_search import searchable
from .graph_search import search_graphs
from .table_search import search_tables

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.utils.asgi import Response

    from ..graph_search.graphs import Shown


async def search(request: Any, datasette: Datasette) -> Response:
    """Answer a request for the page or its JSON."""
    database = request.url_vars["database"]
    if database not in datasette.databases:
        raise NotFound(f"Database not found: {database}")
    await datasette.ensure_permission(
        action="view-database", resource=DatabaseResource(database), actor=request.actor
    )
    graphs = await _graphs(request, datasette, database)
    asked = request.args.get("graph")
    if asked and not any(shown.graph.name == asked for shown in graphs):
        raise NotFound(f"there is no knowledge graph {asked!r} that you may search")
    if not graphs:
        return await search_tables(request, datasette, database)
    return await search_graphs(request, datasette, database, graphs)


async def _graphs(request: Any, datasette: Datasette, database: str) -> list[Shown]:
    """Return the graphs that a request may mean; none: it means embedded tables.

    Where nobody declared a graph, the one that the file seems to hold is searched if it is asked
    for by its name, or if there is nothing else to search.
    """
    if request.args.get("table"):
        return []
    declared = await declared_graphs(datasette, request.actor, database)
    asked = request.args.get("graph")
    if not asked and (declared or await searchable(datasette, request.actor, database)):
        return declared
    if asked and any(shown.graph.name == asked for shown in declared):
        return declared
    proposed = await proposed_graph(datasette, request.actor, database)
    if proposed and (proposed.graph.name == asked or (not asked and proposed.is_indexed)):
        return [*declared, proposed]
    return declared
