"""The query's vectors, one for each model that a graph's vectors were made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sqlite_utils_muninn.models.names import lookup
from sqlite_utils_muninn.vectors.nearest import fingerprint_of, query_vector
from sqlite_utils_muninn.vectors.storage.schema import text_tables

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.settings import Host
    from sqlite_utils_muninn.vectors.texts.embedder import Fingerprint

    from .binding import Nodes


@dataclass
class Meaning:
    """What is known of a query's meaning: how it is found, and for which tables."""

    db: Database
    host: Host
    caller: str
    query: str
    model: str | None
    given: bytes | Mapping[str, bytes] | None
    """The query's vector, or one for each node table that it was made for."""
    missing: list[str]

    def vectors(self, nodes: list[Nodes]) -> dict[int, bytes]:
        """Return the query's vector for each node table (by number) that has vectors.

        Where a model is not here a sentence says so. Raises ValueError for a model that was asked
        for and is not here, or that no table has vectors of.
        """
        if self.model is not None and self.given is None:
            self._choose(nodes)
        known: dict[Fingerprint | int, bytes] = {}
        found: dict[int, bytes] = {}
        for table in nodes:
            if table.vectors is None:
                continue
            vector = self._vector(table, known)
            if vector is not None:
                found[table.number] = vector
        return found

    def _choose(self, nodes: list[Nodes]) -> None:
        """Take the vectors that the model made, where a table has several."""
        assert self.model is not None
        names: set[str] = set()
        for place, table in enumerate(nodes):
            if table.vectors is None:
                continue
            if table.vectors.kind == "hnsw_index":
                names.add(self.model)
                continue
            over = text_tables(self.db, table.name, table.table.schema)
            names |= {t.model for t in over if t.model}
            made = [t for t in over if t.model == self.model]
            if not made:
                sha256 = getattr(lookup(self.db, self.host, self.model, self.caller), "sha256", "")
                made = [t for t in over if t.sha256 == sha256]
            if made:
                names.add(self.model)
            nodes[place] = replace(table, vectors=made[0] if made else None)
        if self.model not in names:
            raise ValueError(
                f"{self.caller}: no table has vectors of model {self.model!r}; "
                f"there are vectors of {', '.join(sorted(names)) or 'none'}"
            )

    def _vector(self, table: Nodes, known: dict[Fingerprint | int, bytes]) -> bytes | None:
        assert table.vectors is not None
        given = self.given.get(table.name) if isinstance(self.given, Mapping) else self.given
        if given is not None:
            if len(given) != 4 * table.vectors.dimensions:
                self.missing.append(
                    f"the query's vector has {len(given) // 4} dimensions, those of "
                    f"{table.name!r} have {table.vectors.dimensions}: searched without them"
                )
                return None
            return given
        try:
            if table.vectors.kind == "hnsw_index":
                return self._own(table, known)
            mark = fingerprint_of(self.db, table.vectors)
            if mark not in known:
                known[mark] = query_vector(self.db, self.host, table.vectors.name, mark, self.query)
            return known[mark]
        except (ValueError, ImportError, OSError, RuntimeError) as error:
            # Of time that is up no other way is to be made.
            if self.model is not None or isinstance(error, TimeoutError):
                raise
            self.missing.append(f"searched {table.name!r} without its vectors: {error}")
            return None

    def _own(self, table: Nodes, known: dict[Fingerprint | int, bytes]) -> bytes | None:
        """For vectors that do not say what made them."""
        assert table.vectors is not None
        if self.model is None:
            self.missing.append(
                f"searched {table.name!r} without its vectors: {table.vectors.name!r} does not "
                "say which model they are of; name it"
            )
            return None
        size = table.vectors.dimensions
        if size not in known:
            model = lookup(self.db, self.host, self.model, self.caller)
            vectors = model.embed([self.query], role="query", dimensions=size, check=self.db.check)
            known[size] = np.ascontiguousarray(vectors[0], "<f4").tobytes()
        return known[size]
