"""The two halves of a search by meaning, for those who must not do both on one thread.

A server embeds the query where it holds up nobody, and asks the database with the vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import embedder
from .embedder import Models, fingerprint_of
from .similar import matches

if TYPE_CHECKING:
    from ..bridge import Database
    from ..settings import Host
    from .embedder import Fingerprint
    from .similar import Match
    from .tables import VectorTable

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
