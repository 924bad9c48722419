"""The two halves of a search by meaning, for those who must not do both on one thread.

A server embeds the query where it holds up nobody, and asks the database with the vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .similar import matches
from .texts import embedder
from .texts.embedder import Models, fingerprint_of

if TYPE_CHECKING:
    from ..bridge import Database
    from ..settings import Host
    from .match import Match
    from .storage.schema import VectorTable
    from .texts.embedder import Fingerprint

__all__ = ["fingerprint_of", "nearest", "query_vector"]


def query_vector(db: Database, host: Host, table: str, mark: Fingerprint, query: str) -> bytes:
    """Embed a query as a table wants it: float32, as many as the table has dimensions.

    ``db`` may be the handle of any connection, one in memory too. Raises ValueError where the
    table's model is not here.
    """
    vector = embedder.find(db, Models(host), table, mark).query(query)
    return np.ascontiguousarray(vector, "<f4").tobytes()


def nearest(conn: Any, table: VectorTable, vector: bytes, n: int) -> list[Match]:
    """Return the ``n`` rows nearest to a vector, nearest first."""
    return matches(conn, table, "vector", vector, n)
