"""What this room puts on a connection: hnsw_index and hnsw_text.

numpy is imported when a vector table is first used, not when the extension is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..bridge import Declaration, Module, VirtualTable
from .options import INDEX, TEXT, TEXT_SHADOW
from .writable import Deferring, Writable

if TYPE_CHECKING:
    from ..settings import Host
    from .embedder import Lookup

TEXT_HELP = "A table of texts, searched by meaning with WHERE content MATCH ? LIMIT 10."
INDEX_HELP = "A table of vectors, searched with WHERE vector MATCH ? AND k = 10."


def surface(host: Host) -> list[Declaration]:
    """The vector tables, for the connections of `host`."""
    return [_index_module(), text_module(host, None)]


def _index_module() -> Module:
    def create(*arguments: Any) -> VirtualTable:
        from .table import HnswIndex

        return HnswIndex.create(*arguments)

    def connect(*arguments: Any) -> VirtualTable:
        from .table import HnswIndex

        return HnswIndex(*arguments)

    return Module(INDEX, Writable, create, connect, help=INDEX_HELP, shadow=TEXT_SHADOW)


def text_module(host: Host, find: Lookup | None) -> Module:
    """The module of hnsw_text; `find` looks models up (the models room's lookup by default)."""

    def arguments(db: Any, schema: str, table: str, given: list[str]) -> tuple[Any, ...]:
        from .embedder import Models
        from .options import text_options

        models = Models(host, find) if find else Models(host)
        return (db, schema, table, text_options(given), models)

    def create(*given: Any) -> VirtualTable:
        from .text import HnswText

        return HnswText.create(*arguments(*given))

    def connect(*given: Any) -> VirtualTable:
        from .text import HnswText

        return HnswText(*arguments(*given))

    return Module(TEXT, Deferring, create, connect, help=TEXT_HELP, shadow=TEXT_SHADOW)
