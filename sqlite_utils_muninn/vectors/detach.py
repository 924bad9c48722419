"""A copy of a database that needs no plugin: vectors as blobs in plain tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..bridge import attach, quote
from .options import INDEX, TEXT
from .source import describe
from .state import waiting
from .tables import VectorTable, module_of, vector_tables

if TYPE_CHECKING:
    from pathlib import Path

    from ..bridge import Database

ABOUT = "muninn_detached"
"""The table that tells of each plain table what its vectors are of."""

_COPIED = 1000  # rows at a time
_ABOUT_COLUMNS = (
    '"table" TEXT PRIMARY KEY, source TEXT, columns TEXT, model TEXT, sha256 TEXT, '
    "dimensions INTEGER, metric TEXT, rows INTEGER, left_out INTEGER"
)
# Modules that SQLite itself brings: every Datasette opens tables of these.
_COMMON = ("fts3", "fts4", "fts5", "fts5vocab", "fts4aux", "rtree", "rtree_i32", "geopoly")


def detach(conn: Any, out: Path, connect: Any) -> tuple[dict[str, int], list[str]]:
    """Copy the database of `conn` to the new file `out`, with plain tables for vector tables.

    Each keeps its name and has id, vector, the metadata columns, and content where the text is
    nowhere else. Rows whose text has changed since they were embedded are left out. `connect`
    opens a file with the plugin on it.

    Returns the plain tables with their row counts, and virtual tables that are still there since
    they belong to other programs. Raises ValueError where `out` is there or a table is damaged;
    then there is no `out`.
    """
    if out.exists():
        raise ValueError(f"{out} is there already: name a new file")
    part = out.with_name(out.name + ".part")
    part.unlink(missing_ok=True)
    source = attach(getattr(conn, "conn", conn))
    source.execute("BEGIN")
    try:
        # From here on, `source` sees one state of the file, whoever writes to it.
        tables = vector_tables(source)
        copy = connect(part)
        try:
            conn.backup(copy)
            counts, others = _make_plain(source, attach(copy), tables)
        finally:
            copy.close()
        os.replace(part, out)
    finally:
        source.execute("ROLLBACK")
        part.unlink(missing_ok=True)
    return counts, others


def _make_plain(
    source: Database, copy: Database, tables: list[VectorTable]
) -> tuple[dict[str, int], list[str]]:
    copy.execute("PRAGMA journal_mode = DELETE")  # one file, whatever the original was
    copy.execute("BEGIN")
    for table in tables:
        copy.execute(f"DROP TABLE {quote(table.name)}")
    others = _virtual_tables(copy)
    copy.execute(f"CREATE TABLE {ABOUT}({_ABOUT_COLUMNS})")
    counts = {table.name: _copy(source, copy, table) for table in tables}
    copy.execute("COMMIT")
    return counts, others


def _virtual_tables(copy: Database) -> list[str]:
    """Virtual tables that are left. Raises ValueError for one of ours: it could not be read."""
    rows = copy.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0")
    others = []
    for name, sql in rows:
        module = module_of(sql)
        if module in (INDEX, TEXT) or (module == "vec0" and name.startswith("_muninn_")):
            raise ValueError(
                f"table {name!r} is damaged and cannot be copied; drop it, or try to mend it: "
                "sqlite-utils muninn index PATH TABLE --rebuild"
            )
        if module not in _COMMON:
            others.append(name)
    return others


def _copy(source: Database, copy: Database, table: VectorTable) -> int:
    """Make and fill the plain table of one vector table. Returns its rows."""
    left_out = _stale(source, table)
    columns = _columns(source, table)
    name = quote(table.name)
    declared = "".join(f", {quote(column)} {kind}" for column, kind in columns)
    copy.execute(f"CREATE TABLE {name}(id INTEGER PRIMARY KEY{declared})")
    wanted = ", ".join(["rowid", *(quote(column) for column, _ in columns)])
    marks = ", ".join("?" * (len(columns) + 1))
    count, last = 0, None
    while True:
        ids = _ids(source, table, last)
        if not ids:
            break
        last = ids[-1]
        kept = [id_ for id_ in ids if id_ not in left_out]
        listed = ", ".join(map(str, kept))
        for row in source.execute(f"SELECT {wanted} FROM {name} WHERE rowid IN ({listed})"):
            copy.execute(f"INSERT INTO {name} VALUES ({marks})", row)
            count += 1
    _tell(copy, table, count, len(left_out))
    return count


def _stale(source: Database, table: VectorTable) -> set[int]:
    """Rows whose vector is not that of their text."""
    try:
        found = waiting(source, table)
    except ValueError as error:
        raise ValueError(
            f"the vectors of {table.name!r} belong to nothing ({error}): drop it first"
        ) from error
    return {*found.changed, *found.vanished} if found else set()


def _ids(source: Database, table: VectorTable, last: int | None) -> list[int]:
    after = "1" if last is None else f"id > {last}"
    nodes = quote(f"{table.name}_nodes")
    rows = source.execute(f"SELECT id FROM {nodes} WHERE {after} ORDER BY id LIMIT {_COPIED}")
    return [row[0] for row in rows]


def _columns(source: Database, table: VectorTable) -> list[tuple[str, str]]:
    """The columns beside the id, with their types."""
    if table.kind == TEXT:
        own = table.source is None
        # VACUUM may renumber such a source: then only the text tells which row is meant.
        if (
            own
            or not describe(
                source.execute, table.schema, str(table.source), table.columns
            ).is_stable
        ):
            return [("vector", "BLOB"), ("content", "TEXT")]
        return [("vector", "BLOB")]
    nodes = source.execute(f"PRAGMA table_info({quote(table.name + '_nodes')})")
    return [("vector", "BLOB"), *((row[1], row[2]) for row in nodes if row[1] != "id")]


def _tell(copy: Database, table: VectorTable, count: int, left_out: int) -> None:
    copy.execute(
        f"INSERT INTO {ABOUT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            table.name,
            table.source,
            ", ".join(table.columns) or None,
            table.model,
            table.sha256,
            table.dimensions,
            table.metric,
            count,
            left_out,
        ),
    )
