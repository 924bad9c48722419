"""Finding SQLite's own connection behind Python's object, and putting declarations on it.

A connection that can load extensions loads the compiled half, which is one. For the others (many
Pythons are built without ``enable_load_extension``), SQLite's automatic extensions show the way:
while a connection in memory opens, SQLite calls our hook with its pointer, and the place of that
pointer in the connection object is found by comparing, never assumed.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from . import _vtbridge
from .database import Database, Interrupted, SQLError
from .declare import TableFunction
from .table import MISSING, NOCHANGE, Pointer, Query, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from .declare import Declaration


def _format(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


_vtbridge.configure(SQLError, Interrupted, Pointer, Rows, Query, MISSING, NOCHANGE, _format)


# The compiled half knows it by this name: its end is how we learn that a connection closes.
_WATCH = TableFunction("vtbridge_attached", ("attached INTEGER",), (), lambda db: ([1],))


def attach(conn: Any, declarations: Iterable[Declaration] = ()) -> Database:
    """Put declarations on an open connection and return its handle.

    ``conn`` is a connection of ``sqlite3`` or ``pysqlite3``; attaching again replaces declarations
    of the same name. Raises TypeError for any other object, the module's ProgrammingError for a
    closed connection, and SQLError where SQLite is older than 3.38.
    """
    place = _locate(conn)
    database: Database | None = _vtbridge.database(*place, None)
    if database is None:
        database = _vtbridge.database(*place, Database)
        # SQLite gives it back when the connection closes.
        _WATCH.register(database)
    for declaration in declarations:
        declaration.register(database)
    return database


def find(conn: Any) -> Database | None:
    """The handle of a connection that :func:`attach` has seen, else None."""
    found: Database | None = _vtbridge.database(*_locate(conn), None)
    return found


def _locate(conn: Any) -> tuple[int, int]:
    """(SQLite's connection, SQLite's routines) as addresses."""
    driver = _driver(conn)
    conn.cursor().close()  # a closed connection, or another thread's, raises its own error here
    return _load(conn) if hasattr(conn, "load_extension") else _peek(conn, driver)


def _driver(conn: Any) -> ModuleType:
    """The compiled module that the connection comes from."""
    for base in type(conn).__mro__:
        package = base.__module__.partition(".")[0]
        if base.__name__ == "Connection" and package in ("sqlite3", "pysqlite3"):
            return sys.modules["_sqlite3" if package == "sqlite3" else "pysqlite3._sqlite3"]
    kind = f"{type(conn).__module__}.{type(conn).__qualname__}"
    raise TypeError(f"expected a connection of sqlite3 or pysqlite3, got {kind}")


def _load(conn: Any) -> tuple[int, int]:
    _vtbridge.expect()
    try:
        conn.load_extension(_vtbridge.__file__)
    except Exception:
        # Extensions are off (then on for this one), or it failed and says why the second time.
        conn.enable_load_extension(True)
        try:
            conn.load_extension(_vtbridge.__file__)
        finally:
            conn.enable_load_extension(False)
    return _seen()


def _seen() -> tuple[int, int]:
    found: tuple[int, int] = _vtbridge.seen()
    if not all(found):
        raise SQLError("SQLite did not show its connection to the bridge")
    return found


_places: dict[str, tuple[int, int]] = {}
_places_lock = threading.Lock()


def _peek(conn: Any, driver: ModuleType) -> tuple[int, int]:
    with _places_lock:
        place = _places.get(driver.__name__)
        if place is None:
            place = _places[driver.__name__] = _find_place(driver)
    offset, routines = place
    return _word(conn, offset), routines


def _find_place(driver: ModuleType) -> tuple[int, int]:
    """(offset of the pointer in a connection object, address of SQLite's routines)."""
    library = ctypes.CDLL(getattr(driver, "__file__", None))
    try:
        register, cancel = library.sqlite3_auto_extension, library.sqlite3_cancel_auto_extension
    except AttributeError:
        raise SQLError(
            f"{driver.__name__} can neither load extensions nor show its SQLite library; "
            "install pysqlite3"
        ) from None
    hook = ctypes.c_void_p(_vtbridge.hook_address())
    _vtbridge.expect()
    if register(hook) != 0:
        raise SQLError("SQLite did not accept the bridge's hook")
    try:
        probe = driver.connect(":memory:")
    finally:
        cancel(hook)
    try:
        db, routines = _seen()
        offset = object.__basicsize__
        if _word(probe, offset) != db:
            raise SQLError(f"{driver.__name__}'s connections are of an unknown layout")
        return offset, routines
    finally:
        probe.close()


def _word(conn: Any, offset: int) -> int:
    return ctypes.c_void_p.from_address(id(conn) + offset).value or 0
