"""Writes ATT&CK as SQLite tables: objects, relationships and their full-text indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo import notices
from demo.attack import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import sqlite_utils

    from demo.attack import Attack, AttackObject, Relationship

SCHEMA = """
CREATE TABLE about (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    attack_id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('current', 'deprecated', 'revoked')),
    platforms TEXT NOT NULL CHECK (json_valid(platforms)),
    tactics TEXT NOT NULL CHECK (json_valid(tactics)),
    aliases TEXT NOT NULL CHECK (json_valid(aliases)),
    first_seen TEXT,
    last_seen TEXT,
    citations TEXT NOT NULL CHECK (json_valid(citations)),
    stix_id TEXT NOT NULL UNIQUE,
    UNIQUE (attack_id, type)  -- the oldest mitigations bear the id of their technique
);
CREATE TABLE relationships (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES objects(id),
    type TEXT NOT NULL,
    target INTEGER NOT NULL REFERENCES objects(id),
    description TEXT NOT NULL,
    citations TEXT NOT NULL CHECK (json_valid(citations)),
    stix_id TEXT NOT NULL UNIQUE
);
"""

# Made after the rows: one sort each, in place of a search of the tree for each row.
INDEXES = """
CREATE INDEX objects_name ON objects(name);
CREATE INDEX objects_type ON objects(type);
CREATE INDEX relationships_source ON relationships(source, type);
CREATE INDEX relationships_target ON relationships(target, type);
CREATE INDEX relationships_type ON relationships(type);
"""

FULL_TEXT = {"objects": ("name", "description"), "relationships": ("description",)}


def write_knowledge_base(db: sqlite_utils.Database, attack: Attack, recipe: str) -> None:
    """Fills an empty database; ``recipe`` is kept in it, to know later what it was made from."""
    ids = {entry.stix_id: number for number, entry in enumerate(attack.objects, start=1)}
    db.executescript(SCHEMA)
    db["objects"].insert_all(object_rows(attack.objects))
    db["relationships"].insert_all(relationship_rows(attack.relationships, ids))
    db["about"].insert_all(about_rows(attack, recipe))
    db.executescript(INDEXES)
    for table, columns in FULL_TEXT.items():
        db[table].enable_fts(columns, tokenize="porter unicode61", create_triggers=True)
    db.analyze()


def object_rows(objects: Sequence[AttackObject]) -> Iterator[dict[str, Any]]:
    """Rows numbered from 1; sqlite-utils writes the tuples as JSON arrays."""
    return ({"id": number, **vars(entry)} for number, entry in enumerate(objects, start=1))


def relationship_rows(
    relationships: Iterable[Relationship], ids: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Rows whose ends are row ids of objects; ValueError names an end that is no object."""
    for number, edge in enumerate(relationships, start=1):
        for end in (edge.source, edge.target):
            if end not in ids:
                raise ValueError(f"{edge.stix_id}: its end {end} is not among the objects")
        yield {"id": number, **vars(edge), "source": ids[edge.source], "target": ids[edge.target]}


def about_rows(attack: Attack, recipe: str) -> Iterator[dict[str, str]]:
    """What the file is, whose work it holds and on what terms."""
    about = {
        "title": f"MITRE ATT&CK® {attack.version}, Enterprise",
        "license": notices.LICENSE,
        "copyright": notices.COPYRIGHT,
        "trademarks": attack.copyright,
        "terms_of_use": notices.TERMS_URL,
        "changes": notices.CHANGES,
        "source": f"the Python package {PACKAGE}",
        "recipe": recipe,
    }
    return ({"name": name, "value": value} for name, value in about.items())


def check_knowledge_base(db: sqlite_utils.Database, attack: Attack) -> None:
    """Raises ValueError unless every object and relationship is there and the file is sound."""
    expected = {"objects": len(attack.objects), "relationships": len(attack.relationships)}
    for table, count in expected.items():
        if db[table].count != count:
            raise ValueError(f"{table}: {db[table].count} rows written of {count}")
    if dangling := db.execute("PRAGMA foreign_key_check").fetchall():
        raise ValueError(f"foreign keys that point nowhere: {len(dangling)}, first {dangling[0]}")
    [(verdict,)] = db.execute("PRAGMA integrity_check").fetchall()
    if verdict != "ok":
        raise ValueError(f"integrity check: {verdict}")
