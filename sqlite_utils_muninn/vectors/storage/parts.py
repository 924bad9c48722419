"""The tables behind a vector table: how each is declared, and what is said where one is not so.

    v_config     key, value; see shadow.py
    v_rows       one row for each row of v: its id, and what else is kept beside the vector
    v_nodes      the vectors, float32, the nodes of the neighbour graph
    v_edges      the saved index, see saved.py
    v_log        (seq, id, tag), one row for each change, see index.py
    v_content    the texts that an hnsw_text table keeps itself
    v_passages   with chunk=true: which part of which text a vector is of

What a user wrote stands in one of them, the vectors of an hnsw_index table or an hnsw_text table's
own texts. The others can be made anew from that one, or from the table whose texts are embedded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...bridge import quote
from ..options import SHADOW, Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .shadow import ShadowTables

_ID = Column("id", "INTEGER PRIMARY KEY")

DECLARED: dict[str, tuple[Column, ...]] = {
    "config": (Column("key", "TEXT PRIMARY KEY"), Column("value", "")),
    "rows": (_ID,),
    "nodes": (_ID, Column("vector", "BLOB")),
    "edges": (_ID, Column("data", "BLOB")),
    "log": (
        Column("seq", "INTEGER PRIMARY KEY"),
        Column("id", "INTEGER"),
        Column("tag", "INTEGER NOT NULL"),
    ),
    "content": (_ID, Column("content", "TEXT")),
    "passages": (
        _ID,
        Column("row", "INTEGER"),
        Column("start", "INTEGER"),
        Column("end", "INTEGER"),
    ),
}

_OF_TEXTS = ("hash", "truncated", "first", "passages")  # no metadata column is called so there


def declaration(columns: Sequence[Column]) -> str:
    """The columns of a table, as CREATE TABLE wants them."""
    return ", ".join(f"{quote(c.name)} {c.type}".rstrip() for c in columns)


class Parts(NamedTuple):
    """What a vector table is made of."""

    columns: Sequence[Column] = ()
    """What v_rows keeps beside the id."""
    further: Sequence[str] = ()
    """Tables that not every vector table has."""
    origin: str | None = "nodes"
    """The table that cannot be made anew from others; None: another table's texts are embedded."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the tables are called, after the name of the vector table."""
        return (*SHADOW, *self.further)

    def of(self, suffix: str) -> tuple[Column, ...]:
        """The columns of one table."""
        return (*DECLARED[suffix], *(self.columns if suffix == "rows" else ()))


class Losses(NamedTuple):
    """What is wrong with the tables themselves."""

    missing: list[str]
    """Suffixes."""
    final: list[str]
    """What 'rebuild' cannot mend, one sentence each."""
    mendable: list[str]
    """What it can."""

    @property
    def sentences(self) -> list[str]:
        """All of it."""
        return [*self.final, *self.mendable]


def losses(tables: ShadowTables, parts: Parts) -> Losses:
    """Look at every table."""
    found = Losses([], [], [])
    for suffix in parts.suffixes:
        name, there = f"{tables.table}_{suffix}", tables.columns_of(suffix)
        is_origin = suffix == parts.origin
        if not there:
            found.missing.append(suffix)
            said = found.final if is_origin else found.mendable
            said.append(f"{name} is missing{_remedy(tables.table, suffix, parts)}")
        elif not _fits(there, parts.of(suffix)):
            wanted = ", ".join(f"{c.name} {c.type}".rstrip() for c in parts.of(suffix))
            here = ", ".join(f"{c.name} {c.type}".rstrip() for c in there)
            what = (
                "put its rows into such a table, or restore a backup"
                if is_origin
                else f"DROP TABLE {quote(name)}, and 'rebuild' makes it anew"
            )
            found.final.append(f"{name} is a table of ({here}), not of ({wanted}): {what}")
    return found


def _fits(there: Sequence[Column], wanted: Sequence[Column]) -> bool:
    """Whether a table has the columns, and the key that rows are found and replaced by."""
    types = {column.name.casefold(): column.type.upper() for column in there}
    keys = {name: kind for name, kind in types.items() if kind.endswith("PRIMARY KEY")}
    key = {wanted[0].name: wanted[0].type}
    return keys == key and all(column.name.casefold() in types for column in wanted)


def _remedy(table: str, suffix: str, parts: Parts) -> str:
    if suffix == parts.origin:
        what = "vectors" if suffix == "nodes" else "texts"
        return (
            f", and nothing else holds the {what}: restore a backup, "
            f"or DROP TABLE {quote(table)} and fill it anew"
        )
    is_text = parts.origin != "nodes"
    if suffix == "config" and is_text:
        return ": 'rebuild' makes it anew where the model is that made the vectors"
    if suffix in ("nodes", "passages"):
        return ": 'rebuild' makes it anew, and the texts have to be embedded once more"
    made = _OF_TEXTS if is_text else ()
    names = ", ".join(column.name for column in parts.columns if column.name not in made)
    lost = f", without the values of {names}" if suffix == "rows" and names else ""
    return f": 'rebuild' makes it anew{lost}"
