"""Who may see what: tables made from a table are as private as that table."""

from __future__ import annotations

import asyncio
import contextvars
import json
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from datasette.permissions import Action, PermissionSQL
from datasette.resources import TableResource

from sqlite_utils_muninn.search.stored import TABLE as GRAPHS
from sqlite_utils_muninn.vectors.storage.derived import derived_tables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from datasette.app import Datasette
    from datasette.database import Database

VIEW_MODELS = "muninn-view-models"
MANAGE_MODELS = "muninn-manage-models"

_RULES = """
    SELECT json_extract(value, '$[0]') AS parent, json_extract(value, '$[1]') AS child,
        0 AS allow, 'made from a table that may not be viewed' AS reason
    FROM json_each(:muninn_denied)
"""

# A source's own permission is asked for while ours is being worked out.
_asking: contextvars.ContextVar[bool] = contextvars.ContextVar("muninn_asking", default=False)

_known: WeakKeyDictionary[Database, tuple[int, dict[str, str]]] = WeakKeyDictionary()


def actions() -> list[Action]:
    """The plugin's own actions. Names without an abbreviation: those are few, and Datasette's."""
    return [
        Action(name=VIEW_MODELS, description="View which models there are, and try them"),
        Action(
            name=MANAGE_MODELS, description="Install models, load them into memory and unload them"
        ),
    ]


def allowed_by_default(datasette: Datasette, action: str) -> PermissionSQL | None:
    """Allow what anybody may do unless the configuration says otherwise."""
    if action != VIEW_MODELS or datasette.default_deny:
        return None
    return PermissionSQL.allow(reason="models may be viewed by default")


def derived_tables_sql(
    datasette: Datasette, actor: Any, action: str
) -> Callable[[], Awaitable[PermissionSQL | None]] | None:
    """Rules that deny vectors, logs and texts made from tables that the actor may not view.

    Datasette does the same for full-text tables; it does not know ours. A denial of one table
    beats every allowance of it.
    """
    if action != "view-table" or _asking.get():
        return None

    async def rules() -> PermissionSQL | None:
        per_database = await asyncio.gather(
            *(_denied(datasette, actor, name) for name in datasette.databases)
        )
        denied = [pair for pairs in per_database for pair in pairs]
        if not denied:
            return None
        return PermissionSQL(sql=_RULES, params={"muninn_denied": json.dumps(denied)})

    return rules


async def derived_of(db: Database) -> dict[str, str]:
    """Derived table -> the table it was made from; kept for as long as the schema is the same."""
    version = (await db.execute("PRAGMA schema_version")).first()[0]
    kept = _known.get(db)
    if kept is None or kept[0] != version:
        kept = (version, await db.execute_fn(_read))
        _known[db] = kept
    return kept[1]


async def tables_named(db: Database) -> set[str]:
    """Tables of a file that its declared graphs name: who may not view one reads no declaration.

    Whatever text in a definition is the name of a table counts, so that a definition that is broken
    or newer than this program hides no less.
    """
    named: set[str] = await db.execute_fn(_read_named)
    return named


def _read_named(conn: Any) -> set[str]:
    master = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
    found = {row[0].casefold(): (row[0], row[1]) for row in conn.execute(master)}
    if found.get(GRAPHS, ("", ""))[1] != "table":
        return set()
    tables = {folded: name for folded, (name, _) in found.items()}
    try:
        definitions = [row[0] for row in conn.execute(f"SELECT definition FROM {GRAPHS}")]
        words = {word.casefold() for text in definitions for word in _texts(json.loads(text))}
    except Exception:  # a table of another make, or no JSON: it may name anything
        return set(tables.values()) - {GRAPHS}
    return {tables[word] for word in words if word in tables and word != GRAPHS}


def _texts(value: Any) -> Iterator[str]:
    """Every text in what JSON holds, keys and values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _read(conn: Any) -> dict[str, str]:
    return derived_tables(lambda sql: conn.execute(sql).fetchall())


async def may_view(datasette: Datasette, actor: Any, database: str, table: str) -> bool:
    """Whether an actor may view a table, by the table's own rules and Datasette's."""
    verdict: bool = await datasette.allowed(
        action="view-table", resource=TableResource(database, table), actor=actor
    )
    return verdict


async def _denied(datasette: Datasette, actor: Any, database: str) -> list[tuple[str, str]]:
    derived = await derived_of(datasette.databases[database])
    named = await tables_named(datasette.databases[database])
    token = _asking.set(True)
    try:
        sources = sorted({*derived.values(), *(derived.get(table, table) for table in named)})
        verdicts = await asyncio.gather(
            *(_may_view_source(datasette, actor, database, source, derived) for source in sources)
        )
    finally:
        _asking.reset(token)
    visible = {source for source, verdict in zip(sources, verdicts, strict=True) if verdict}
    denied = [(database, table) for table, source in derived.items() if source not in visible]
    if any(derived.get(table, table) not in visible for table in named):
        denied.append((database, GRAPHS))
    return denied


async def _may_view_source(
    datasette: Datasette, actor: Any, database: str, source: str, derived: dict[str, str]
) -> bool:
    # A source that is itself derived would be asked about without our rules: it counts as hidden.
    if not source or source in derived:
        return False
    return await may_view(datasette, actor, database, source)
