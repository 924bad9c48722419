"""What this room puts on a connection: hnsw_index and hnsw_text.

numpy is imported when a vector table is first used, not when the extension is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..bridge import Declaration, Module, Parameter, VirtualTable
from .index.recent import RECENT
from .options import INDEX, TEXT, TEXT_SHADOW
from .tables.writable import Deferring, Writable

if TYPE_CHECKING:
    from ..settings import Host
    from .texts.embedder import Lookup

TEXT_HELP = (
    "A table of texts, searched by meaning: SELECT rowid, distance, content FROM docs "
    "WHERE content MATCH ? LIMIT 10. The texts that a transaction writes are embedded in batches, "
    "at the latest by its COMMIT, which fails whole where the model does. Hidden columns: vector, "
    "truncated (1: longer than the model reads), and with chunk=true chunk, the passage found."
)
INDEX_HELP = (
    "A table of vectors, searched with WHERE vector MATCH ? AND k = 10, or ORDER BY distance "
    "LIMIT 10. Conditions on rowid and metadata columns with =, <, <=, >, >= and IN narrow a "
    "search before its k rows are counted; any other condition is met by LIMIT, which goes on "
    "until so many rows qualify."
)

_GRAPH = (
    Parameter("m", 16, help="Neighbours of a node in the graph that large tables are searched by."),
    Parameter("ef_construction", 200, help="How widely neighbours are looked for."),
)
_METADATA = "A column that searches can be narrowed by; any number of them."
INDEX_PARAMETERS = (
    Parameter("dimensions", help="Length of a vector."),
    Parameter("metric", "cosine", help="cosine, l2 (squared) or inner_product (negative)."),
    Parameter("+name TYPE", None, help=_METADATA),
    *_GRAPH,
)
TEXT_PARAMETERS = (
    Parameter("model", help="A model's name, or the path of its file where the host allows that."),
    Parameter("dim", None, help="Cut vectors to so many dimensions; the model's own if left out."),
    Parameter("metric", "cosine", help="cosine, l2 (squared) or inner_product (negative)."),
    Parameter("content", None, help="Another table, whose texts are embedded where they are."),
    Parameter("content_column", None, help="A column of that table; may be given several times."),
    Parameter("chunk", "false", help="Split long texts into passages; the best one counts."),
    Parameter("max_tokens", None, help="Most tokens of a passage; 256 if left out."),
    Parameter("overlap", 0, help="Tokens that a passage shares with the one before it."),
    Parameter("+name TYPE", None, help=f"{_METADATA} Not with content=."),
    *_GRAPH,
)


def surface(host: Host) -> list[Declaration]:
    """The vector tables, for the connections of `host`."""
    return [_index_module(host), text_module(host, None)]


def _index_module(host: Host) -> Module:
    def create(*arguments: Any) -> VirtualTable:
        from .tables.table import HnswIndex

        RECENT.limit = host.index_cache
        return HnswIndex.create(*arguments)

    def connect(*arguments: Any) -> VirtualTable:
        from .tables.table import HnswIndex

        RECENT.limit = host.index_cache
        return HnswIndex(*arguments)

    return Module(
        INDEX,
        Writable,
        create,
        connect,
        help=INDEX_HELP,
        shadow=TEXT_SHADOW,
        parameters=INDEX_PARAMETERS,
    )


def text_module(host: Host, find: Lookup | None) -> Module:
    """The module of hnsw_text; `find` looks models up (the models room's lookup by default)."""

    def arguments(db: Any, schema: str, table: str, given: list[str]) -> tuple[Any, ...]:
        from .options import text_options
        from .texts.embedder import Models

        models = Models(host, find) if find else Models(host)
        return (db, schema, table, text_options(given), models)

    def create(*given: Any) -> VirtualTable:
        from .tables.text import HnswText

        RECENT.limit = host.index_cache
        return HnswText.create(*arguments(*given))

    def connect(*given: Any) -> VirtualTable:
        from .tables.text import HnswText

        RECENT.limit = host.index_cache
        return HnswText(*arguments(*given))

    return Module(
        TEXT,
        Deferring,
        create,
        connect,
        help=TEXT_HELP,
        shadow=TEXT_SHADOW,
        parameters=TEXT_PARAMETERS,
    )
