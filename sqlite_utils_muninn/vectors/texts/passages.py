"""Where the vectors of a row are: one under its own rowid, or one for each passage of its text.

With `chunk=true` a text has a vector for each passage, under ids of their own. The rows of a table
are then in v_rows (id, hash, ..., first, passages) and the passages in v_passages (id, row, start,
end), those of one row numbered first, first + 1, ...; offsets are in characters. The index, the log
and the table of vectors know passages only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..options import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..blob import Ids, Matrix
    from ..storage.storage import Storage

Span = tuple[int, int]


class Made(NamedTuple):
    """What a model made of one text."""

    vectors: Matrix
    """One row for each passage."""
    spans: Sequence[Span]
    """Where in the text each passage is."""
    is_cut: bool
    """Whether the model did not read all of the text."""


class Whole:
    """Each row has one vector, under its rowid."""

    columns: tuple[Column, ...] = (Column("hash", "BLOB"), Column("truncated", "INTEGER"))
    tables: tuple[str, ...] = ()
    """Tables of its own, by their suffixes."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def insert(self, id_: int | None, values: Mapping[str, Any]) -> int:
        """Add a row without a vector, and return its id. Raises SQLError where that is taken."""
        return self.storage.insert_row(id_, values)

    def put(self, rows: Sequence[tuple[int, bytes, Made]]) -> None:
        """Store hash and vectors of rows that are there and have no vector."""
        ids = [id_ for id_, *_ in rows]
        self.storage.insert_vectors(ids, np.concatenate([made.vectors for *_, made in rows]))
        for id_, hashed, made in rows:
            self.storage.set_values(id_, {"hash": hashed, "truncated": int(made.is_cut)})
            self.storage.log(id_)

    def clear(self, id_: int) -> None:
        """Take hash and vectors from a row."""
        self.storage.set_values(id_, {"hash": None, "truncated": 0})
        self.storage.drop_vector(id_)

    def delete(self, id_: int) -> None:
        """Remove a row."""
        self.storage.delete(id_)

    def ids_of(self, rows: Ids) -> Ids:
        """Ids of all vectors of some rows, sorted."""
        return rows

    def whole(self) -> dict[int, dict[str, Any]]:
        """The rows whose vectors are all there, and what v_rows says of where those are."""
        return {id_: {} for id_ in self.storage.vector_ids().tolist()}

    def made_of(self, id_: int) -> Made:
        """What was stored for a row that has its vector."""
        _, matrix = self.storage.read(np.array([id_], np.int64))
        ((cut,),) = self.storage.rows(np.array([id_], np.int64), ["truncated"]).values()
        return Made(matrix, [(0, 0)], bool(cut))


class Passages(Whole):
    """Each row has a vector for each passage of its text."""

    columns = (*Whole.columns, Column("first", "INTEGER"), Column("passages", "INTEGER"))
    tables = ("passages",)

    @property
    def table(self) -> str:
        """Quoted name of the table of passages."""
        return self.storage.name("passages")

    def put(self, rows: Sequence[tuple[int, bytes, Made]]) -> None:
        """Store hash and vectors of rows that are there and have no vector."""
        db = self.storage.db
        ((last,),) = db.execute(f"SELECT coalesce(max(id), 0) FROM {self.table}")
        ids: list[int] = []
        for row, hashed, made in rows:
            first = last + len(ids) + 1
            for start, end in made.spans:
                ids.append(last + len(ids) + 1)
                db.execute(
                    f"INSERT INTO {self.table} VALUES (?, ?, ?, ?)", (ids[-1], row, start, end)
                )
            values = {"hash": hashed, "truncated": int(made.is_cut)}
            placed = {"first": first, "passages": len(made.spans)}
            self.storage.set_values(row, {**values, **placed})
        self.storage.insert_vectors(ids, np.concatenate([made.vectors for *_, made in rows]))
        for id_ in ids:
            self.storage.log(id_)

    def clear(self, id_: int) -> None:
        """Take hash and vectors from a row."""
        self._drop_passages(id_)
        nothing = dict.fromkeys(("hash", "first", "passages"))
        self.storage.set_values(id_, {**nothing, "truncated": 0})

    def delete(self, id_: int) -> None:
        """Remove a row."""
        self._drop_passages(id_)
        self.storage.delete_row(id_)

    def _drop_passages(self, row: int) -> None:
        for id_ in self.ids_of(np.array([row], np.int64)).tolist():
            self.storage.drop_vector(id_)
            self.storage.db.execute(f"DELETE FROM {self.table} WHERE id = ?", (id_,))

    def ids_of(self, rows: Ids) -> Ids:
        """Ids of all vectors of some rows, sorted."""
        (ids,) = self.storage.db.columns(
            f"SELECT c.id FROM json_each(?) j "
            f"CROSS JOIN {self.storage.name('rows')} r ON r.id = j.value "
            f"CROSS JOIN {self.table} c ON c.id BETWEEN r.first AND r.first + r.passages - 1 "
            'WHERE c."row" = r.id',
            (json.dumps(rows.tolist()),),
            ("integer",),
        )
        return np.unique(np.asarray(ids, np.int64))

    def whole(self) -> dict[int, dict[str, Any]]:
        """The rows whose vectors are all there, and what v_rows says of where those are."""
        rows = self.storage.db.execute(
            f'SELECT c."row", min(c.id), count(*) FROM {self.table} c '
            f"LEFT JOIN {self.storage.name('nodes')} v ON v.id = c.id "
            "WHERE typeof(c.\"row\") = 'integer' GROUP BY 1 "
            "HAVING count(v.id) = count(*) AND max(c.id) = min(c.id) + count(*) - 1"
        )
        return {row: {"first": first, "passages": count} for row, first, count in rows}

    def made_of(self, id_: int) -> Made:
        """What was stored for a row that has its vectors."""
        ids = self.ids_of(np.array([id_], np.int64))
        found, matrix = self.storage.read(ids)
        places = self.rows_of(ids.tolist())
        ((cut,),) = self.storage.rows(np.array([id_], np.int64), ["truncated"]).values()
        order = np.argsort(found)
        spans = [places[int(found[i])][1:] for i in order]
        return Made(matrix[order], spans, bool(cut))

    def first_of(self, rows: Sequence[int]) -> dict[int, int]:
        """The id of the first vector of each of some rows."""
        found = self.storage.rows(np.array(rows, np.int64), ["first"])
        return {row: first for row, (first,) in found.items() if isinstance(first, int)}

    def rows_of(self, ids: Iterable[int]) -> dict[int, tuple[int, int, int]]:
        """Row, start and end of some passages."""
        found = self.storage.db.execute(
            'SELECT c.id, c."row", max(0, CAST(c."start" AS INTEGER)), '
            'max(0, CAST(c."end" AS INTEGER)) FROM json_each(?) j '
            f"CROSS JOIN {self.table} c ON c.id = j.value WHERE typeof(c.\"row\") = 'integer'",
            (json.dumps(list(ids)),),
        )
        return {id_: (row, start, end) for id_, row, start, end in found}
