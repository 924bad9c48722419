"""Our own: through SQL, and its engine alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.vectors.subjects import EF_CONSTRUCTION, M, Subject
from benchmarks.vectors.subjects.sql import SqlSubject


class Ours(SqlSubject):
    """hnsw_index, through SQL."""

    create = (
        "CREATE VIRTUAL TABLE v USING "
        f"hnsw_index(dimensions=384, metric='cosine', m={M}, ef_construction={EF_CONSTRUCTION})"
    )
    nearest = "SELECT rowid, distance FROM v WHERE vector MATCH :q AND k = :k"
    nearest_with_ef = f"{nearest} AND ef_search = :ef"
    join = (
        "SELECT v.rowid, v.distance FROM v JOIN {name} c ON c.id = v.rowid "
        "WHERE v.vector MATCH :q ORDER BY v.distance LIMIT :k"
    )
    threshold = "SELECT rowid, distance FROM v WHERE vector MATCH :q AND distance < :d"
    paged = (
        "SELECT rowid, distance FROM v WHERE vector MATCH :q "
        "ORDER BY distance LIMIT :k OFFSET :offset"
    )

    def load(self, conn: Any) -> None:
        import sqlite_utils_muninn
        from sqlite_utils_muninn.settings import Host

        sqlite_utils_muninn.load(conn, Host(threads=1))

    def load_code(self) -> None:
        """All modules are imported on first use: use them."""
        conn = self.connect(":memory:")
        conn.execute(self.create)
        query = np.ones(384, np.float32).tobytes()
        conn.execute("INSERT INTO v(rowid, vector) VALUES (1, ?)", (query,))
        conn.execute(self.nearest, {"q": query, "k": 1}).fetchall()
        conn.close()

    def build(self, vectors: Any) -> None:
        """A large load ends with 'optimize', as the manual says: all is linked, and saved."""
        self.open()
        self.conn.execute(self.create)
        self.insert_all(range(1, len(vectors) + 1), vectors)
        self.conn.execute("INSERT INTO v(v) VALUES ('optimize')")
        self.settle()

    def settle(self) -> None:
        from sqlite_utils_muninn.vectors.index import building

        self.search(np.ones(384, np.float32), 1, None)
        for index in self._indexes():
            building.wait(index)

    def _indexes(self) -> list[Any]:
        from sqlite_utils_muninn.bridge import attach
        from sqlite_utils_muninn.vectors.storage.shared import connection

        return list(connection(attach(self.conn)).indexes.values())

    def memory(self) -> int | None:
        return int(sum(index.bytes for index in self._indexes()))


class Engine(Subject):
    """The neighbour graph that hnsw_index uses, called on arrays: what SQL is measured against.

    Its candidates are put in order with the vectors in memory, as they are in SQL with those of
    the file: without that it would not have the same recall.
    """

    def build(self, vectors: Any) -> None:
        from sqlite_utils_muninn.vectors.index.engine import Graph, shape_for
        from sqlite_utils_muninn.vectors.options import COSINE, GraphOptions

        self.vectors = vectors
        options = GraphOptions(COSINE, M, EF_CONSTRUCTION)
        self.graph = Graph(384, options, shape_for(vectors[:2_048], COSINE))
        self.graph.add(np.arange(1, len(vectors) + 1), vectors)
        self.graph.link(len(vectors))

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        found = self.graph.search(query.tobytes(), k, ef)
        assert found is not None
        ids = np.frombuffer(found, "<i8")
        order = np.argsort(-(self.vectors[ids - 1] @ query))[:k]
        ranked: list[int] = ids[order].tolist()
        return ranked

    def memory(self) -> int | None:
        return int(self.graph.bytes)
