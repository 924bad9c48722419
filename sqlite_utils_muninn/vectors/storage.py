"""The tables behind a vector table, and all SQL that reads and writes them.

    v_config     key, value; `id` never changes, whatever the table is called
    v_nodes      one row for each row of v: its id and what else is kept beside the vector
    v_log        (seq, id, tag), one row for each change, see index.py
    v_edges      the saved index, see saved.py
    _muninn_<id> the vectors, in a sqlite-vec vec0 table

Vectors are written through vec0, which keeps 8 of them in a blob, and read from its own tables
directly: 2 us a vector instead of 3 to 12, 1 us in bulk, and sqlite-vec need not be loaded to read.
Whatever is read is checked: the file may come from anywhere.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bridge import Database, SQLError, quote
from .blob import FLOAT32, Ids, Matrix
from .index import Change, Position, followed
from .options import MOST_DIMENSIONS, TEXT
from .saved import claim, restore
from .shared import Transaction, transactions
from .sqlite_vec import load_sqlite_vec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .index import Index
    from .options import Column, GraphOptions
    from .saved import Saved

FORMAT = "1"

# Vectors in one blob of vec0. A point read reads a whole blob: at 384 dimensions 28 of them cost
# 110 us with 8, 310 us with 32; the file grows by 3 %, an insert by a third (to 33 us).
CHUNK = 8
CHUNKS = (8, 32)  # 32: tables made before
BLOCK = 256  # chunks read at a time: between them a statement can be interrupted
LOG_KEPT = 8192  # log rows kept for other connections to follow; who is further behind reloads
PRUNED_EVERY = 512

# SQLITE_INTERRUPT, SQLITE_CONSTRAINT, SQLITE_CORRUPT_VTAB
INTERRUPT, CONSTRAINT, CORRUPT = 9, 19, 267


class Storage:
    """One vector table's tables on one connection. It holds nothing of their content."""

    def __init__(
        self, db: Database, schema: str, table: str, owner: str, dimensions: int | None = None
    ) -> None:
        self.texts = owner == TEXT  # rows have a hash, and none is a row without a vector
        self.db = db
        self.schema = schema
        self.table = table
        self.owner = owner
        self._dimensions = dimensions
        self._id: str | None = None
        self._finding: tuple[str, tuple[str, str, str]] | None = None
        self._named: str | None = None
        self._last = ""
        self.last_seq = 0
        """The last log row that was written."""

    # ---- Names ----

    def name(self, suffix: str) -> str:
        """Quoted name of a shadow table."""
        return f"{quote(self.schema)}.{quote(f'{self.table}_{suffix}')}"

    def vectors(self, suffix: str = "") -> str:
        """Quoted name of the vec0 table, or of one of its own tables."""
        return f"{quote(self.schema)}.{quote(f'_muninn_{self.id}{suffix}')}"

    @property
    def id(self) -> str:
        """What names the vec0 table and the shared index. Read once, it cannot change."""
        if self._id is None:
            self._id = self._read_id()
        return self._id

    @property
    def dimensions(self) -> int:
        """Length of a vector: what the CREATE statement says, else what the config does."""
        if self._dimensions is None:
            size = self.config().get("dimensions")
            if not isinstance(size, int) or not 0 < size <= MOST_DIMENSIONS:
                raise self.damaged(f"{self.table}_config has no valid dimensions")
            self._dimensions = size
        return self._dimensions

    @dimensions.setter
    def dimensions(self, size: int) -> None:
        self._dimensions = size

    @property
    def known_id(self) -> str | None:
        """The id if it has been read, without a look at the file."""
        return self._id

    def _read_id(self) -> str:
        id_ = self.config().get("id")
        if not isinstance(id_, str) or not re.fullmatch("[0-9a-f]{16}", id_):
            raise self.damaged(f"{self.table}_config has no valid id")
        return id_

    def damaged(self, what: str) -> SQLError:
        """The error for content that no version of this program writes."""
        return SQLError(
            f"{self.owner}: table {self.table!r} is damaged: {what}; "
            f"INSERT INTO {quote(self.table)}({quote(self.table)}) VALUES ('rebuild') may mend it",
            CORRUPT,
        )

    def duplicate(self) -> SQLError:
        """Return the error for a rowid that is taken."""
        return SQLError(f"UNIQUE constraint failed: {self.table}.rowid", CONSTRAINT)

    # ---- Making and removing ----

    def create(self, config: dict[str, Any], columns: Sequence[Column]) -> None:
        """Make all tables."""
        load_sqlite_vec(self.db)
        extra = "".join(f", {quote(c.name)} {c.type}" for c in columns)
        self.db.execute(f"CREATE TABLE {self.name('config')}(key TEXT PRIMARY KEY, value)")
        self.db.execute(f"CREATE TABLE {self.name('nodes')}(id INTEGER PRIMARY KEY{extra})")
        self.db.execute(f"CREATE TABLE {self.name('edges')}(id INTEGER PRIMARY KEY, data BLOB)")
        self.db.execute(
            f"CREATE TABLE {self.name('log')}"
            "(seq INTEGER PRIMARY KEY, id INTEGER, tag INTEGER NOT NULL)"
        )
        self._id = secrets.token_hex(8)
        for key, value in {"format": FORMAT, "id": self._id, **config}.items():
            self.set_config(key, value)
        self.create_vectors()
        self.log(None)

    def create_vectors(self) -> None:
        """Make the vec0 table."""
        load_sqlite_vec(self.db)
        self.db.execute(
            f"CREATE VIRTUAL TABLE {self.vectors()} "
            f"USING vec0(vector float[{self.dimensions}], chunk_size={CHUNK})"
        )

    def drop_vectors(self) -> None:
        """Remove the vec0 table, if it is there."""
        load_sqlite_vec(self.db)
        self.db.execute(f"DROP TABLE IF EXISTS {self.vectors()}")

    def clear_vectors(self) -> None:
        """Empty the vec0 table.

        DROP is not possible while a statement runs, and DELETE would trust what may be damaged.
        vec0 keeps nothing of its tables in memory.
        """
        for suffix in ("_chunks", "_rowids", "_vector_chunks00"):
            self.db.execute(f"DELETE FROM {self.vectors(suffix)}")

    def drop(self, suffixes: Sequence[str]) -> None:
        """Remove all tables, as far as they are there."""
        try:
            self.drop_vectors()
        except SQLError as error:
            # A table whose config is gone must still be droppable.
            if error.sqlite_errorcode != CORRUPT and "no such table" not in str(error):
                raise
        for suffix in suffixes:
            self.db.execute(f"DROP TABLE IF EXISTS {self.name(suffix)}")

    def rename(self, table: str, suffixes: Sequence[str]) -> None:
        """Follow the virtual table to its new name; the vec0 table keeps its own."""
        for suffix in suffixes:
            new = quote(f"{table}_{suffix}")
            self.db.execute(f"ALTER TABLE {self.name(suffix)} RENAME TO {new}")
        self.table = table

    # ---- Config ----

    def config(self) -> dict[str, Any]:
        """All settings of the table."""
        return dict(self.db.execute(f"SELECT key, value FROM {self.name('config')}"))

    def set_config(self, key: str, value: Any) -> None:
        """Write one setting."""
        self.db.execute(f"REPLACE INTO {self.name('config')} VALUES (?, ?)", (key, value))

    # ---- The log ----

    def position(self) -> Position | None:
        """The end of the log as this statement sees it; None if the log is damaged."""
        if self._named != self.table:  # it may have been renamed
            self._named = self.table
            self._last = f"SELECT seq, tag FROM {self.name('log')} ORDER BY seq DESC LIMIT 1"
        rows = self.db.execute(self._last)
        if not rows or not isinstance(rows[0][1], int):
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

    def passed(self, position: Position) -> bool:
        """Whether a position is in this table's log."""
        found = self.changes(position.seq, position.seq)
        return bool(found) and found[0].tag == position.tag

    def prune_log(self) -> None:
        """Forget old log rows, but none that a saved index still needs."""
        position = self.position()
        if position is None:
            return
        saved = claim(self._saved_head())
        needed = position.seq - saved.seq + 1 if saved else 0
        useless = saved is None or needed > followed(saved.nodes)
        self.prune(LOG_KEPT if useless else max(LOG_KEPT, needed))

    def prune(self, kept: int) -> None:
        """Forget all but the last `kept` log rows (at least one: it holds the position)."""
        log = self.name("log")
        self.db.execute(
            f"DELETE FROM {log} WHERE seq <= (SELECT max(seq) FROM {log}) - ?", (max(1, kept),)
        )

    # ---- The saved index ----

    def save(self, rows: Sequence[bytes]) -> None:
        """Write the saved index anew; no rows: there is none."""
        self.db.execute(f"DELETE FROM {self.name('edges')}")
        for number, row in enumerate(rows):
            self.db.execute(f"INSERT INTO {self.name('edges')} VALUES (?, ?)", (number, row))

    def has_saved(self, index: Index) -> bool:
        """Whether the saved index says that it is this one, as it stands."""
        head, core = claim(self._saved_head()), index.graph.core
        if head is None or index.position is None:
            return False
        there = (head.seq, head.tag, head.nodes, head.linked)
        return there == (*index.position, core.nodes, core.linked)

    def saved(self, dimensions: int, options: GraphOptions) -> Saved | None:
        """The saved index, if there is one that is whole."""
        head = self._saved_head()
        try:
            return None if head is None else self._restore(head, dimensions, options)
        except ValueError:  # the vectors are the truth
            return None

    def checked_saved(self, options: GraphOptions) -> Saved | None:
        """The saved index; None: there is none. Raises ValueError where it is damaged."""
        (count,) = self.db.execute(f"SELECT count(*) FROM {self.name('edges')}")[0]
        return self._restore(self._saved_head(), self.dimensions, options) if count else None

    def since_saved(self) -> int | None:
        """Changes since the index was saved; None: it is not, or not in this history."""
        head, position = claim(self._saved_head()), self.position()
        if head is None or position is None or not self.passed(Position(head.seq, head.tag)):
            return None
        return position.seq - head.seq

    def _saved_head(self) -> object:
        rows = self.db.execute(f"SELECT data FROM {self.name('edges')} WHERE id = 0")
        return rows[0][0] if rows else None

    def _restore(self, head: object, dimensions: int, options: GraphOptions) -> Saved:
        edges = self.name("edges")
        (numbers, size) = self.db.execute(
            f"SELECT count(*), coalesce(sum(length(data)), 0) FROM {edges} WHERE id <> 0"
        )[0]

        def pages() -> Iterator[object]:
            for number in range(1, numbers + 1):
                rows = self.db.execute(f"SELECT data FROM {edges} WHERE id = ?", (number,))
                yield rows[0][0] if rows else None
                self.check()

        return restore(head, pages, size, dimensions, options)

    @property
    def is_analyzed(self) -> bool:
        """Whether ANALYZE was run: SQLite knows how large tables are, and what indexes leave."""
        return self.db.has_table(self.schema, "sqlite_stat1")

    # ---- Reading ----

    def check(self) -> None:
        """Raise where the statement is to stop."""
        self.db.check()

    def count(self) -> int:
        """Number of rows."""
        return int(self.db.execute(f"SELECT count(*) FROM {self.name('nodes')}")[0][0])

    def ids(self, where: str = "1", parameters: Sequence[Any] = (), count: int = -1) -> Ids:
        """Ids of the first `count` rows (-1: all) that satisfy a condition on v_nodes, in order."""
        (ids,) = self.db.columns(
            f"SELECT id FROM {self.name('nodes')} WHERE {where} ORDER BY id LIMIT ?",
            (*parameters, count),
            ("integer",),
        )
        return np.asarray(ids, dtype=np.int64)

    def read(self, ids: Ids) -> tuple[Ids, Matrix]:
        """Those of `ids` that have a vector, and their vectors, in no particular order."""
        try:
            return self._read(ids)
        except SQLError as error:
            if error.sqlite_errorcode & 0xFF == INTERRUPT:
                raise
            return self._read_slowly(ids)

    def _read(self, ids: Ids) -> tuple[Ids, Matrix]:
        if self._finding is None:
            self._finding = (
                f"SELECT chunk_id, chunk_offset FROM {self.vectors('_rowids')} WHERE rowid = ?",
                (self.schema, f"_muninn_{self.id}_vector_chunks00", "vectors"),
            )
        sql, blobs = self._finding
        found, data = self.db.slices(sql, ids, blobs, self.dimensions * FLOAT32.itemsize)
        matrix: Matrix = np.frombuffer(data, FLOAT32)
        return found, matrix.reshape(len(found), self.dimensions)

    def _read_slowly(self, ids: Ids) -> tuple[Ids, Matrix]:
        """Read what is there of a damaged table, or say what is wrong with it."""
        size = self.dimensions * FLOAT32.itemsize
        try:
            found, matrix = self.db.columns(
                f"SELECT r.rowid, substr(v.vectors, r.chunk_offset * {size} + 1, {size}) "
                f"FROM json_each(?) j CROSS JOIN {self.vectors('_rowids')} r ON r.rowid = j.value "
                f"CROSS JOIN {self.vectors('_vector_chunks00')} v ON v._rowid_ = r.chunk_id",
                (json.dumps(ids.tolist()),),
                ("integer", f"vector:{self.dimensions}"),
            )
        except TypeError as error:
            raise self.damaged(f"a vector has not its size ({error})") from None
        return np.asarray(found, np.int64), np.asarray(matrix, np.float32)

    def blocks(self) -> Iterator[tuple[Ids, Matrix]]:
        """All ids and vectors, in blocks of up to 2,048."""
        last = -(2**63)
        while True:
            rows = self._chunks("c.chunk_id > ? ORDER BY c.chunk_id LIMIT ?", (last, BLOCK))
            if rows:
                yield self._decode(rows)
                last = rows[-1][0]
            if len(rows) < BLOCK:
                return
            self.check()

    def chunk(self, number: int) -> tuple[Ids, Matrix] | None:
        """The ids and vectors of one chunk; None if it cannot be read."""
        rows = self._chunks("c.chunk_id = ?", (number,))
        return self._decode(rows) if rows and self._misfit(rows) is None else None

    def offsets(self, number: int) -> list[int]:
        """The places in a chunk that hold a vector."""
        (row,) = self._chunks("c.chunk_id = ?", (number,))
        return [int(i) for i in np.flatnonzero(_bits([row]))]

    def _chunks(self, where: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self.db.execute(
            "SELECT c.chunk_id, c.rowids, c.validity, v.vectors "
            f"FROM {self.vectors('_chunks')} c "
            f"LEFT JOIN {self.vectors('_vector_chunks00')} v ON v._rowid_ = c.chunk_id "
            f"WHERE {where}",
            parameters,
        )

    def _misfit(self, rows: Sequence[tuple[Any, ...]]) -> int | None:
        """The first chunk whose blobs have not the size that they must have."""
        vector = self.dimensions * FLOAT32.itemsize
        possible = [(8 * places, places // 8, vector * places) for places in CHUNKS]
        for chunk, *blobs in rows:
            if not all(isinstance(blob, bytes) for blob in blobs):
                return int(chunk)
            if tuple(map(len, blobs)) not in possible:
                return int(chunk)
        return None

    def _decode(self, rows: Sequence[tuple[Any, ...]]) -> tuple[Ids, Matrix]:
        misfit = self._misfit(rows)
        if misfit is not None:
            raise self.damaged(f"chunk {misfit} has not its size")
        ids = np.frombuffer(b"".join(row[1] for row in rows), dtype="<i8")
        matrix = np.frombuffer(b"".join(row[3] for row in rows), dtype=FLOAT32)
        matrix = matrix.reshape(-1, self.dimensions)
        valid = _bits(rows)
        return (ids, matrix) if valid.all() else (ids[valid], matrix[valid])

    def rows(self, ids: Ids, columns: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """What v_nodes keeps beside the vectors of `ids`."""
        wanted = ", ".join(["n.id", *(f"n.{quote(c)}" for c in columns)])
        found = self.db.execute(
            f"SELECT {wanted} FROM json_each(?) j "
            f"CROSS JOIN {self.name('nodes')} n ON n.id = j.value",
            (json.dumps(ids.tolist()),),
        )
        return {row[0]: row[1:] for row in found}

    # ---- Writing ----

    def insert(self, id_: int | None, vector: bytes | None, values: dict[str, Any]) -> int:
        """Add a row and return its id. Raises SQLError with code 19 where the id is there."""
        load_sqlite_vec(self.db)
        id_ = self._insert_node(id_, values)
        if vector is not None:
            try:
                self.insert_vector(id_, vector)
            except BaseException:
                # In a transaction, SQLite does not undo half of a single-row INSERT for us.
                self.db.execute(f"DELETE FROM {self.name('nodes')} WHERE id = ?", (id_,))
                raise
        self.log(id_)
        return id_

    def _insert_node(self, id_: int | None, values: dict[str, Any]) -> int:
        names = ", ".join(["id", *map(quote, values)])
        marks = ", ".join("?" * (len(values) + 1))
        try:
            self.db.execute(
                f"INSERT INTO {self.name('nodes')}({names}) VALUES ({marks})",
                (id_, *values.values()),
            )
        except SQLError as error:
            if error.sqlite_errorcode & 0xFF != CONSTRAINT:
                raise
            raise self.duplicate() from None
        return self.db.last_insert_rowid if id_ is None else id_

    def insert_vector(self, id_: int, vector: bytes) -> None:
        """Store one vector, without a log row."""
        load_sqlite_vec(self.db)
        self.db.execute(f"INSERT INTO {self.vectors()}(rowid, vector) VALUES (?, ?)", (id_, vector))

    def has(self, id_: int) -> bool:
        """Whether the row is there."""
        return bool(self.db.execute(f"SELECT 1 FROM {self.name('nodes')} WHERE id = ?", (id_,)))

    def has_vector(self, id_: int) -> bool:
        """Whether the row has a vector."""
        rowids = self.vectors("_rowids")
        return bool(self.db.execute(f"SELECT 1 FROM {rowids} WHERE rowid = ?", (id_,)))

    def set_vector(self, id_: int, vector: bytes | None) -> None:
        """Give a row another vector, or none."""
        load_sqlite_vec(self.db)
        if not self.has_vector(id_):
            if vector is not None:
                self.insert_vector(id_, vector)
        elif vector is None:
            self.db.execute(f"DELETE FROM {self.vectors()} WHERE rowid = ?", (id_,))
        else:
            self.db.execute(
                f"UPDATE {self.vectors()} SET vector = ? WHERE rowid = ?", (vector, id_)
            )
        self.log(id_)

    def set_values(self, id_: int, values: dict[str, Any]) -> None:
        """Change what v_nodes keeps beside the vector."""
        if values:
            names = ", ".join(f"{quote(name)} = ?" for name in values)
            self.db.execute(
                f"UPDATE {self.name('nodes')} SET {names} WHERE id = ?", (*values.values(), id_)
            )

    def delete(self, id_: int) -> None:
        """Remove a row, if it is there."""
        load_sqlite_vec(self.db)
        self.db.execute(f"DELETE FROM {self.vectors()} WHERE rowid = ?", (id_,))
        self.db.execute(f"DELETE FROM {self.name('nodes')} WHERE id = ?", (id_,))
        self.log(id_)


def _bits(rows: Sequence[tuple[Any, ...]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which places of some chunks hold a vector."""
    packed = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.uint8)
    return np.unpackbits(packed, bitorder="little").astype(np.bool_)
