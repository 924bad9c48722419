"""The rows of a vector table, its vectors and its log: all SQL that reads and writes them.

A search reads some ten vectors by id: at 384 dimensions two of them share a page of 4 kB, so each
costs one page, 1.5 us. Whatever is read is checked: the file may come from anywhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import Database, SQLError, quote
from ..blob import FLOAT32, INT64, Ids, Matrix
from ..index.index import Change, Position
from ..options import MOST_DIMENSIONS
from .edges import Edges
from .shadow import CONSTRAINT, ShadowTables
from .shared import Transaction, transactions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ..index.saved import Restored, Saved
    from ..options import GraphOptions
    from .parts import Parts

BLOCK = 2_048  # vectors read at a time: between them a statement can be interrupted
LOG_KEPT = 8192  # log rows kept for other connections to follow; who is further behind reloads
PRUNED_EVERY = 512
LAST_SEQ = 2**62  # near 2**63, SQLite numbers rows at random: a log that says so is damaged


class Storage(ShadowTables):
    """One vector table's tables on one connection.

    It holds nothing of their content, but for the end of the log, with the data version that it
    was read in: a look at that costs a tenth of a statement.
    """

    def __init__(
        self, db: Database, schema: str, table: str, owner: str, dimensions: int | None = None
    ) -> None:
        super().__init__(db, schema, table, owner, dimensions)
        self._position: Position | None = None
        self._version: int | None = None
        self.last_seq = 0
        """The last log row that was written."""

    def call(self, table: str) -> None:
        """The table is called so now: the statements that every search needs are written."""
        super().call(table)
        self._last = f"SELECT seq, tag FROM {self.name('log')} ORDER BY seq DESC LIMIT 1"
        self._one = f"SELECT vector FROM {self.name('nodes')} WHERE id = ?"

    def create(self, config: dict[str, Any], parts: Parts) -> None:
        """Make all tables."""
        super().create(config, parts)
        self.log(None)

    # ---- The log ----

    def position(self) -> Position | None:
        """The end of the log as this statement sees it; None if the log is damaged."""
        version = self.db.data_version(self.schema)
        if version is None or version != self._version:
            self._position = self._read_position()
            self._version = version
        return self._position

    def _read_position(self) -> Position | None:
        rows = self.db.execute(self._last)
        if not rows or not isinstance(rows[0][1], int) or rows[0][0] > LAST_SEQ:
            return None
        return Position(*rows[0])

    def changes(self, first: int, last: int) -> list[Change]:
        """Log rows first..last, in order."""
        rows = self.db.execute(
            f"SELECT seq, tag, id FROM {self.name('log')} WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (first, last),
        )
        return [Change(seq, tag, id_ if isinstance(id_, int) else None) for seq, tag, id_ in rows]

    def log(self, id_: int | None) -> None:
        """Note that `id_` changes in this transaction; None: that anything may have."""
        self.db.execute(
            f"INSERT INTO {self.name('log')}(id, tag) VALUES (?, random())",
            (id_,),
        )
        self.last_seq = self.db.last_insert_rowid
        transactions(self.db).setdefault((self.schema, self.id), Transaction()).wrote = True
        if self.last_seq % PRUNED_EVERY == 0:
            self.prune_log()

    def restart_log(self) -> None:
        """Forget a log that cannot be gone on with."""
        self.db.execute(f"DELETE FROM {self.name('log')}")

    def passed(self, position: Position) -> bool:
        """Whether a position is in this table's log."""
        found = self.changes(position.seq, position.seq)
        return bool(found) and found[0].tag == position.tag

    def prune_log(self) -> None:
        """Forget old log rows, but none that a saved index still needs."""
        position = self.position()
        if position is not None:
            self.prune(max(LOG_KEPT, self.edges.needed_log(position)))

    def prune(self, kept: int) -> None:
        """Forget all but the last `kept` log rows (at least one: it holds the position)."""
        log = self.name("log")
        self.db.execute(
            f"DELETE FROM {log} WHERE seq <= (SELECT max(seq) FROM {log}) - ?", (max(1, kept),)
        )

    # ---- The saved index ----

    @property
    def edges(self) -> Edges:
        """Made when it is asked for: one that is kept would keep the connection alive."""
        return Edges(self)

    def saved(self, dimensions: int, options: GraphOptions) -> Saved | None:
        """What the saved index says of itself, if there is one."""
        return self.edges.saved(dimensions, options)

    def restore(self, saved: Saved, options: GraphOptions, changed: Collection[int]) -> Restored:
        """The saved index without some rows. Raises ValueError where it cannot be believed."""
        return self.edges.restore(saved, options, changed)

    # ---- Reading ----

    def check(self) -> None:
        """Raise where the statement is to stop."""
        self.db.check()

    @property
    def is_analyzed(self) -> bool:
        """Whether ANALYZE was run: SQLite knows how large tables are, and what indexes leave."""
        return self.db.has_table(self.schema, "sqlite_stat1")

    def count(self) -> int:
        """Number of rows."""
        return self.count_of("rows")

    def count_of(self, suffix: str) -> int:
        """Number of rows in one of the tables."""
        return int(self.db.execute(f"SELECT count(*) FROM {self.name(suffix)}")[0][0])

    def usual_size(self) -> int | None:
        """How many numbers most of the stored vectors have; None: there are no vectors."""
        rows = self.db.execute(
            f"SELECT length(vector) / 4 FROM {self.name('nodes')} "
            f"WHERE typeof(vector) = 'blob' AND length(vector) BETWEEN 4 AND {4 * MOST_DIMENSIONS} "
            "GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )
        return rows[0][0] if rows else None

    def ids(self, where: str = "1", parameters: Sequence[Any] = (), count: int = -1) -> Ids:
        """Ids of the first `count` rows (-1: all) that satisfy a condition on v_rows, in order."""
        (ids,) = self.db.columns(
            f"SELECT id FROM {self.name('rows')} WHERE {where} ORDER BY id LIMIT ?",
            (*parameters, count),
            ("integer",),
        )
        return np.asarray(ids, dtype=np.int64)

    def read(self, ids: Ids) -> tuple[Ids, Matrix]:
        """Those of `ids` that have a vector, and their vectors, in the order of `ids`."""
        found, data = self.find(np.asarray(ids, INT64).tobytes())
        matrix: Matrix = np.frombuffer(data, FLOAT32)
        return np.frombuffer(found, INT64), matrix.reshape(-1, self.dimensions)

    def find(self, ids: bytes) -> tuple[bytes, bytes]:
        """The same, ids as int64 and vectors as float32 one behind the other."""
        try:
            return self.db.read_blobs(self._one, ids, self.dimensions * FLOAT32.itemsize)
        except TypeError:
            raise self._wrong_size() from None

    def _wrong_size(self) -> SQLError:
        return self.damaged(f"{self.table}_nodes holds a vector that has not its size")

    def blocks(self, *, whole: bool = False) -> Iterator[tuple[Ids, Matrix]]:
        """All ids and vectors, by id, in blocks.

        With `whole`, those that have not their size are passed over; else they are an error.
        """
        where = self._whole if whole else "1"
        parameters: list[int] = [BLOCK]
        while True:
            try:
                ids, matrix = self.db.columns(
                    f"SELECT id, vector FROM {self.name('nodes')} WHERE {where} "
                    "ORDER BY id LIMIT ?1",
                    parameters,
                    ("integer", f"vector:{self.dimensions}"),
                )
            except TypeError:
                raise self._wrong_size() from None
            if len(ids):
                yield ids, matrix
            if len(ids) < BLOCK:
                return
            if len(parameters) == 1:
                where += " AND id > ?2"
            parameters = [BLOCK, int(ids[-1])]
            self.check()

    @property
    def _whole(self) -> str:
        """The condition on a vector that has its size."""
        size = self.dimensions * FLOAT32.itemsize
        return f"typeof(vector) = 'blob' AND length(vector) = {size}"

    def vector_ids(self, where: str = "1") -> Ids:
        """The ids of all vectors that satisfy a condition, in order."""
        sql = f"SELECT id FROM {self.name('nodes')} WHERE {where} ORDER BY id"
        (ids,) = self.db.columns(sql, (), ("integer",))
        return np.asarray(ids, dtype=np.int64)

    def broken_vectors(self) -> list[int]:
        """The ids of vectors that have not their size, or hold NaN or infinity."""
        broken = self.vector_ids(f"NOT ({self._whole})").tolist()
        for ids, matrix in self.blocks(whole=True):
            broken.extend(ids[~np.isfinite(matrix).all(axis=1)].tolist())
        return sorted(broken)

    def rows(self, ids: Ids, columns: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """What v_rows keeps beside the vectors of `ids`."""
        wanted = ", ".join(["r.id", *(f"r.{quote(c)}" for c in columns)])
        found = self.db.execute(
            f"SELECT {wanted} FROM json_each(?) j "
            f"CROSS JOIN {self.name('rows')} r ON r.id = j.value",
            (json.dumps(ids.tolist()),),
        )
        return {row[0]: row[1:] for row in found}

    # ---- Writing ----

    def insert(self, id_: int | None, vector: bytes, values: dict[str, Any]) -> int:
        """Add a row and return its id. Raises SQLError with code 19 where the id is there."""
        id_ = self.insert_row(id_, values)
        try:
            self.insert_vector(id_, vector)
        except BaseException:
            # In a transaction, SQLite does not undo half of a single-row INSERT for us.
            self.delete_row(id_)
            raise
        self.log(id_)
        return id_

    def insert_row(self, id_: int | None, values: Mapping[str, Any]) -> int:
        """Add a row without a vector. Raises SQLError with code 19 where the id is there."""
        names = ", ".join(["id", *map(quote, values)])
        marks = ", ".join("?" * (len(values) + 1))
        try:
            self.db.execute(
                f"INSERT INTO {self.name('rows')}({names}) VALUES ({marks})",
                (id_, *values.values()),
            )
        except SQLError as error:
            if error.sqlite_errorcode & 0xFF != CONSTRAINT:
                raise
            raise self.duplicate() from None
        return self.db.last_insert_rowid if id_ is None else id_

    def insert_vector(self, id_: int, vector: bytes) -> None:
        """Store the vector of an id that has none, without a log row."""
        try:
            self.db.execute(f"INSERT INTO {self.name('nodes')} VALUES (?, ?)", (id_, vector))
        except SQLError as error:
            if error.sqlite_errorcode & 0xFF != CONSTRAINT:
                raise
            raise self.damaged(f"there is a vector {id_} that no row has") from None

    def insert_vectors(self, ids: Sequence[int], matrix: Matrix) -> None:
        """Store the vectors of ids that have none, without log rows."""
        for id_, vector in zip(ids, np.ascontiguousarray(matrix, FLOAT32), strict=True):
            self.insert_vector(id_, vector.tobytes())

    def has(self, id_: int) -> bool:
        """Whether the row is there."""
        return bool(self.db.execute(f"SELECT 1 FROM {self.name('rows')} WHERE id = ?", (id_,)))

    def replace_vector(self, id_: int, vector: bytes) -> None:
        """Give a row another vector."""
        self.db.execute(f"REPLACE INTO {self.name('nodes')} VALUES (?, ?)", (id_, vector))
        self.log(id_)

    def drop_vector(self, id_: int) -> None:
        """Take a vector away, if it is there."""
        self.db.execute(f"DELETE FROM {self.name('nodes')} WHERE id = ?", (id_,))
        self.log(id_)

    def drop_vectors(self, ids: Iterable[int]) -> None:
        """Take vectors away."""
        for id_ in ids:
            self.drop_vector(id_)

    def set_values(self, id_: int, values: dict[str, Any]) -> None:
        """Change what v_rows keeps beside the vector."""
        if values:
            names = ", ".join(f"{quote(name)} = ?" for name in values)
            self.db.execute(
                f"UPDATE {self.name('rows')} SET {names} WHERE id = ?", (*values.values(), id_)
            )

    def delete(self, id_: int) -> None:
        """Remove a row, if it is there."""
        self.delete_row(id_)
        self.drop_vector(id_)

    def delete_row(self, id_: int) -> None:
        """Remove a row, and leave its vector."""
        self.db.execute(f"DELETE FROM {self.name('rows')} WHERE id = ?", (id_,))
