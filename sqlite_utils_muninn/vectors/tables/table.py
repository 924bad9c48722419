"""hnsw_index: vectors that the user brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...bridge import NOCHANGE, Database, Query
from ..options import INDEX, index_options
from ..storage.parts import Parts
from ..storage.shared import Transaction, transactions
from .request import column_uses
from .stored import StoredTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..blob import Ids


class Row(NamedTuple):
    """A row to be written; the vector is None where an UPDATE leaves it."""

    vector: bytes | None
    values: dict[str, Any]


class HnswIndex(StoredTable):
    """`CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=..., metric=..., +name TYPE)`."""

    owner = INDEX

    def __init__(self, db: Database, schema: str, table: str, arguments: Sequence[str]) -> None:
        options = index_options(arguments)
        super().__init__(db, schema, table, options.dimensions, options)
        self.metadata = options.metadata
        self.parts = Parts(options.metadata)
        self.declare(
            [("vector", "BLOB"), ("distance", "REAL"), *((c.name, c.type) for c in self.metadata)],
            [("k", "INTEGER"), ("ef_search", "INTEGER")],
        )
        self.plans = self.plans_for(["vector"], column_uses(self.metadata))

    @classmethod
    def create(cls, db: Database, schema: str, table: str, arguments: list[str]) -> HnswIndex:
        """CREATE VIRTUAL TABLE."""
        self = cls(db, schema, table, arguments)
        self.storage.create(self.declared(), self.parts)
        # SQLite does not call xBegin in the transaction that creates a table.
        transactions(db)[(schema, self.storage.id)] = Transaction()
        return self

    def declared(self) -> dict[str, Any]:
        """What v_config says because the CREATE statement does."""
        sizes = {"dimensions": self.storage.dimensions, "metric": self.options.metric}
        return {"kind": INDEX, **sizes}

    def mend_rows(self) -> None:
        """Let each vector have its row, and each row its vector."""
        rows, nodes = self.storage.name("rows"), self.storage.name("nodes")
        self.db.execute(f"DELETE FROM {rows} WHERE id NOT IN (SELECT id FROM {nodes})")
        self.db.execute(f"INSERT OR IGNORE INTO {rows}(id) SELECT id FROM {nodes}")

    def values(self, ids: Ids, query: Query) -> dict[str, list[Any]]:
        """Metadata."""
        if not self.metadata:
            return {}
        names = [c.name for c in self.metadata if self.reads(query, c.name)]
        if not names:
            return {}
        found = self.storage.rows(ids, names)
        nothing = (None,) * len(names)
        rows = [found.get(id_, nothing) for id_ in ids.tolist()]
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}

    def new_row(self, rowid: int | None, values: Sequence[Any]) -> Row:
        """Check the vector; a row cannot be without one."""
        given = values[self.columns.index("vector")]
        blob = None if given is NOCHANGE else self.vector(given)
        metadata = {c.name: values[self.columns.index(c.name)] for c in self.metadata}
        return Row(blob, {name: v for name, v in metadata.items() if v is not NOCHANGE})

    def complete(self, rowid: int, values: Sequence[Any]) -> list[Any]:
        """Replace NOCHANGE by what the row has."""
        completed = list(values)
        ids = np.array([rowid], dtype=np.int64)
        names = [c.name for c in self.metadata]
        kept = dict(zip(names, self.storage.rows(ids, names).get(rowid, ()), strict=False))
        kept["vector"] = self.blobs(ids)[0]
        for name, value in kept.items():
            if values[self.columns.index(name)] is NOCHANGE:
                completed[self.columns.index(name)] = value
        return completed

    def insert_row(self, rowid: int | None, row: Row) -> int:
        """Write a new row."""
        assert row.vector is not None
        return self.storage.insert(rowid, row.vector, row.values)

    def replace_row(self, rowid: int, row: Row) -> None:
        """Write a row that is there."""
        self.storage.set_values(rowid, row.values)
        if row.vector is not None:
            self.storage.replace_vector(rowid, row.vector)
