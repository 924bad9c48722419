"""Search in a knowledge graph: the right rows, and why.

    declared, proposals, stored   what a graph is; proposed from what a file has; kept in the file
    choosing, binding             which graph is meant; its names held against the file
    reading, network, times       its nodes and edges as arrays, kept for the next search
    engine                        one search, stage by stage, as `options` say:
        names, fulltext, meaning + nearest, letters -> pool    candidates
        fusion, reranking, filters                             one score each, of those that qualify
        seeds, walk, ranking, diversity                        along edges; the order of the rows
        reasons, texts, notes -> answer                        why; what was missing
    sql, calling                  all of it from SQL, and from Python

This file names what is public; nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer import Answer, Edge, Node, Row, Seed, Stage, Step, Via
from .declared import EdgeTable, KnowledgeGraph, NodeTable, from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from typing_extensions import Unpack

    from .options import Settings

__all__ = [
    "Answer",
    "Edge",
    "EdgeTable",
    "KnowledgeGraph",
    "Node",
    "NodeTable",
    "Row",
    "Seed",
    "Stage",
    "Step",
    "Via",
    "define",
    "drop",
    "from_json",
    "graphs",
    "propose",
    "search",
]


def search(
    conn: Any,
    query: str,
    *,
    graph: str | KnowledgeGraph | None = None,
    model: str | None = None,
    reranker: str | Callable[[str, Sequence[str]], Sequence[float]] | None = None,
    edge_table: str | None = None,
    query_vector: bytes | Mapping[str, bytes] | None = None,
    visible: Collection[str] | None = None,
    schema: str = "main",
    may_execute_sql: bool = False,
    **settings: Unpack[Settings],
) -> Answer:
    """Search a knowledge graph and say why each row is there.

    `conn` is a connection with the SQL surface on it, or a sqlite_utils.Database of one. `graph` is
    the name of a declared graph, or a declaration; without, the only one that the file declares,
    else one that is proposed from what the file has.

    `model` chooses between vectors of several models; `query_vector` (float32; or node table ->
    vector, where they are of several models) spares the embedding. `reranker` is a cross-encoder's
    name, or a function of the query and texts that gives scores from 0 to 1. Tables that are not in
    `visible` do not exist. On a public connection `where` is refused unless `may_execute_sql`.

    Settings are those of `options.Options`, which says what each does; None counts as left out:
    `top_k`, `node_types`, `edge_types`, `where`, `time_start`, `time_end`, `type_weights`,
    `expand_hops`, `rank_by` (ppr, score, pagerank, betweenness, hop), `fusion` (convex, rrf),
    `alpha`, `names`, `popularity`, `specificity`, `damping`, `candidates`, `rerank_top`,
    `rerank_weight`, `sharpness`, `hub_cap`, `mmr`.

    Raises ValueError for what cannot be, the connection's own OperationalError for what SQLite
    says (`interrupted` among it), PermissionError and TimeoutError where the host's terms end it.
    """
    from .calling import search_on

    return search_on(
        conn,
        query,
        dict(settings),
        graph=graph,
        model=model,
        reranker=reranker,
        edge_table=edge_table,
        query_vector=query_vector,
        visible=visible,
        schema=schema,
        may_execute_sql=may_execute_sql,
    )


def graphs(
    conn: Any, *, schema: str = "main", visible: Collection[str] | None = None
) -> list[KnowledgeGraph]:
    """Return the graphs that a file declares; broken ones are left out.

    With `visible`, only those of which a node table may be seen.
    """
    from .stored import graphs as found

    return found(conn, schema=schema, visible=visible)


def define(conn: Any, graph: KnowledgeGraph, *, schema: str = "main", replace: bool = True) -> None:
    """Declare a graph in the file, in one transaction (the caller's, where there is one).

    Raises ValueError for a table or column that is not there, and with `replace=False` for a name
    that is taken.
    """
    from .stored import define as write

    write(conn, graph, schema=schema, replace=replace)


def drop(conn: Any, name: str, *, schema: str = "main") -> None:
    """Take a declaration back; its tables stay. Raises ValueError where there is none."""
    from .stored import drop as remove

    remove(conn, name, schema=schema)


def propose(
    conn: Any,
    name: str = "knowledge",
    *,
    schema: str = "main",
    visible: Collection[str] | None = None,
) -> KnowledgeGraph:
    """Return the graph that a file seems to hold; nothing is written.

    Found by foreign keys, full-text and vector tables and the names of columns. Raises ValueError
    where no table has texts.
    """
    from .proposals import propose as look

    return look(conn, name, schema=schema, visible=visible)
