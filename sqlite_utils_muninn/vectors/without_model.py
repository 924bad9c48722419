"""What a text search falls back to where the table's model is not here: words, then letters.

First what a full-text table of the source finds, best first by BM25, with any of the query's words;
then, if that is not enough, the rows that have most of the query's trigrams. Both compare spelling,
not meaning, and every match says which of them found it.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

from ..bridge import find, quote
from .match import Match

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .storage.schema import VectorTable

WORDS, LETTERS = "words", "letters"

LEAST_SHARE = 0.3
"""Of the query's trigrams, that a row must have: pg_trgm's threshold."""


def why_not(conn: Any, model: str) -> str | None:
    """Return why a model cannot be used on a connection, or None where it can.

    A model that is here and fails (a damaged file, a server that is down) is not missing: None.
    """
    from ..models.llama import LlamaMissingError, library
    from ..models.model import Model
    from ..models.names import UnknownNameError, lookup

    db = find(conn)
    if db is None or "host" not in db.state:
        return None
    try:
        found = lookup(db, db.state["host"], model)
        if isinstance(found, Model) and found.engine.needs_llama:
            library()
    except (UnknownNameError, LlamaMissingError) as error:
        return str(error)
    except (ValueError, OSError):
        return None
    return None


def why_none(conn: Any) -> str | None:
    """Return that no model at all can be used on a connection, or None where one is."""
    from ..models.files.store import ModelStore
    from ..settings import DEFAULT_MODEL

    db = find(conn)
    if db is None or "host" not in db.state:
        return None
    host = db.state["host"]
    if host.models or any(True for _ in ModelStore(host.models_directory)):
        return None
    return f"no model is installed. Get one with: sqlite-utils muninn models pull {DEFAULT_MODEL}"


def matches(
    conn: Any, table: str, columns: Sequence[str], query: str, n: int, *, schema: str = "main"
) -> list[Match]:
    """Return up to `n` rows that have words of a query, then those that have most of its letters.

    `score` is 0 to 1 and falls within each kind, `by` says which kind a match is of; `distance` is
    one less the score. Rows that share nothing with the query are left out.
    """
    found = list(_by_words(conn, table, query, n)) if schema == "main" else []
    if len(found) < n:
        known = {match.rowid for match in found}
        texts = _texts(conn, table, columns, schema)
        others = ((rowid, text) for rowid, text in texts if rowid not in known)
        found += _by_letters(others, query, n - len(found))
    return found


def text_columns(conn: Any, table: str, schema: str = "main") -> list[str]:
    """Return the columns of a table that hold text. Raises ValueError where there is none."""
    listed = conn.execute(f"PRAGMA {quote(schema)}.table_info({quote(table)})")
    found = [
        name for _, name, kind, *_ in listed if "CHAR" in kind.upper() or "TEXT" in kind.upper()
    ]
    if not found:
        raise ValueError(f"table {table!r} has no column of text")
    return found


def searched(table: VectorTable) -> tuple[str, Sequence[str]]:
    """Return the table that holds the texts of a vector table, and its columns."""
    return (table.source, table.columns) if table.source else (table.name, ("content",))


def _by_words(conn: Any, table: str, query: str, n: int) -> Iterator[Match]:
    """Yield what a full-text table of `table`, if it has one, finds with any word of the query."""
    from sqlite_utils import Database

    db = Database(conn, execute_plugins=False)
    source = db.table(table)
    words = " OR ".join(db.quote_fts(word) for word in query.replace("\0", " ").split())
    if not words or source.detect_fts() is None:
        return
    for row in source.search(words, columns=["rowid"], limit=n, include_rank=True):
        rank = max(0.0, -float(row["rank"]))
        score = rank / (1 + rank)  # BM25 has no upper end
        yield Match(next(iter(row.values())), 1 - score, score, None, WORDS)


def _texts(conn: Any, table: str, columns: Sequence[str], schema: str) -> Iterator[tuple[int, str]]:
    joined = " || ' ' || ".join(f"coalesce({quote(column)}, '')" for column in columns)
    yield from conn.execute(f"SELECT rowid, {joined} FROM {quote(schema)}.{quote(table)}")


def _by_letters(texts: Iterator[tuple[int, str]], query: str, n: int) -> Iterator[Match]:
    from ..models.texts.trigrams import trigrams

    wanted = trigrams(query)
    if not wanted:
        return

    def scored() -> Iterator[tuple[float, float, int, str]]:
        for rowid, text in texts:
            own = trigrams(str(text))
            share = len(own & wanted) / len(wanted)
            if share >= LEAST_SHARE:  # of rows that have as much of it, the shortest is nearest
                yield share, -len(own), -rowid, text

    for share, _, rowid, text in heapq.nlargest(n, scored()):
        yield Match(-rowid, 1 - share, share, text, LETTERS)
