"""A copy of a database that needs no plugin: vectors as blobs in plain tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..bridge import attach, quote
from .options import INDEX, TEXT, TEXT_RESERVED
from .state import waiting
from .storage.schema import VectorTable, module_of, unreadable, vector_tables
from .storage.source import describe
from .storage.storage import Storage
from .texts.passages import Passages

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    nowhere else; the vectors of passages are in a table of their own. Rows whose text has changed
    since they were embedded are left out. `connect` opens a file with the plugin on it.

    Returns the plain tables with their row counts, and virtual tables that are still there since
    they belong to other programs. Raises ValueError where `out` is there or a table is damaged;
    then there is no `out`.
    """
    if out.exists():
        raise ValueError(f"{out} is there already: name a new file")
    if not out.parent.is_dir():
        raise ValueError(f"{out} cannot be written: there is no directory {out.parent}")
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
    # A copy may have been worked on: what it tells of its plain tables still holds.
    copy.execute(f"CREATE TABLE IF NOT EXISTS {ABOUT}({_ABOUT_COLUMNS})")
    counts = dict(count for table in tables for count in _copy(source, copy, table))
    copy.execute("COMMIT")
    return counts, others


def _virtual_tables(copy: Database) -> list[str]:
    """Virtual tables that are left. Raises ValueError for one of ours: it could not be read."""
    rows = copy.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0")
    others = []
    for name, sql in rows:
        module = module_of(sql)
        if module in (INDEX, TEXT):
            unreadable(copy, name)
            raise ValueError(
                f"table {name!r} is damaged and cannot be copied; drop it, or try to mend it: "
                "sqlite-utils muninn index PATH TABLE --rebuild"
            )
        if module not in _COMMON:
            others.append(name)
    return others


def _copy(source: Database, copy: Database, table: VectorTable) -> Iterator[tuple[str, int]]:
    """Make and fill the plain tables of one vector table. Gives their names and rows."""
    left_out = _stale(source, table)
    yield table.name, _copy_rows(source, copy, table, left_out)
    if table.cutting:
        yield f"{table.name}_passages", _copy_passages(source, copy, table, left_out)


def _copy_rows(source: Database, copy: Database, table: VectorTable, left_out: set[int]) -> int:
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
    _tell(copy, table, table.name, count, len(left_out))
    return count


def _copy_passages(source: Database, copy: Database, table: VectorTable, left_out: set[int]) -> int:
    """The vectors of passages, each with its row and its place in the text, in characters."""
    name = f"{table.name}_passages"
    copy.execute(
        f'CREATE TABLE {quote(name)}(id INTEGER PRIMARY KEY, "row" INTEGER, '
        '"start" INTEGER, "end" INTEGER, vector BLOB)'
    )
    storage = Storage(source, table.schema, table.name, table.kind, table.dimensions)
    passages = Passages(storage)
    count = 0
    for ids, matrix in storage.blocks():
        places = passages.rows_of(ids.tolist())
        for id_, vector in zip(ids.tolist(), matrix, strict=True):
            if id_ in places and places[id_][0] not in left_out:
                row = (id_, *places[id_], vector.tobytes())
                copy.execute(f"INSERT INTO {quote(name)} VALUES (?, ?, ?, ?, ?)", row)
                count += 1
    _tell(copy, table, name, count, 0)
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
    kept = quote(f"{table.name}_rows")
    rows = source.execute(f"SELECT id FROM {kept} WHERE {after} ORDER BY id LIMIT {_COPIED}")
    return [row[0] for row in rows]


def _columns(source: Database, table: VectorTable) -> list[tuple[str, str]]:
    """The columns beside the id, with their types."""
    rows = source.execute(f"PRAGMA table_info({quote(table.name + '_rows')})")
    ours = TEXT_RESERVED if table.kind == TEXT else {"id"}
    metadata = [(row[1], row[2]) for row in rows if row[1] not in ours]
    vector = [] if table.cutting else [("vector", "BLOB")]
    return [*vector, *([("content", "TEXT")] if _keeps_text(source, table) else []), *metadata]


def _keeps_text(source: Database, table: VectorTable) -> bool:
    if table.kind != TEXT:
        return False
    if table.source is None:
        return True
    # VACUUM may renumber such a source: then only the text tells which row is meant.
    return not describe(source.execute, table.schema, table.source, table.columns).is_stable


def _tell(copy: Database, table: VectorTable, name: str, count: int, left_out: int) -> None:
    copy.execute(
        f"INSERT OR REPLACE INTO {ABOUT} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            table.source if name == table.name else table.name,
            ", ".join(table.columns) or None,
            table.model,
            table.sha256,
            table.dimensions,
            table.metric,
            count,
            left_out,
        ),
    )
