"""Asking the engine for an actor: models on their own thread, SQL on Datasette's, both with an end.

The engine is the same as in SQL and on the command line; this adds who may see what, where rows
have their pages, and the drawing.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from datasette.utils import path_from_row_pks, sqlite_timelimit, tilde_encode
from datasette.utils.sqlite import sqlite3

from sqlite_utils_muninn.bridge import quote
from sqlite_utils_muninn.models.names import lookup_local
from sqlite_utils_muninn.models.rerank import rerank
from sqlite_utils_muninn.search import search
from sqlite_utils_muninn.search.answer import Stage
from sqlite_utils_muninn.search.binding import find_table
from sqlite_utils_muninn.vectors.nearest import fingerprint_of, query_vector
from sqlite_utils_muninn.vectors.storage.schema import vector_tables

from ..connections import one_snapshot
from ..drawing.drawn import draw
from ..inference import inference_of
from ..settings import settings_of
from .found import ids_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from datasette.app import Datasette
    from datasette.database import Database

    from sqlite_utils_muninn.bridge import Database as Handle
    from sqlite_utils_muninn.search.answer import Answer, Key, Node
    from sqlite_utils_muninn.search.declared import KnowledgeGraph
    from sqlite_utils_muninn.search.reranking import Reranker
    from sqlite_utils_muninn.settings import Host
    from sqlite_utils_muninn.vectors.texts.embedder import Fingerprint

    from ..drawing.drawn import Drawn
    from ..parameters import Asked
    from .found import Found
    from .graphs import Shown


@dataclass(frozen=True)
class Result:
    """An answer, ready for the page and its JSON."""

    answer: Answer
    rows: list[Found]
    drawn: Drawn


async def search_graph(
    datasette: Datasette, database: str, shown: Shown, asked: Asked, *, may_execute_sql: bool
) -> Result:
    """Search a graph as far as it is shown.

    Raises ValueError for what cannot be asked, BusyError where too many are waiting, TimeoutError.
    """
    db = datasette.databases[database]
    start = time.perf_counter()
    vectors = await _embed(datasette, db, shown.graph, asked.query)
    embedded = time.perf_counter() - start
    reranker, missing = await _reranker(datasette, asked.reranker)
    answer, urls = await _ask(datasette, db, shown, asked, vectors, reranker, may_execute_sql)
    ids = ids_of(answer)
    start = time.perf_counter()
    drawn = await asyncio.to_thread(draw, answer, ids, urls)
    stages = [
        # The engine was handed the query's vector: it was made here, and waited for.
        replace(stage, milliseconds=embedded * 1e3) if stage.name == "embed" else stage
        for stage in answer.stages
    ]
    stages.append(Stage("draw", (time.perf_counter() - start) * 1e3, len(drawn.nodes)))
    answer = replace(answer, stages=stages, missing=[*answer.missing, *missing])
    return Result(answer, rows_of(answer, ids, urls), drawn)


async def _embed(
    datasette: Datasette, db: Database, graph: KnowledgeGraph, text: str
) -> dict[str, bytes]:
    """Embed a query on the models' thread, for each node table that has vectors of a model.

    Where a model is not here the table is left out: the engine says so.
    """
    names = {node.vectors: node.table for node in graph.nodes if node.vectors}
    marks: dict[str, Fingerprint] = await db.execute_fn(lambda conn: _marks(conn, names))
    host = settings_of(datasette).host
    made: dict[Fingerprint, bytes] = {}
    for name, mark in marks.items():
        if mark not in made:
            with suppress(ValueError, ImportError):
                work = partial(_vector, host=host, name=name, mark=mark, text=text)
                made[mark] = await inference_of(datasette).run(work)
    return {names[name]: made[mark] for name, mark in marks.items() if mark in made}


def _vector(models: Handle, *, host: Host, name: str, mark: Fingerprint, text: str) -> bytes:
    return query_vector(models, host, name, mark, text)


def _marks(conn: Any, names: Collection[str]) -> dict[str, Fingerprint]:
    return {
        table.name: fingerprint_of(conn, table)
        for table in vector_tables(conn)
        if table.name in names and table.kind == "hnsw_text"
    }


async def _ask(
    datasette: Datasette,
    db: Database,
    shown: Shown,
    asked: Asked,
    vectors: dict[str, bytes],
    reranker: Reranker | None,
    may_execute_sql: bool,
) -> tuple[Answer, dict[Key, str]]:
    """Search, and find the rows' pages in the same snapshot: a rowid may be another's soon."""
    seconds = settings_of(datasette).max_seconds
    given = {**asked.options, "reranker": reranker}

    pks = {node.table: await db.primary_keys(node.table) for node in shown.graph.nodes}

    def read(conn: Any) -> tuple[Answer, dict[Key, str]]:
        with one_snapshot(conn), sqlite_timelimit(conn, seconds * 1000):
            answer = search(
                conn,
                asked.query,
                graph=shown.graph,
                visible=shown.visible,
                query_vector=vectors,
                top_k=asked.size,
                where=asked.where,
                may_execute_sql=may_execute_sql,
                **given,
            )
            return answer, _paths(conn, shown.graph, pks, [*answer.rows, *answer.nodes])

    try:
        answer, paths = await db.execute_fn(read)
    except sqlite3.OperationalError as error:
        if str(error) == "interrupted":
            raise TimeoutError(f"the search was stopped after {seconds:g} seconds") from error
        raise ValueError(str(error)) from error
    row = datasette.urls.row
    return answer, {key: str(row(db.name, key[0], path)) for key, path in paths.items()}


async def _reranker(datasette: Datasette, name: str | None) -> tuple[Reranker | None, list[str]]:
    """A model's judgement, made on the models' thread for a thread that reads.

    Where the model is not here, that is said and the search goes on without.
    """
    if name is None:
        return None, []
    inference, settings = inference_of(datasette), settings_of(datasette)
    host = settings.host
    try:
        await inference.run(lambda models: lookup_local(models, host, name, "the reranker"))
    except (ValueError, ImportError) as error:
        return None, [f"not reranked: {error}"]

    def scores(query: str, texts: Sequence[str]) -> list[float]:
        def work(models: Handle) -> list[float]:
            check = host.watch("the reranker", models.check)
            model = lookup_local(models, host, name, "the reranker")
            found = rerank(model, query, list(texts), check=check, threads=host.threads)
            return [float(score) for score in found.scores]

        return inference.run_here(work, settings.max_seconds)

    return scores, []


def _paths(
    conn: Any, graph: KnowledgeGraph, pks: Mapping[str, list[str]], nodes: Iterable[Node]
) -> dict[Key, str]:
    """The places of nodes' rows below their tables, for those that have a page."""
    ids = {node.table: node.id for node in graph.nodes}
    by_table: dict[str, list[Node]] = {}
    for node in nodes:
        by_table.setdefault(node.table, []).append(node)
    paths: dict[Key, str] = {}
    for table, there in by_table.items():
        keys = pks[table]
        if len(keys) == 1 and (ids[table] or keys[0]).casefold() == keys[0].casefold():
            paths |= {node.key: tilde_encode(str(node.node)) for node in there}
        else:
            paths |= _paths_by_rowid(conn, table, there, keys)
    return paths


def _paths_by_rowid(conn: Any, table: str, nodes: list[Node], pks: list[str]) -> dict[Key, str]:
    found = find_table(conn.execute, "main", table)
    if found is None or found.rowid is None:  # a view has no pages of rows
        return {}
    keys = {node.rowid: node.key for node in nodes}
    rows = conn.execute(
        f"SELECT {', '.join([found.rowid, *map(quote, pks)])} FROM {found.sql} "
        f"WHERE {found.rowid} IN (SELECT value FROM json_each(?))",
        (json.dumps(list(keys)),),
    )
    places = (dict(zip(["rowid", *pks], row, strict=True)) for row in rows)
    return {
        keys[place["rowid"]]: path_from_row_pks(place, pks, use_rowid=not pks) for place in places
    }
