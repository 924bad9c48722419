"""vec0 tables of sqlite-vec 0.1: float vectors, with their metadata, partition and other columns.

t_chunks             chunk_id, validity (a bit for each place), rowids (int64), partition00...
t_vector_chunks00    the vectors of a chunk in one blob, one table for each vector column
t_metadatachunks00   the values of a chunk: int64, float64, a bit, or 16 bytes for a text:
its length and its first 12 bytes; longer ones are in t_metadatatext00
t_auxiliary          rowid, value00, ...
t_rowids             rowid, id (a primary key of text)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import quote
from ..options import COSINE, L2, MOST_DIMENSIONS, Column
from ..storage.schema import module_of
from .origin import Origin, Row, free_name, prefix_of, tables
from .vec0_declaration import Declaration, VectorColumn, declaration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TYPES = {"text": "TEXT", "float": "REAL", "double": "REAL", "f64": "REAL", "blob": "BLOB"}
_METRICS = {"l2": L2, "cosine": COSINE}
_INLINE = 12  # bytes of a text that are in its 16


def origin(conn: Any, table: str, column: str | None = None, metric: str | None = None) -> Origin:
    """Describe a table, with one of its columns of vectors.

    Raises ValueError where it is no vec0 table, cannot be read, or a choice is needed.
    """
    there = tables(conn)
    virtual = [name for name, sql in there.items() if module_of(sql) == "vec0"]
    if table not in virtual:
        known = f"there are {', '.join(virtual)}" if virtual else "the file has none"
        raise ValueError(f"{table!r} is no vec0 table: {known}")
    prefix = prefix_of(there, table, ("_rowids", "_chunks", "_info"))
    found = declaration(there[table])
    if prefix is None or found is None:
        raise ValueError(f"the vec0 table {table!r} is not as sqlite-vec 0.1 makes them")
    chosen = _chosen(table, found, column)
    metric = metric or _METRICS.get(chosen.metric)
    if metric is None:
        raise ValueError(
            f"column {chosen.name!r} has the metric {chosen.metric!r}, which is not known here: "
            "choose another one with --metric"
        )
    ((count,),) = conn.execute(f"SELECT count(*) FROM {quote(f'{prefix}_rowids')}")
    reader = _Reader(conn, prefix, found, chosen)
    return Origin(table, chosen.dimensions, metric, reader.columns(), count, reader.blocks)


def _chosen(table: str, found: Declaration, column: str | None) -> VectorColumn:
    floats = [each for each in found.vectors if each.is_float]
    named = [each for each in floats if column in (None, each.name)]
    if len(named) != 1:
        names = ", ".join(each.name for each in floats) or "none"
        wanted = "choose one with --column" if column is None else f"not {column!r}"
        raise ValueError(f"columns of {table!r} that hold float vectors: {names}; {wanted}")
    if not 0 < named[0].dimensions <= MOST_DIMENSIONS:
        raise ValueError(f"column {named[0].name!r} cannot have {named[0].dimensions} dimensions")
    return named[0]


def _type(kind: str) -> str:
    return _TYPES.get(kind, "INTEGER")


@dataclass(frozen=True)
class _Reader:
    conn: Any
    prefix: str
    found: Declaration
    vector: VectorColumn

    def columns(self) -> tuple[Column, ...]:
        """The metadata columns that the new table gets."""
        key = [(self.found.text_key, "text")] if self.found.text_key else []
        found = self.found
        named = [*key, *found.partitions, *found.metadata, *found.auxiliary]
        return tuple(Column(free_name(name), _type(kind)) for name, kind in named)

    def name(self, suffix: str) -> str:
        return quote(f"{self.prefix}_{suffix}")

    def blocks(self) -> Iterator[list[Row]]:
        """The rows of one chunk after the other."""
        partitions = "".join(f", partition{i:02}" for i in range(len(self.found.partitions)))
        sql = f"SELECT chunk_id, validity, rowids{partitions} FROM {self.name('chunks')}"
        chunk = self.conn.execute(f"{sql} ORDER BY chunk_id LIMIT 1").fetchone()
        while chunk:
            yield self._rows(chunk[0], chunk[1], chunk[2], chunk[3:])
            after = f"{sql} WHERE chunk_id > ? ORDER BY chunk_id LIMIT 1"
            chunk = self.conn.execute(after, (chunk[0],)).fetchone()

    def _rows(
        self, chunk: int, validity: bytes, rowids: bytes, partition: tuple[Any, ...]
    ) -> list[Row]:
        if not isinstance(rowids, bytes) or not isinstance(validity, bytes):
            raise self._damaged(chunk)
        places, size = len(rowids) // 8, 4 * self.vector.dimensions
        if len(rowids) % 8 or 8 * len(validity) < places:
            raise self._damaged(chunk)
        vectors = self._blob(
            f"vector_chunks{self.vector.number:02}", chunk, "vectors", size * places
        )
        ids = np.frombuffer(rowids, "<i8").tolist()
        bits = np.unpackbits(np.frombuffer(validity, np.uint8), bitorder="little")
        held = {place: ids[place] for place in range(places) if bits[place]}
        metadata = [
            self._metadata(number, kind, chunk, held, places)
            for number, (_, kind) in enumerate(self.found.metadata)
        ]
        key = ["id"] if self.found.text_key else []
        keys = self._values("rowids", key, ids)
        values = [f"value{i:02}" for i in range(len(self.found.auxiliary))]
        auxiliary = self._values("auxiliary", values, ids)
        nothing = (None,) * len(values)
        return [
            Row(
                id_,
                vectors[size * place : size * (place + 1)],
                (
                    *keys.get(id_, (None,) * len(key)),
                    *partition,
                    *(column[place] for column in metadata),
                    *auxiliary.get(id_, nothing),
                ),
            )
            for place, id_ in held.items()
        ]

    def _metadata(
        self, number: int, kind: str, chunk: int, held: Mapping[int, int], places: int
    ) -> Mapping[int, Any] | Sequence[Any]:
        """The values of one metadata column, by place; `held` are the ids by place."""
        table = f"metadatachunks{number:02}"
        if kind.startswith("bool"):
            packed = np.frombuffer(self._blob(table, chunk, "data", places // 8), np.uint8)
            bits: list[int] = np.unpackbits(packed, bitorder="little").tolist()
            return bits
        if _type(kind) != "TEXT":
            data = self._blob(table, chunk, "data", 8 * places)
            dtype = "<i8" if _type(kind) == "INTEGER" else "<f8"
            numbers: list[float] = np.frombuffer(data, dtype).tolist()
            return numbers
        data = self._blob(table, chunk, "data", 16 * places)
        return {
            place: self._text(number, data[16 * place : 16 * place + 16], id_)
            for place, id_ in held.items()
        }

    def _text(self, number: int, view: bytes, id_: int) -> str | None:
        length = int.from_bytes(view[:4], "little")
        if length <= _INLINE:
            return view[4 : 4 + length].decode("utf-8", "replace")
        sql = f"SELECT data FROM {self.name(f'metadatatext{number:02}')} WHERE rowid = ?"
        row = self.conn.execute(sql, (id_,)).fetchone()
        return None if row is None else str(row[0])

    def _values(
        self, suffix: str, columns: Sequence[str], ids: Sequence[int]
    ) -> dict[int, tuple[Any, ...]]:
        """Columns of some rows that are kept as rows."""
        if not columns:
            return {}
        wanted = ", ".join(f"t.{column}" for column in columns)
        sql = (
            f"SELECT t.rowid, {wanted} FROM json_each(?) j "
            f"CROSS JOIN {self.name(suffix)} t ON t.rowid = j.value"
        )
        return {row[0]: row[1:] for row in self.conn.execute(sql, (json.dumps(ids),))}

    def _blob(self, suffix: str, chunk: int, column: str, size: int) -> bytes:
        sql = f"SELECT {column} FROM {self.name(suffix)} WHERE rowid = ?"
        row = self.conn.execute(sql, (chunk,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or len(row[0]) < size:
            raise self._damaged(chunk)
        return row[0]

    def _damaged(self, chunk: int) -> ValueError:
        return ValueError(f"the vec0 table is damaged: chunk {chunk} of {self.prefix!r}")
