"""SQLite functions and virtual tables, written in Python.

Declare a :class:`Function`, a :class:`TableFunction` or a :class:`Module` (whose tables are
:class:`VirtualTable` objects) and put them on any open connection with :func:`attach`: the standard
library's ``sqlite3``, with or without ``enable_load_extension``, or ``pysqlite3``.

The bridge imports nothing of the project. Its compiled half (``src/``) streams rows to SQLite
without the GIL; this half checks arguments and words errors.
"""

from .attach import attach, find
from .database import Database, Dictionary, Interrupted, SQLError, quote, quote_table, split_table
from .declare import REQUIRED, Declaration, Function, Module, Parameter, TableFunction
from .table import MISSING, NOCHANGE, Plan, Pointer, Query, Rows, VirtualTable, WritableTable

__all__ = [
    "MISSING",
    "NOCHANGE",
    "REQUIRED",
    "Database",
    "Declaration",
    "Dictionary",
    "Function",
    "Interrupted",
    "Module",
    "Parameter",
    "Plan",
    "Pointer",
    "Query",
    "Rows",
    "SQLError",
    "TableFunction",
    "VirtualTable",
    "WritableTable",
    "attach",
    "find",
    "quote",
    "quote_table",
    "split_table",
]
