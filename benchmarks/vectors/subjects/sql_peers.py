"""Other extensions of SQLite."""

from __future__ import annotations

from typing import Any

from benchmarks.vectors.subjects import EF_CONSTRUCTION, M
from benchmarks.vectors.subjects.sql import SqlSubject


class Vectorlite(SqlSubject):
    """vectorlite 0.2: hnswlib behind SQL. Its index reaches the file when the connection closes."""

    nearest = "SELECT rowid, distance FROM v WHERE knn_search(vector, knn_param(:q, :k))"
    nearest_with_ef = (
        "SELECT rowid, distance FROM v WHERE knn_search(vector, knn_param(:q, :k, :ef))"
    )

    @property
    def create(self) -> str:  # type: ignore[override]
        graph = f"hnsw(max_elements={self.room}, ef_construction={EF_CONSTRUCTION}, M={M})"
        return (
            "CREATE VIRTUAL TABLE v USING "
            f"vectorlite(vector float32[384] cosine, {graph}, '{self.path}.index')"
        )

    def build(self, vectors: Any) -> None:
        super().build(vectors)
        self.close()
        self.open()


class SqliteVec(SqlSubject):
    """sqlite-vec: no index, every search looks at every vector."""

    create = "CREATE VIRTUAL TABLE v USING vec0(vector float[384] distance_metric=cosine)"
    nearest = "SELECT rowid, distance FROM v WHERE vector MATCH :q AND k = :k"

    def load(self, conn: Any) -> None:
        import sqlite_vec

        conn.enable_load_extension(True)
        sqlite_vec.load(conn)


class SqliteMuninn(SqlSubject):
    """sqlite-muninn 0.6."""

    create = (
        "CREATE VIRTUAL TABLE v USING "
        f"hnsw_index(dimensions=384, metric='cosine', m={M}, ef_construction={EF_CONSTRUCTION})"
    )
    nearest = "SELECT rowid, distance FROM v WHERE vector MATCH :q AND k = :k"
    nearest_with_ef = f"{nearest} AND ef_search = :ef"
