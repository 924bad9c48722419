"""Vector tables of each kind, to lose what is behind them; and what brute force finds there."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sqlite_utils_muninn.vectors.options import SHADOW
from sqlite_utils_muninn.vectors.storage.source import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TEXTS = {
    i: f"{WORDS[i % 10]} {WORDS[i // 10]} number{i}. And {WORDS[i % 7]}." for i in range(1, 31)
}
MATRIX = np.random.default_rng(5).normal(size=(31, 8)).astype("<f4")

INDEX = "CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=8, metric=l2, +year INTEGER)"
OWN = "CREATE VIRTUAL TABLE v USING hnsw_text(model=words{}, +year INTEGER)"
OTHERS = "CREATE VIRTUAL TABLE v USING hnsw_text(model=words, content=docs, content_column=body{})"
CHUNKED = ", chunk=true, max_tokens=16"

MADE = {
    "index": INDEX,
    "own": OWN.format(""),
    "own passages": OWN.format(CHUNKED),
    "another's": OTHERS.format(""),
    "another's passages": OTHERS.format(CHUNKED),
}
OWN_TABLES = {"index": "nodes", "own": "content", "own passages": "content"}
"""What cannot be had again."""
DAMAGE = {
    "gone": "DROP TABLE {0}",
    "another": "DROP TABLE {0}; CREATE TABLE {0}(a TEXT, b)",
    "empty": "DELETE FROM {0}",
}


class Case(NamedTuple):
    kind: str
    suffix: str
    damage: str


def suffixes(kind: str) -> list[str]:
    further = ["content"] if kind.startswith("own") else []
    return [*SHADOW, *further, *(["passages"] if "passages" in kind else [])]


CASES = [
    Case(kind, suffix, damage)
    for kind in MADE
    for suffix in suffixes(kind)
    for damage in DAMAGE
    if (suffix, damage) != ("edges", "empty")  # as it is in a small table
]


def make(conn: Any, kind: str) -> None:
    conn.execute("BEGIN")
    conn.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT)")
    conn.executemany("INSERT INTO docs VALUES (?, ?)", TEXTS.items())
    conn.execute("INSERT INTO docs VALUES (31, NULL)")
    conn.execute(MADE[kind])
    if kind == "index":
        rows: Any = ((i, MATRIX[i].tobytes(), 2000 + i) for i in TEXTS)
        conn.executemany("INSERT INTO v(rowid, vector, year) VALUES (?, ?, ?)", rows)
    elif kind.startswith("own"):
        conn.execute("INSERT INTO v(rowid, content, year) SELECT id, body, 2000 + id FROM docs")
    else:
        conn.execute("INSERT INTO v(rowid) SELECT id FROM docs")
    conn.execute("COMMIT")


def harm(path: Path, script: str) -> None:
    """By a program that knows nothing of the plugin."""
    conn = sqlite3.connect(path)
    conn.executescript(script)
    conn.close()


def command(conn: Any, what: str) -> str | None:
    """Run a command; what it says where it fails."""
    try:
        conn.execute("INSERT INTO v(v) VALUES (?)", (what,))
    except Exception as error:
        return str(error)
    return None


def stored(conn: Any) -> dict[int, Any]:
    """The vectors in the file, by the row that they are of."""
    sql = "SELECT id, vector FROM v_nodes"
    if conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'v_passages'").fetchone():
        sql = 'SELECT p.id, vector, "row" FROM v_nodes JOIN v_passages p USING (id)'
    found: dict[int, Any] = {}
    for row in conn.execute(sql):
        found.setdefault(row[-1] if len(row) > 2 else row[0], []).append(
            np.frombuffer(row[1], "<f4").astype(float)
        )
    return found


def is_exact(conn: Any, metric: str) -> bool:
    """Whether searches find what brute force finds: all rows whose vector is of their text."""
    vectors = {row: of for row, of in stored(conn).items() if row not in stale(conn)}
    if not vectors:
        ((size,),) = conn.execute("SELECT value FROM v_config WHERE key = 'dimensions'")
        sql = "SELECT rowid FROM v WHERE vector MATCH ? AND k = 40"
        return conn.execute(sql, (bytes(4 * size),)).fetchall() == []
    size = len(next(iter(vectors.values()))[0])
    for probe in np.random.default_rng(6).normal(size=(3, size)).astype("<f4"):
        far = {row: min(distance(probe, v, metric) for v in of) for row, of in vectors.items()}
        expected = sorted((round(d, 5), row) for row, d in far.items())
        sql = "SELECT distance, rowid FROM v WHERE vector MATCH ? AND k = 40"
        found = sorted((round(d, 5), row) for d, row in conn.execute(sql, (probe.tobytes(),)))
        if [row for _, row in found] != [row for _, row in expected]:
            return False
    return True


def stale(conn: Any) -> set[int]:
    """Rows of another table that have a vector of another text than theirs."""
    config = dict(conn.execute("SELECT key, value FROM v_config"))
    if "content" not in config:
        return set()
    rows = conn.execute("SELECT id, hash, body FROM v_rows LEFT JOIN docs USING (id)")
    made = config["sha256"], config["document_prefix"]
    return {i for i, hashed, body in rows if body is None or hashed != fingerprint(body, *made)}


def distance(probe: Any, vector: Any, metric: str) -> float:
    probe = probe.astype(float)
    if metric == "l2":
        return float(((probe - vector) ** 2).sum())
    lengths = np.linalg.norm(probe) * np.linalg.norm(vector)
    return float(1 - probe @ vector / lengths) if lengths else 1.0
