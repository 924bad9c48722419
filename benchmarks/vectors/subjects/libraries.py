"""Libraries that are called on arrays: no SQL, no transactions, one file that is written whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.vectors.subjects import EF_CONSTRUCTION, M, Subject


class Usearch(Subject):
    """usearch, float16: normalized vectors and inner products, its fastest at equal recall."""

    def load_code(self) -> None:
        self._index()

    def _index(self) -> Any:
        from usearch.index import Index

        return Index(
            ndim=384, metric="ip", dtype="f16", connectivity=M, expansion_add=EF_CONSTRUCTION
        )

    def build(self, vectors: Any) -> None:
        self.index = self._index()
        self.default = self.index.expansion_search
        self.index.add(np.arange(1, len(vectors) + 1), vectors, threads=1)
        self.index.save(str(self.path))

    def open(self) -> None:
        self.index = self._index()
        self.default = self.index.expansion_search
        self.index.load(str(self.path))

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        self.index.expansion_search = ef or self.default
        found: list[int] = self.index.search(query, k, threads=1).keys.tolist()
        return found

    def insert(self, id_: int, vector: Any) -> None:
        self.index.add(id_, vector, threads=1)

    def insert_all(self, ids: range, vectors: Any) -> None:
        self.index.add(np.array(ids), vectors, threads=1)

    def delete(self, id_: int) -> None:
        self.index.remove(id_)

    def memory(self) -> int | None:
        return int(self.index.memory_usage)


class Hnswlib(Subject):
    """hnswlib, float32."""

    def load_code(self) -> None:
        import hnswlib  # noqa: F401

    def build(self, vectors: Any) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", 384)
        self.index.init_index(self.room, ef_construction=EF_CONSTRUCTION, M=M)
        self.insert_all(range(1, len(vectors) + 1), vectors)
        self.index.save_index(str(self.path))

    def open(self) -> None:
        import hnswlib

        self.index = hnswlib.Index("ip", 384)
        self.index.load_index(str(self.path), max_elements=self.room)

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        self.index.set_ef(max(ef or 10, k))  # 10 is its own
        found: list[int] = self.index.knn_query(query, k, num_threads=1)[0][0].tolist()
        return found

    def insert(self, id_: int, vector: Any) -> None:
        self.index.add_items(vector, np.array([id_]), num_threads=1)

    def insert_all(self, ids: range, vectors: Any) -> None:
        self.index.add_items(vectors, np.array(ids), num_threads=1)

    def delete(self, id_: int) -> None:
        self.index.mark_deleted(id_)


class Faiss(Subject):
    """faiss-cpu's HNSW, float32. It cannot remove a vector."""

    def load_code(self) -> None:
        self._threads()

    def _threads(self) -> Any:
        import faiss

        faiss.omp_set_num_threads(1)
        return faiss

    def build(self, vectors: Any) -> None:
        faiss = self._threads()
        self.index = faiss.IndexHNSWFlat(384, M, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.default = self.index.hnsw.efSearch
        self.index.add(np.asarray(vectors))
        faiss.write_index(self.index, str(self.path))

    def open(self) -> None:
        self.index = self._threads().read_index(str(self.path))
        self.default = self.index.hnsw.efSearch

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        self.index.hnsw.efSearch = ef or self.default
        found: list[int] = (self.index.search(query[None, :], k)[1][0] + 1).tolist()
        return found

    def insert(self, id_: int, vector: Any) -> None:
        self.index.add(vector[None, :])

    def insert_all(self, ids: range, vectors: Any) -> None:
        self.index.add(vectors)

    def choose(self, name: str, ids: Any) -> None:
        self.chosen = {**getattr(self, "chosen", {}), name: np.asarray(ids) - 1}

    def among(self, name: str, query: Any, k: int) -> list[int]:
        faiss = self._threads()
        chosen = faiss.IDSelectorBatch(self.chosen[name])
        wanted = faiss.SearchParametersHNSW(sel=chosen, efSearch=self.default)
        found = self.index.search(query[None, :], k, params=wanted)[1][0]
        return [id_ + 1 for id_ in found.tolist() if id_ >= 0]
