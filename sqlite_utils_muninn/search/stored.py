"""Knowledge graphs that a file declares, in the plain table `_muninn_graphs`.

A row is a name and a definition in JSON, which reads without the plugin. Everything here is plain
SQL and works on any connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlite_utils_muninn.bridge import quote

from .binding import bind
from .declared import KnowledgeGraph, check, from_json

if TYPE_CHECKING:
    from collections.abc import Collection

TABLE = "_muninn_graphs"


def graphs(
    conn: Any, *, schema: str = "main", visible: Collection[str] | None = None
) -> list[KnowledgeGraph]:
    """Return the declared graphs in the order of their declaration; broken ones are left out.

    With `visible` (names of tables, in any case), only those of which a node table may be seen.
    Use `graph_named` to hear what is wrong with one.
    """
    seen = None if visible is None else {table.lower() for table in visible}
    found = []
    for name, definition in _rows(conn, schema):
        try:
            graph = from_json(str(name), definition)
        except ValueError:
            continue
        if seen is None or any(node.table.lower() in seen for node in graph.nodes):
            found.append(graph)
    return found


def graph_named(
    conn: Any, name: str, *, schema: str = "main", visible: Collection[str] | None = None
) -> KnowledgeGraph:
    """Return a declared graph. Raises ValueError where there is none, or where it is broken.

    With `visible`, only one of which a node table may be seen is there.
    """
    rows = {str(row[0]): row[1] for row in _rows(conn, schema)}
    seen = set(rows)
    if visible is not None:
        seen = {graph.name for graph in graphs(conn, schema=schema, visible=visible)}
    if name not in seen:
        known = ", ".join(repr(row) for row in rows if row in seen) or "none"
        raise ValueError(f"no knowledge graph is called {name!r}; declared: {known}")
    return from_json(name, rows[name])


class Examined(NamedTuple):
    """A declaration, and a sentence for each thing that is wrong with it."""

    name: str
    graph: KnowledgeGraph | None
    """None: it cannot be read."""
    problems: list[str]


def examined(conn: Any, *, schema: str = "main") -> list[Examined]:
    """Return all declarations in their order, held against the file."""
    found = []
    for name, definition in _rows(conn, schema):
        try:
            graph = from_json(str(name), definition)
        except ValueError as error:
            found.append(Examined(str(name), None, [str(error)]))
        else:
            found.append(Examined(graph.name, graph, bind(conn, graph, schema=schema).problems))
    return found


def broken(conn: Any, *, schema: str = "main") -> list[str]:
    """Return what is wrong with declarations that cannot be read, a sentence for each."""
    found = []
    for name, definition in _rows(conn, schema):
        try:
            from_json(str(name), definition)
        except ValueError as error:
            found.append(str(error))
    return found


def define(conn: Any, graph: KnowledgeGraph, *, schema: str = "main", replace: bool = True) -> None:
    """Declare a graph in the file, in one transaction (the caller's, where there is one).

    Every table and column is looked up first. Raises ValueError for one that is not there, and
    with `replace=False` for a name that is taken.
    """
    check(graph)
    problems = bind(conn, graph, schema=schema).problems
    if problems:
        raise ValueError(problems[0])
    execute = _execute(conn)
    table = f"{quote(schema)}.{quote(TABLE)}"
    execute("SAVEPOINT muninn_define")
    try:
        execute(f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, definition TEXT)")
        taken = list(execute(f"SELECT 1 FROM {table} WHERE name = ?", (graph.name,)))
        if taken and not replace:
            raise ValueError(f"there is already a knowledge graph called {graph.name!r}")
        execute(
            f"INSERT INTO {table} (name, definition) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET definition = excluded.definition",
            (graph.name, graph.to_json()),
        )
    except BaseException:
        execute("ROLLBACK TO muninn_define")
        execute("RELEASE muninn_define")
        raise
    execute("RELEASE muninn_define")


def drop(conn: Any, name: str, *, schema: str = "main") -> None:
    """Take a declaration back; its tables stay. Raises ValueError where there is none."""
    if name not in {str(row[0]) for row in _rows(conn, schema)}:
        graph_named(conn, name, schema=schema)
    execute = _execute(conn)
    execute("SAVEPOINT muninn_drop")
    execute(f"DELETE FROM {quote(schema)}.{quote(TABLE)} WHERE name = ?", (name,))
    execute("RELEASE muninn_drop")


def _execute(conn: Any) -> Any:
    return getattr(conn, "conn", conn).execute


def _rows(conn: Any, schema: str) -> list[tuple[Any, Any]]:
    execute = _execute(conn)
    # A view or a virtual table of that name is not ours: it could run anything when it is read.
    there = list(
        execute(
            f"SELECT 1 FROM {quote(schema)}.sqlite_master "
            "WHERE type = 'table' AND name = ? AND sql LIKE 'CREATE TABLE%'",
            (TABLE,),
        )
    )
    if not there:
        return []
    return list(execute(f"SELECT name, definition FROM {quote(schema)}.{quote(TABLE)}"))
