"""What subjects that are asked in SQL have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.vectors.subjects import Subject

if TYPE_CHECKING:
    from pathlib import Path


class SqlSubject(Subject):
    """A virtual table v; all have the same journal, so that they wait for the disk alike."""

    create = ""
    nearest = ""
    """Asks for :k nearest of :q."""
    nearest_with_ef = ""
    join = ""
    """With {name}, a table of the ids that qualify."""
    threshold = ""
    paged = ""

    def load_code(self) -> None:
        self.connect(":memory:").close()

    def connect(self, path: Path | str) -> Any:
        from pysqlite3 import dbapi2 as sqlite

        conn = sqlite.connect(path, isolation_level=None)
        conn.execute("PRAGMA journal_mode = wal")
        conn.execute("PRAGMA synchronous = normal")
        self.load(conn)
        return conn

    def load(self, conn: Any) -> None:
        """Put the extension on a connection."""
        assert self.library
        conn.enable_load_extension(True)
        conn.load_extension(self.library.removesuffix(".so"))

    def open(self) -> None:
        self.conn = self.connect(self.path)

    def build(self, vectors: Any) -> None:
        self.open()
        self.conn.execute(self.create)
        self.insert_all(range(1, len(vectors) + 1), vectors)
        self.settle()

    def insert_all(self, ids: range, vectors: Any) -> None:
        rows = ((id_, vector.tobytes()) for id_, vector in zip(ids, vectors, strict=True))
        self.conn.execute("BEGIN")
        self.conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)", rows)
        self.conn.execute("COMMIT")

    def insert(self, id_: int, vector: Any) -> None:
        self.conn.execute("INSERT INTO v(rowid, vector) VALUES (?, ?)", (id_, vector.tobytes()))

    def delete(self, id_: int) -> None:
        self.conn.execute("DELETE FROM v WHERE rowid = ?", (id_,))

    def search(self, query: Any, k: int, ef: int | None) -> list[int]:
        sql = self.nearest if ef is None else self.nearest_with_ef
        return self._ids(sql, {"q": query.tobytes(), "k": k, "ef": ef})

    def choose(self, name: str, ids: Any) -> None:
        self.conn.execute(f"CREATE TEMP TABLE {name} (id INTEGER PRIMARY KEY)")
        self.conn.execute("BEGIN")
        rows = ((id_,) for id_ in ids.tolist())
        self.conn.executemany(f"INSERT INTO {name} VALUES (?)", rows)
        self.conn.execute("COMMIT")

    def among(self, name: str, query: Any, k: int) -> list[int]:
        sql = f"{self.nearest} AND rowid IN (SELECT id FROM {name})"
        return self._ids(sql, {"q": query.tobytes(), "k": k})

    def joined(self, name: str, query: Any, k: int) -> list[int]:
        return self._ids(self.join.format(name=name), {"q": query.tobytes(), "k": k})

    def within(self, query: Any, distance: float) -> list[int]:
        return self._ids(self.threshold, {"q": query.tobytes(), "d": distance})

    def page(self, query: Any, k: int, offset: int) -> list[int]:
        return self._ids(self.paged, {"q": query.tobytes(), "k": k, "offset": offset})

    def _ids(self, sql: str, parameters: dict[str, Any]) -> list[int]:
        if not sql:
            raise NotImplementedError
        return [row[0] for row in self.conn.execute(sql, parameters).fetchall()]

    def files(self) -> int:
        self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return super().files()

    def close(self) -> None:
        self.conn.close()
