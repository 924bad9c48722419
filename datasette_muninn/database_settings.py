"""What the configuration says of one database, checked once.

databases:
  attack:
    plugins:
      datasette-muninn:
        graphs:
          attack:
            nodes:
            - table: objects
              label: name
              text: [name, description]
            edges:
            - table: relationships
              source: source
              target: target
              type: type
        questions:
        - Who steals passwords from memory?
        reranker: jina-reranker-v1-tiny-en
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from datasette.utils import StartupError

from sqlite_utils_muninn.search.binding import bind
from sqlite_utils_muninn.search.declared import from_json

from .settings import PLUGIN, checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datasette.app import Datasette

    from sqlite_utils_muninn.search.declared import KnowledgeGraph

    from .settings import Check


@dataclass(frozen=True)
class DatabaseSettings:
    """What the administrator may set for a database."""

    graphs: Mapping[str, KnowledgeGraph] = field(default_factory=dict)
    """Knowledge graphs by name; they stand in for those of the file that have the same name."""
    questions: tuple[str, ...] = ()
    """Examples, on the page before the first search."""
    reranker: str | None = None
    """A model that judges the best results again, unless a visitor switches it off."""


_settings: WeakKeyDictionary[Datasette, dict[str, DatabaseSettings]] = WeakKeyDictionary()


def database_settings(datasette: Datasette, database: str) -> DatabaseSettings:
    """Return what is set for a database. Raises StartupError, naming the option that is wrong."""
    known = _settings.setdefault(datasette, {})
    if database not in known:
        config = datasette.plugin_config(PLUGIN, database=database, fallback=False)
        known[database] = read(database, config or {})
    return known[database]


async def check_all(datasette: Datasette) -> None:
    """Read what is set for each database, and look up the tables and columns of its graphs.

    Raises StartupError for what is wrong or not there.
    """
    for database in (datasette.config or {}).get("databases") or {}:
        graphs = database_settings(datasette, database).graphs
        db = datasette.databases.get(database)
        for graph in graphs.values() if db else ():
            problems = await db.execute_fn(partial(_problems, graph=graph))
            if problems:
                raise StartupError(f"{PLUGIN}, database {database!r}: {problems[0]}")


def _problems(conn: Any, *, graph: KnowledgeGraph) -> list[str]:
    return bind(conn, graph).problems


def read(database: str, config: Any) -> DatabaseSettings:
    """Check one database's configuration. Raises StartupError."""
    return DatabaseSettings(**checked(f"{PLUGIN}, database {database!r}", config, _CHECKS))


def _graphs(where: str, value: Any) -> dict[str, KnowledgeGraph]:
    if not isinstance(value, dict):
        raise StartupError(f"{where} must map names to knowledge graphs, got {value!r}")
    try:
        return {str(name): from_json(str(name), graph) for name, graph in value.items()}
    except ValueError as error:
        raise StartupError(f"{where}: {error}") from error


def _questions(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise StartupError(f"{where} must be a list of texts, got {value!r}")
    return tuple(value)


def _name(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise StartupError(f"{where} must be the name of a model, got {value!r}")
    return value


_CHECKS: dict[str, Check] = {
    "graphs": _graphs,
    "questions": _questions,
    "reranker": _name,
}
