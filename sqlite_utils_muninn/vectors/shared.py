"""Which index serves a table: one for a process, and one for a transaction that wrote much."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .index import Index

if TYPE_CHECKING:
    from ..bridge import Database
    from .options import GraphOptions
    from .storage import Storage

_STATE = "vectors.connection"

_indexes: weakref.WeakValueDictionary[Any, Index] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_process = object()  # another one after a fork


def shared_index(storage: Storage, options: GraphOptions) -> Index:
    """The process's index of a table. It lives as long as some connection holds on to it."""
    known = connection(storage.db)
    if known.process is not _process:  # forked: a lock may be held by a thread that is not here
        known.process = _process
        known.indexes.clear()
    held = known.indexes
    mine = (storage.schema, storage.id)
    index = held.get(mine)
    if index is not None and _fits(index, storage, options):
        return index
    key = (_file(storage), storage.id)
    with _lock:
        index = _indexes.get(key)
        if index is None or not _fits(index, storage, options):
            index = _indexes[key] = Index(storage.dimensions, options)
    held[mine] = index
    return index


def _fits(index: Index, storage: Storage, options: GraphOptions) -> bool:
    """Whether it is for such vectors: a crafted copy may claim the same id for others."""
    if index.options is not options and index.options != options:
        return False
    return index.dimensions == storage.dimensions


def _file(storage: Storage) -> Any:
    """What tells one database file from another; a database without a file is its connection's."""
    path = storage.db.filename(storage.schema)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ("connection", id(storage.db), storage.schema)
    return (status.st_dev, status.st_ino)


@dataclass
class Transaction:
    """What one connection does to one table between BEGIN and COMMIT."""

    wrote: bool = True  # to the log
    index: Index | None = None  # follows the uncommitted log, for this connection only


@dataclass
class Connection:
    """What a connection remembers about its vector tables."""

    transactions: dict[tuple[str, str], Transaction] = field(default_factory=dict)
    indexes: dict[tuple[str, str], Index] = field(default_factory=dict)
    """Keeps them alive: SQLite forgets its table objects at every change of the schema."""
    process: object = None


def connection(db: Database) -> Connection:
    """What a connection remembers."""
    found: Connection | None = db.state.get(_STATE)
    if found is None:
        found = db.state[_STATE] = Connection()
    return found


def transactions(db: Database) -> dict[tuple[str, str], Transaction]:
    """The connection's write transactions, by schema and table id."""
    return connection(db).transactions


def _forget() -> None:
    # A lock may be held in the parent by a thread that the child does not have.
    global _lock, _process
    _lock, _process = threading.Lock(), object()
    _indexes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
