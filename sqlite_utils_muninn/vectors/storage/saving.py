"""When the index of a table is saved: by whoever writes, seldom; by 'optimize', and after a load.

Saving writes 8 * m + 14 bytes a vector: 30 to 50 ms of CPU for 100,000 with m=16, which one commit
out of many pays. So it is done when a fiftieth of the rows has changed since the last time (1,000
at least), within the transaction that is about to be committed: less than 8 kB for each changed
row, about what its own commit writes. Seldomer would cost more elsewhere: each process that opens
the table reads what changed since, and links it again. What is saved is the index as it stands at
some committed position; what the log says after that is read again by whoever opens it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ...bridge import SQLError, quote
from ..index import building, saved
from ..index import index as index_module
from ..index.index import Index
from ..options import RESERVED
from .schema import vector_tables
from .shared import connection, searched_index, shared_index, transactions
from .storage import Storage

if TYPE_CHECKING:
    from ...bridge import Database
    from ..options import GraphOptions

CHANGES, SHARE = 1_000, 50  # saved after so many changes, or a fiftieth of the rows
LINKED_AT_ONCE = 64


def keep_up(storage: Storage) -> None:
    """Save the shared index if that is due; a transaction is about to be committed."""
    key = (storage.schema, storage.id)
    transaction = transactions(storage.db).get(key)
    index = connection(storage.db).indexes.get(key)
    if index is None or transaction is None or not transaction.wrote or not index.graph.linked:
        return
    due = max(CHANGES, len(index) // SHARE)
    last = index.saved  # read once: another thread may load the index anew
    since = last.seq if last else 0
    if storage.last_seq - since <= due or not storage.is_there:
        return
    with index.hold(storage.check):
        position, graph = index.position, index.graph
        if position is None or position.seq - since <= due // 2:
            return
        if graph.unlinked > graph.core.nodes // 10 or not storage.passed(position):
            return
        rows = saved.dump(index)
    if rows:
        storage.edges.write(rows)
        storage.prune_log()
        index.saved = position


def catch_up(storage: Storage) -> None:
    """Bring the shared index up to date before a transaction writes, if it lags far behind.

    So a process that writes much and searches seldom has an index to save.
    """
    index = connection(storage.db).indexes.get((storage.schema, storage.id))
    stands = index.position if index else None  # read once: another thread may be at work on it
    if index is None or not index.graph.linked or stands is None:
        return
    with suppress(SQLError):  # nothing depends on it
        position = storage.position()
        if position is not None and position.seq - stands.seq > CHANGES // 4:
            with index.hold(storage.check):
                index.reach(storage, position, advance=True)


def save_now(storage: Storage, options: GraphOptions) -> None:
    """Link every row, save the index and shorten the log; a small table needs no index."""
    position = storage.position()
    if position is None:
        return
    index = _index_at(storage, options, position)
    if len(index) * index.dimensions <= index_module.SCANNED_FLOATS:
        storage.edges.write([])
        storage.prune(1)
        return
    left = 1
    while left:
        with index.hold(storage.check):
            if index.graph.dead > len(index.graph) // 10:
                index.graph.core.compact()
            left = index.graph.link(LINKED_AT_ONCE)
        if index.waiting:
            time.sleep(building.PAUSE)
        storage.check()
    with index.hold(storage.check):
        rows = None if storage.edges.has(index) else saved.dump(index)
    if rows:
        storage.edges.write(rows)
        index.saved = position
    storage.prune(1)


def finish(db: Database, name: str, schema: str = "main") -> None:
    """Save the index of a table after a load, where that is due; outside a transaction.

    Rows are linked before the file is locked for writing.
    """
    for table in vector_tables(db, schema):
        # A table named like one of its columns has no commands.
        if table.name.casefold() == name.casefold() not in RESERVED:
            storage = Storage(db, schema, table.name, table.kind, table.dimensions)
            if _is_due(storage):
                _link_all(storage)
                column = quote(table.name)
                target = f"{quote(schema)}.{column}"
                db.execute(f"INSERT INTO {target}({column}) VALUES ('optimize')")


def _is_due(storage: Storage) -> bool:
    rows = storage.count()
    if rows * storage.dimensions <= index_module.SCANNED_FLOATS:
        return False
    since = storage.edges.changes_since()
    return since is None or since > max(CHANGES, rows // SHARE)


def _link_all(storage: Storage) -> None:
    """Have the process's index brought up to date, and wait until it is linked."""
    index = searched_index(storage)
    while index is not None and not building.wait(index, 0.2):
        storage.check()


def _index_at(storage: Storage, options: GraphOptions, position: index_module.Position) -> Index:
    """An index that holds exactly what this transaction sees."""
    transaction = transactions(storage.db).get((storage.schema, storage.id))
    if transaction is None or not transaction.wrote:
        index = shared_index(storage, options)
        with index.hold(storage.check):
            index.reach(storage, position, advance=True)
            if index.position == position:
                return index
    index = Index(storage.dimensions, options)
    with index.hold():
        index.load(storage, position)
    return index
