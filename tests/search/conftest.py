"""Small files with a knowledge graph in them, on the SQLite module that the run is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import load
from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.settings import Host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ATTACK = """
CREATE TABLE objects (id INTEGER PRIMARY KEY, name TEXT, type TEXT, description TEXT);
CREATE TABLE relationships (
    id INTEGER PRIMARY KEY,
    source INTEGER REFERENCES objects(id),
    type TEXT,
    target INTEGER REFERENCES objects(id),
    seen TEXT
);
INSERT INTO objects VALUES
    (1, 'Kerberoasting', 'technique', 'Abuse a valid ticket to crack the password of a service'),
    (2, 'Encrypt Sensitive Information', 'mitigation', 'Enable AES instead of RC4'),
    (3, 'APT29', 'group', 'Attributed to a foreign intelligence agency'),
    (4, 'Phishing', 'technique', 'Send messages with links to gain access'),
    (5, 'User Training', 'mitigation', 'Teach people to recognise what they are sent'),
    (6, 'Alone', 'technique', 'Crack a safe');
INSERT INTO relationships (source, type, target, seen) VALUES
    (2, 'mitigates', 1, '2020'), (3, 'uses', 1, '2021'),
    (3, 'uses', 4, '2022'), (5, 'mitigates', 4, '2023');
CREATE VIRTUAL TABLE objects_fts USING fts5(name, description, content='objects');
INSERT INTO objects_fts(objects_fts) VALUES ('rebuild');
"""


@pytest.fixture
def connect(
    sqlite: Any, models_directory: Path, closed_at_end: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Opens connections in autocommit mode, so that tests say BEGIN themselves."""

    def open_one(path: object = ":memory:", **host: Any) -> Any:
        conn = sqlite.connect(str(path), isolation_level=None, check_same_thread=False)
        load(closed_at_end(conn), Host(threads=2, models_directory=models_directory, **host))
        return conn

    return open_one


@pytest.fixture
def attack(conn: Any) -> Any:
    """Six objects, four relationships and a full-text table."""
    conn.executescript(ATTACK)
    return conn


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    CACHE.clear()
    yield
    CACHE.clear()
