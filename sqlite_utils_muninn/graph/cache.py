"""Edge tables that were read before: shared by all connections of the process, never stale.

Whether a graph is still what the file holds is known to each connection for itself: SQLite's
``data_version`` tells it of commits by others, ``total_changes`` of its own changes,
``schema_version`` of changed tables. None of these can be compared between connections. So a
connection that cannot vouch for a graph reads the table once; what it finds is compared with what
others hold, and where it is the same, the one in memory is used with all that is built on it.

While a connection is writing, what it reads is its own: it neither takes nor leaves anything here.
(Bytes changed through an open blob handle, which SQLite counts nowhere, are not noticed.)
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from sqlite_utils_muninn.bridge import quote

from .edge_table import Reads, Statement, databases_read, read

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database

    from .graph import Graph
    from .work import Work


class Held(Protocol):
    """What can be kept: it never changes, but may grow."""

    @property
    def nbytes(self) -> int:
        """Memory held."""

    def equals(self, other: Any, /) -> bool:
        """Whether another one was read from the same data."""


G = TypeVar("G", bound=Held)
S = TypeVar("S")
Reader = Callable[["Database", S, "Work"], G]

_STATE = "graph.known"
_NUMBERS = itertools.count()
MOST_KNOWN = 256
"""Statements that one connection remembers."""


class Cache:
    """Graphs by what they were read from, the least recently used given up first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._graphs: OrderedDict[Any, Held] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory held."""
        with self._lock:
            return sum(graph.nbytes for graph in self._graphs.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._graphs)

    def share(self, key: Any, graph: G) -> G:
        """Keep a graph; give the one that is kept under the key already if it is the same."""
        with self._lock:
            kept: Any = self._graphs.get(key)
        if kept is not None and kept.equals(graph):
            graph = kept
        with self._lock:
            self._graphs[key] = graph
            self._graphs.move_to_end(key)
        self.trim()
        return graph

    def touch(self, key: Any) -> None:
        """Note that a graph was used, which may have grown by it."""
        with self._lock:
            if key in self._graphs:
                self._graphs.move_to_end(key)
        self.trim()

    def trim(self) -> None:
        """Give up graphs until the rest fits."""
        with self._lock:
            held = {key: graph.nbytes for key, graph in self._graphs.items()}
            total = sum(held.values())
            for key, size in held.items():
                if total <= self.limit:
                    break
                del self._graphs[key]
                total -= size

    def clear(self) -> None:
        """Give up all."""
        with self._lock:
            self._graphs.clear()


CACHE = Cache(0)
"""The process's. Its limit is that of the last connection that was loaded."""


class _Known(NamedTuple):
    """What a connection vouches for, as long as its token is this one."""

    token: Any
    graph: weakref.ref[Any]
    key: Any


def load(
    db: Database,
    statement: Statement,
    work: Work,
    cache: Cache = CACHE,
    reader: Reader[Statement, Graph] | None = None,
) -> Graph:
    """The graph that a statement reads, as the connection sees it now.

    ``reader`` knows a shorter way to the same edges.
    """
    return load_parts(db, statement, (statement,), reader or read, work, cache)


def load_parts(
    db: Database,
    what: S,
    statements: Sequence[Reads],
    reader: Reader[S, G],
    work: Work,
    cache: Cache = CACHE,
) -> G:
    """What a reader makes of several statements, as the connection sees it now.

    ``what`` can be hashed, and names the statements and all else that the reader looks at.
    """
    state = _state(db)
    token = _token(db, state)
    if token is None:
        return reader(db, what, work)
    known: OrderedDict[Any, _Known] = state["known"]
    found = known.get(what)
    if found is not None and found.token == token:
        graph: G | None = found.graph()
        if graph is not None:
            known.move_to_end(what)
            cache.touch(found.key)
            return graph
    graph = reader(db, what, work)
    read = [databases_read(db, statement) for statement in statements]
    if None in read:
        return graph
    # A temporary database, which is the connection's own, is part of the key only where it is read.
    used = frozenset[int]().union(*filter(None, read))
    key = (tuple(file for file in token.files if file[0] in used), what)
    graph = cache.share(key, graph)
    known[what] = _Known(token, weakref.ref(graph), key)
    while len(known) > MOST_KNOWN:
        known.popitem(last=False)
    return graph


def token_of(db: Database) -> Any:
    """Return what differs when the data may differ; None while the connection is writing."""
    return _token(db, _state(db))


class _Token(NamedTuple):
    files: tuple[Any, ...]
    versions: tuple[int, ...]
    changes: int


def _state(db: Database) -> dict[str, Any]:
    state: dict[str, Any] = db.state.setdefault(_STATE, {})
    if not state:
        state.update(known=OrderedDict(), number=next(_NUMBERS))
    return state


def _token(db: Database, state: dict[str, Any]) -> _Token | None:
    """What differs when the data may differ; None while the connection is writing.

    The state of the transaction is asked, not `in_transaction`: a statement may be writing without
    BEGIN, and its changes are counted only when it ends.
    """
    files, versions = [], []
    for number, schema, file in db.execute("PRAGMA database_list"):
        if db.transaction_state(schema) == "write":
            return None
        # Temporary and memory databases are the connection's own.
        files.append((number, schema, file or state["number"]))
        for pragma in ("data_version", "schema_version"):
            versions.append(db.execute(f"PRAGMA {quote(schema)}.{pragma}")[0][0])
    return _Token(tuple(files), tuple(versions), db.total_changes)
