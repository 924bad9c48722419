"""Labels, texts and types of a few nodes, read from their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .filters import among, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlite_utils_muninn.bridge import Database

    from .binding import Nodes
    from .pool import Place

LABEL_LENGTH = 80
"""Characters of a text that stands for a label."""
LONGEST_LABEL = 200
"""Characters of a label: what is longer is a text."""


@dataclass(frozen=True)
class Said:
    """What a node's row says."""

    id: Any
    rowid: int | None
    label: str
    text: str
    type: str | None

    @property
    def whole(self) -> str:
        """The label and the text, for a model to read."""
        has_label = self.text.startswith(self.label.removesuffix(" …"))
        return self.text if has_label else f"{self.label}\n{self.text}"


def read(db: Database, nodes: Sequence[Nodes], places: Iterable[Place]) -> dict[Place, Said]:
    """Return what those of some nodes say that are there."""
    wanted: dict[int, list[Any]] = {}
    for table, key in dict.fromkeys(places):
        wanted.setdefault(table, []).append(key)
    found: dict[Place, Said] = {}
    for table, keys in wanted.items():
        found |= _read(db, nodes[table], keys)
    return found


def _read(db: Database, table: Nodes, keys: list[Any]) -> dict[Place, Said]:
    key = key_of(table)
    columns = [key, table.id, table.label or "NULL", table.type or "NULL", *table.text]
    condition, values = among(key, keys)
    rows = db.execute(
        f"SELECT {', '.join(columns)} FROM {table.table.sql} WHERE {condition}", values
    )
    found = {}
    for name, id_, label, kind, *texts in rows:
        own = [
            _text(text)
            for column, text in zip(table.text, texts, strict=True)
            if text is not None and column != table.label
        ]
        named = "" if label is None else _text(label).strip()
        if len(named) > LONGEST_LABEL:
            own, named = [_text(label), *own], ""
        text = "\n".join(own)
        found[(table.number, name)] = Said(
            id_,
            name if table.table.rowid else None,
            _label(named, text, id_),
            text,
            table.name if table.type is None else (None if kind is None else _text(kind)),
        )
    return found


def _text(value: Any) -> str:
    return "" if isinstance(value, bytes) else str(value)


def _label(label: str, text: str, id_: Any) -> str:
    """The label; where a row has none, the beginning of its text, else its id."""
    said = label
    if not said:
        said = " ".join(text.split())
        if len(said) > LABEL_LENGTH:
            start = said[:LABEL_LENGTH]
            said = (start.rpartition(" ")[0] or start) + " …"
    return said or (id_.hex() if isinstance(id_, bytes) else str(id_))
