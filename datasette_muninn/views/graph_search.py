"""The search of a knowledge graph: a ranked list with reasons, and the graph of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from datasette import Response
from datasette.resources import DatabaseResource

from ..database_settings import database_settings
from ..drawing.svg import picture
from ..graph_search.answering import search_graph
from ..graph_search.facets import edge_types, node_types
from ..graph_search.form import choices, options, unshown, what_is_set
from ..graph_search.found import COUNTED
from ..graph_search.waiting import waiting_rows
from ..inference import BusyError
from ..links import file_name, search_url
from ..parameters import NONE, Asked, RefusedError, in_own_words, read
from ..settings import settings_of
from .json_answers import json_answer, json_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasette.app import Datasette

    from ..graph_search.answering import Result
    from ..graph_search.facets import Choice
    from ..graph_search.graphs import Shown
    from ..graph_search.waiting import Waiting


@dataclass
class Page:
    """What the page and the JSON are made of."""

    database: str
    shown: Shown
    graphs: list[str]
    asked: Asked = field(default_factory=Asked)
    may_use_sql: bool = False
    reranker: str | None = None
    node_types: list[Choice] = field(default_factory=list)
    edge_types: list[Choice] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    result: Result | None = None
    error: str | None = None
    status: int = 200


async def search_graphs(
    request: Any, datasette: Datasette, database: str, graphs: Sequence[Shown]
) -> Response:
    """Answer a request for the page or its JSON; the first graph is meant where none is named."""
    asked = request.args.get("graph") or graphs[0].graph.name
    shown = next(one for one in graphs if one.graph.name == asked)
    page = Page(database, shown, [one.graph.name for one in graphs])
    await _describe(page, datasette, request)
    # What was typed is there to be mended, whatever is wrong with the rest.
    page.asked = Asked((request.args.get("q") or "").strip())
    try:
        page.asked = await _read(page, datasette, request)
        if page.asked.query:
            page.result = await _search(datasette, page)
    except RefusedError as refused:
        page.error, page.status = str(refused), refused.status
    if request.url_vars["format"]:
        return _json(datasette, page)
    return await _html(datasette, request, page)


async def _describe(page: Page, datasette: Datasette, request: Any) -> None:
    db = datasette.databases[page.database]
    limit = datasette.setting("facet_time_limit_ms")
    page.node_types = await node_types(db, page.shown.graph, limit)
    page.edge_types = await edge_types(db, page.shown.graph, limit)
    page.waiting = await waiting_rows(db, page.shown.graph, limit)
    page.may_use_sql = await datasette.allowed(
        action="execute-sql", resource=DatabaseResource(page.database), actor=request.actor
    )
    page.reranker = database_settings(datasette, page.database).reranker


async def _read(page: Page, datasette: Datasette, request: Any) -> Asked:
    """Read the request's parameters. Raises RefusedError."""
    known = [choice.name for choice in (*page.node_types, *page.edge_types)]
    asked = read(request.args, settings_of(datasette), known)
    if asked.where is not None and not page.may_use_sql:
        raise RefusedError("_where= is not allowed", 403)
    given = asked.options.get("reranker", page.reranker)
    if given not in (None, NONE, page.reranker):
        there = f"it may be {page.reranker} or {NONE}" if page.reranker else "none is configured"
        raise RefusedError(f"reranker {given!r} cannot be chosen: {there}")
    return replace(asked, reranker=None if given == NONE else given)


async def _search(datasette: Datasette, page: Page) -> Result:
    try:
        return await search_graph(
            datasette,
            page.database,
            page.shown,
            page.asked,
            may_execute_sql=page.may_use_sql,
        )
    except BusyError as error:
        raise RefusedError(str(error), 503) from error
    except TimeoutError as error:
        raise RefusedError(str(error), 500) from error
    except ValueError as error:  # an argument that cannot be
        raise RefusedError(in_own_words(error)) from error


def _json(datasette: Datasette, page: Page) -> Response:
    if page.error:
        return json_error(datasette, page.error, page.status)
    body: dict[str, Any] = {
        "ok": True,
        "database": page.database,
        "graph": page.shown.graph.name,
        "declared": page.shown.declared,
        "graphs": page.graphs,
        "query": page.asked.query,
        "node_types": [asdict(choice) for choice in page.node_types],
        "edge_types": [asdict(choice) for choice in page.edge_types],
        "waiting": [asdict(table) for table in page.waiting],
        "rows": [],
        "nodes": [],
        "edges": [],
        "missing": [],
    }
    if page.result:
        body["rows"] = [row.json() for row in page.result.rows]
        body.update(page.result.drawn.json())
        body["missing"] = page.result.answer.missing
        if page.asked.explain:
            body["stages"] = [asdict(stage) for stage in page.result.answer.stages]
    return json_answer(datasette, body)


async def _html(datasette: Datasette, request: Any, page: Page) -> Response:
    path = search_url(datasette, page.database)
    result = page.result
    rows = result.rows if result else []
    to_choose = choices(page.node_types, page.edge_types, page.asked)
    to_set = options(page.shown.graph, page.asked, page.reranker, page.may_use_sql)
    context = {
        "database": page.database,
        "graph": page.shown.graph,
        "declared": page.shown.declared,
        "graphs": page.graphs,
        "query": page.asked.query,
        "error": page.error,
        "rows": rows,
        "drawn": result.drawn if result else None,
        "picture": picture(result.drawn) if result and result.drawn.edges else None,
        "missing": result.answer.missing if result else [],
        "counted": COUNTED,
        "stages": result.answer.stages if result and page.asked.explain else [],
        "several_tables": len({row.table for row in rows}) > 1,
        "waiting": page.waiting,
        "choices": to_choose,
        "options": to_set,
        # One that is wrong must not come back with the next search.
        "unshown": [] if page.error else unshown(_pairs(request), [*to_choose, *to_set]),
        "filtered": what_is_set(page.asked),
        "questions": _questions(datasette, page, path),
        "search_url": path,
        "unfiltered_url": _url(path, page, {"q": page.asked.query}),
        "json_url": f"{path}.json?{request.query_string}",
        "alternate_url_json": datasette.absolute_url(
            request, f"{path}.json?{request.query_string}"
        ),
        "explain_url": f"{path}?{urlencode([*_pairs(request), ('explain', '1')])}",
        "max_query": settings_of(datasette).max_query,
        "filename": file_name(datasette.databases[page.database]),
        "autofocus": not page.asked.query,
        "table_url": lambda table: datasette.urls.table(page.database, table),
    }
    html = await datasette.render_template("muninn/graph_search.html", context, request=request)
    return Response.html(html, status=page.status)


def _pairs(request: Any) -> list[tuple[str, str]]:
    return [(name, value) for name in request.args for value in request.args.getlist(name)]


def _questions(datasette: Datasette, page: Page, path: str) -> list[tuple[str, str]]:
    """Example questions and the pages of their answers."""
    asked = database_settings(datasette, page.database).questions
    return [(question, _url(path, page, {"q": question})) for question in asked]


def _url(path: str, page: Page, parameters: dict[str, str]) -> str:
    if page.graphs[0] != page.shown.graph.name or not page.shown.declared:
        parameters = {**parameters, "graph": page.shown.graph.name}
    return f"{path}?{urlencode(parameters)}"
