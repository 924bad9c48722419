"""What this room puts on a connection: knowledge_graph_search.

numpy is imported when it is first called, not when the extension is loaded.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Parameter, Rows, TableFunction

from .options import FUSIONS, RANK_BY, Options, options_of, weights_of

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

    from .answer import Answer, Row

NAME = "knowledge_graph_search"

_COLUMNS = (
    "node",
    "label TEXT",
    "text TEXT",
    "score REAL",
    "rank INTEGER",
    "hop INTEGER",
    "fts_rank INTEGER",
    "bm25 REAL",
    "distance REAL",
    "fused REAL",
    "rerank_score REAL",
    "ppr REAL",
    "via TEXT",
    '"table" TEXT',
    '"type" TEXT',
    "reason TEXT",
    "name_match REAL",
    "relevance REAL",
    "explanation TEXT",
)

_DEFAULT = Options()
_PARAMETERS = (
    Parameter("query", kind="text", help="What is looked for."),
    Parameter("model", None, kind="text", help="Model, where there are vectors of several."),
    Parameter("top_k", _DEFAULT.top_k, kind="integer", help="Rows of the answer."),
    Parameter("reranker", None, kind="text", help="Cross-encoder that reads the best candidates."),
    Parameter(
        "expand_hops",
        _DEFAULT.expand_hops,
        kind="integer",
        help="Most edges from a candidate; 0: candidates alone.",
    ),
    Parameter("edge_table", None, kind="text", help="Only this one of the graph's edge tables."),
    Parameter("rank_by", _DEFAULT.rank_by, kind="text", help=f"{', '.join(RANK_BY)}."),
    Parameter(
        "graph", None, kind="text", help="Name of a declared graph, where there are several."
    ),
    Parameter("node_types", None, kind="text", help="Only nodes of these types, a comma list."),
    Parameter("edge_types", None, kind="text", help="Only edges of these types, a comma list."),
    Parameter("time_start", None, help="Only edges of this time or later."),
    Parameter("time_end", None, help="Only edges of this time or earlier."),
    Parameter("where", None, kind="text", help="SQL condition on the columns of nodes."),
    Parameter("fusion", _DEFAULT.fusion, kind="text", help=f"{' or '.join(FUSIONS)}."),
    Parameter("alpha", _DEFAULT.alpha, kind="real", help="Weight of full text beside meaning."),
    Parameter("names", _DEFAULT.names, kind="real", help="Weight of names in the query."),
    Parameter(
        "popularity", _DEFAULT.popularity, kind="real", help="Power of a candidate's neighbours."
    ),
    Parameter("damping", _DEFAULT.damping, kind="real", help="How often the walk goes on."),
    Parameter(
        "candidates", _DEFAULT.candidates, kind="integer", help="Rows of full text and of vectors."
    ),
    Parameter("rerank_top", _DEFAULT.rerank_top, kind="integer", help="Candidates to rerank."),
    Parameter(
        "rerank_weight", _DEFAULT.rerank_weight, kind="real", help="Weight of the cross-encoder."
    ),
    Parameter(
        "sharpness", _DEFAULT.sharpness, kind="real", help="Power that makes seeds of scores."
    ),
    Parameter("hub_cap", _DEFAULT.hub_cap, kind="integer", help="Edges of a node that is passed."),
    Parameter("mmr", None, kind="real", help="0 to 1: less than 1 prefers rows unlike each other."),
    Parameter("type_weights", None, kind="text", help="JSON: edge type and weight."),
    Parameter("query_vector", None, kind="blob", help="The query's vector, spares embedding it."),
    Parameter("explain", 0, kind="boolean", help="1: fills the column `explanation`."),
    Parameter("schema", "main", kind="text", help="The attached database to search."),
    Parameter(
        "specificity",
        _DEFAULT.specificity,
        kind="real",
        help="Power of the number of documents with an entity that its seed is divided by.",
    ),
)
_OF_REQUEST = ("query", "model", "reranker", "edge_table", "graph", "query_vector", "schema")


def surface(host: Host) -> list[Declaration]:
    """Return the search, within what the host allows."""
    order = [parameter.name for parameter in _PARAMETERS]

    def search(db: Database, *given: Any) -> Rows:
        return _rows(db, host, dict(zip(order, given, strict=True)))

    return [
        TableFunction(
            NAME,
            _COLUMNS,
            _PARAMETERS,
            search,
            help="The nodes of a knowledge graph that answer a query best, and why.",
            order=(("rank", "ASC"),),
        )
    ]


def _rows(db: Database, host: Host, given: dict[str, Any]) -> Rows:
    from .engine import Request, Search

    explain = given.pop("explain")
    request = {name: given.pop(name) for name in _OF_REQUEST}
    given["type_weights"] = weights_of(NAME, given["type_weights"])
    answer = Search(db, host, Request(**request, options=options_of(given)), NAME).answer()
    rows = [_cells(row) for row in answer.rows]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in _COLUMNS[:-1]]
    return Rows([*columns, [_told(answer) if explain else None] * len(rows)])


def _cells(row: Row) -> tuple[Any, ...]:
    return (
        row.node,
        row.label,
        row.text,
        row.score,
        row.rank,
        row.hop,
        row.fts_rank,
        row.bm25,
        row.distance,
        row.fused,
        row.rerank_score,
        row.ppr,
        json.dumps(asdict(row.via), ensure_ascii=False, default=_as_json),
        row.table,
        row.type,
        row.via.sentence(),
        row.name_match,
        row.relevance,
    )


def _told(answer: Answer) -> str:
    stages = [asdict(stage) for stage in answer.stages]
    told = {"graph": answer.graph, "stages": stages, "missing": answer.missing}
    return json.dumps(told, ensure_ascii=False)


def _as_json(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)
