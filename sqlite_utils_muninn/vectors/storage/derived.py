"""Which tables of a file hold vectors and what was made beside them, and from what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ...bridge import quote
from ..options import TEXT_SHADOW
from .pending import watched_tables
from .schema import Declared

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

_VECTORS = re.compile(r"_muninn_[0-9a-f]{16}(_|$)")
_MODULE = re.compile(r"\bUSING\s+[\"`\[]?(hnsw_index|hnsw_text)\b", re.IGNORECASE)


def derived_tables(execute: Callable[..., Sequence[Any]]) -> dict[str, str]:
    """Map each table that belongs to a vector table to the table whose content it shows.

    That is the source of an hnsw_text table over another one, and else the vector table itself:
    who may not read that one must not read the vectors, the log or the texts. Vectors without an
    owner, and those whose source is gone, map to "". Names are as they are in the file; any
    connection can be asked, the plugin's functions are not needed.
    """
    rows = execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    tables = {row[0]: row[1] or "" for row in rows}
    watched = watched_tables(execute)
    derived: dict[str, str] = {table: "" for table in tables if _VECTORS.match(table)}
    for name, sql in tables.items():
        # One that is being made for another is that one's already.
        if (
            not _VECTORS.match(name)
            and sql[:20].upper().startswith("CREATE VIRTUAL TABLE")
            and _MODULE.search(sql)
        ):
            derived.update(_of_one(execute, tables, name, watched))
    return derived


def _of_one(
    execute: Callable[..., Sequence[Any]],
    tables: dict[str, str],
    name: str,
    watched: dict[str, str],
) -> dict[str, str]:
    config = _config(execute, tables, name)
    source = name
    # Where the config is lost, the vectors are there all the same.
    if content := config.get("content") or Declared(name, "", tables[name]).source:
        spelled = {table.casefold(): table for table in tables}
        # As hnsw_text does: a source that was renamed is where its triggers are.
        now = watched.get(str(config.get("id")), str(content))
        source = spelled.get(now.casefold(), "")
    shadow = {f"{name}_{suffix}" for suffix in TEXT_SHADOW}
    vectors = f"_muninn_{config.get('id')}"
    found = {
        t: source for t in tables if t in shadow or t == vectors or t.startswith(vectors + "_")
    }
    if source != name:
        found[name] = source
    return found


def _config(
    execute: Callable[..., Sequence[Any]], tables: Container[str], name: str
) -> dict[str, Any]:
    table = f"{name}_config"
    if table not in tables:
        return {}
    columns = {row[1] for row in execute(f"PRAGMA table_info({quote(table)})")}
    if not {"key", "value"} <= columns:
        return {}
    sql = f"SELECT key, value FROM {quote(table)} WHERE key IN ('id', 'content')"
    return {row[0]: row[1] for row in execute(sql)}
