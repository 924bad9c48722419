"""Building neighbour graphs in the background: it needs no connection, only an index in memory.

To link a vector takes 100 to 200 us, so a query never waits for many: until a vector is in the
graph, queries look at it directly.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .index import Index

BATCH = 8  # vectors linked under the index's lock: about 1 ms that a query may have to wait
PAUSE = 0.0005  # where one waits, so that it gets the lock

_log = logging.getLogger(__name__)
_stop = threading.Event()
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def start(index: Index) -> None:
    """Link what is not in `index`'s graph, in a thread of its own."""
    reference = weakref.ref(index)
    thread = threading.Thread(target=_run, args=(reference,), name="muninn-graph", daemon=True)
    _threads.add(thread)
    thread.start()


def wait(index: Index, timeout: float | None = None) -> bool:
    """Wait until `index` has nothing left to build. Returns False when time ran out."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while index.building:
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _run(reference: weakref.ref[Index]) -> None:
    while not _stop.is_set():
        index = reference()
        if index is None or not _step(index):
            return
        waiting = index.waiting
        del index  # an index that nobody uses any more must be free to go
        if waiting:
            time.sleep(PAUSE)


def _step(index: Index) -> bool:
    with index.hold():
        try:
            index.building = index.graph.link(BATCH) > 0
        except Exception:
            # Without a graph, queries are slower and still right.
            _log.exception("building a neighbour graph failed")
            index.building = False
        return index.building


@atexit.register
def _end() -> None:
    # A daemon thread inside native code while the interpreter is torn down may crash.
    _stop.set()
    for thread in list(_threads):
        thread.join(timeout=5)
