"""The search of embedded tables, where there is no graph or a table is named: by meaning alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from datasette import Response

from ..graph_search.graphs import declared_graphs, proposed_graph
from ..inference import BusyError
from ..links import file_name, search_url
from ..parameters import DEFAULT_SIZE, RefusedError, read_query, read_size
from ..settings import settings_of
from ..table_search import Result, searchable
from ..table_search import search as nearest_rows
from .json_answers import json_answer, json_error

if TYPE_CHECKING:
    from datasette.app import Datasette

    from sqlite_utils_muninn.vectors.storage.schema import VectorTable


@dataclass
class Page:
    """What the page and the JSON are made of."""

    database: str
    query: str
    table: str | None
    size: int = DEFAULT_SIZE
    tables: list[str] = field(default_factory=list)
    rows: list[Result] = field(default_factory=list)
    error: str | None = None
    status: int = 200


async def search_tables(request: Any, datasette: Datasette, database: str) -> Response:
    """Answer a request for the page or its JSON."""
    page = Page(database, (request.args.get("q") or "").strip(), request.args.get("table") or None)
    try:
        await _fill(page, datasette, request)
    except RefusedError as refused:
        page.error, page.status = str(refused), refused.status
    if request.url_vars["format"]:
        return _json(datasette, page)
    return await _html(datasette, request, page)


async def _fill(page: Page, datasette: Datasette, request: Any) -> None:
    settings = settings_of(datasette)
    found = await searchable(datasette, request.actor, page.database)
    page.tables = sorted({table.source or table.name for table in found})
    page.size = read_size(request.args.get("_size") or None, settings)
    page.query = read_query(page.query, settings)
    chosen = [t for t in found if page.table in (None, t.source, t.name)]
    if page.table and not chosen:
        raise RefusedError(f"there is no embedded table {page.table!r} that you may view", 404)
    if page.query:
        page.rows = await _search(datasette, page, chosen)


async def _search(datasette: Datasette, page: Page, tables: list[VectorTable]) -> list[Result]:
    try:
        return await nearest_rows(datasette, page.database, tables, page.query, page.size)
    except BusyError as error:
        raise RefusedError(str(error), 503) from error
    except (ValueError, ImportError, TimeoutError) as error:  # no model or no time, and why
        raise RefusedError(str(error), 500) from error


def _json(datasette: Datasette, page: Page) -> Response:
    if page.error:
        return json_error(datasette, page.error, page.status)
    body = {
        "ok": True,
        "database": page.database,
        "query": page.query,
        "table": page.table,
        "tables": page.tables,
        "rows": [asdict(row) for row in page.rows],
    }
    return json_answer(datasette, body)


async def _html(datasette: Datasette, request: Any, page: Page) -> Response:
    asked = {"q": page.query, **({"table": page.table} if page.table else {})}
    path = search_url(datasette, page.database)
    proposed = await proposed_graph(datasette, request.actor, page.database)
    declared = await declared_graphs(datasette, request.actor, page.database)
    with_graph = {"q": page.query, "graph": proposed.graph.name} if proposed else {}
    context = {
        "database": page.database,
        "query": page.query,
        "table": page.table,
        "tables": page.tables,
        "rows": page.rows,
        "error": page.error,
        "search_url": path,
        "json_url": f"{path}.json?{urlencode(asked)}",
        "max_query": settings_of(datasette).max_query,
        "filename": file_name(datasette.databases[page.database]),
        "whole_url": f"{path}?{urlencode({'q': page.query})}" if declared else None,
        "autofocus": not page.query,
        "graph_url": f"{path}?{urlencode(with_graph)}"
        if proposed and proposed.graph.edges
        else None,
    }
    html = await datasette.render_template("muninn/table_search.html", context, request=request)
    return Response.html(html, status=page.status)
