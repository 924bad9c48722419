"""Which index serves a table: one for a process, and one for a transaction that wrote much.

The process's index lives as long as a connection that has searched it, and a while longer where
others may come (recent.py). That of a database in memory goes with its connection.
"""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bridge import quote
from ..blob import FLOAT32
from ..index.index import Index
from ..index.recent import RECENT, Place, abandon

if TYPE_CHECKING:
    from ...bridge import Database
    from ..options import GraphOptions
    from .storage import Storage

_STATE = "vectors.connection"

_indexes: weakref.WeakValueDictionary[Any, Index] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_process = object()  # another one after a fork


def shared_index(storage: Storage, options: GraphOptions) -> Index:
    """The process's index of a table."""
    known = connection(storage.db)
    if known.process is not _process:  # forked: a lock may be held by a thread that is not here
        known.process = _process
        abandon(known.indexes)
    mine = (storage.schema, storage.id)
    index = known.indexes.get(mine)
    if index is None or not _fits(index, storage, options):
        place = known.places[mine] = Place.at(storage.db.filename(storage.schema))
        index = known.indexes[mine] = _of_process(place, storage, options)
    else:
        place = known.places.get(mine)
    if place is not None:
        RECENT.use(index, place)
    return index


def _of_process(place: Place | None, storage: Storage, options: GraphOptions) -> Index:
    # What tells one file from another; a database without a file is its connection's.
    file = (id(storage.db), storage.schema) if place is None else (place.device, place.inode)
    key = (place is None, file, storage.id)
    with _lock:
        index = _indexes.get(key)
        if index is None or not _fits(index, storage, options):
            index = _indexes[key] = Index(storage.dimensions, options)
    return index


def searched_index(storage: Storage) -> Index | None:
    """The process's index, brought up to date by a search; None where the log is damaged."""
    probe = np.ones(storage.dimensions, FLOAT32).tobytes()
    table = f"{quote(storage.schema)}.{quote(storage.table)}"
    storage.db.execute(f"SELECT rowid FROM {table} WHERE vector MATCH ? AND k = 1", (probe,))
    return connection(storage.db).indexes.get((storage.schema, storage.id))


def forget(db: Database, key: tuple[str, str]) -> None:
    """A connection drops a table."""
    index = connection(db).indexes.pop(key, None)
    if index is not None:
        RECENT.drop(index)


def _fits(index: Index, storage: Storage, options: GraphOptions) -> bool:
    """Whether it is for such vectors: a crafted copy may claim the same id for others."""
    same = index.options is options or index.options == options
    return same and index.dimensions == storage.dimensions


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
    places: dict[tuple[str, str], Place | None] = field(default_factory=dict)
    """Where their files were when they were first searched."""
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
    RECENT.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
