"""The models that an instance knows: the catalogue's, the installed, and those of its settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.vectors.storage.schema import vector_tables

from ..permissions import may_view
from ..settings import settings_of

if TYPE_CHECKING:
    from datasette.app import Datasette

    from sqlite_utils_muninn.models.files.catalogue import KnownModel
    from sqlite_utils_muninn.models.files.header import Header


@dataclass
class ModelEntry:
    """What is known of a model, without loading it. What nobody knows is None."""

    name: str
    aliases: list[str] = field(default_factory=list)
    task: str | None = None
    installed: bool = False
    loaded: bool = False
    size: int | None = None
    """Bytes of the file here, or of the one that an installation would bring."""
    dimensions: int | None = None
    context: int | None = None
    pooling: str | None = None
    architecture: str | None = None
    quantization: str | None = None
    parameters: int | None = None
    licence: str | None = None
    sha256: str | None = None
    query_prefix: str | None = None
    document_prefix: str | None = None
    homepage: str | None = None
    notes: str | None = None
    problem: str | None = None
    """Why its file cannot be used."""
    tables: list[dict[str, str]] = field(default_factory=list)
    """Tables with vectors of this model that the actor may view."""


async def entries(datasette: Datasette, actor: Any) -> list[ModelEntry]:
    """Return all models: first those that are here, each with the tables that use it."""
    settings = settings_of(datasette)
    found = await asyncio.to_thread(_entries, settings.models, settings.models_directory)
    by_name = {name.casefold(): each for each in found for name in (each.name, *each.aliases)}
    for used, place in await _used(datasette, actor):
        if entry := by_name.get(used.casefold()):
            entry.tables.append(place)
    return sorted(found, key=lambda entry: not entry.installed)


async def entry_of(datasette: Datasette, actor: Any, name: str) -> ModelEntry | None:
    """Return the model of a name or alias, if there is one."""
    for entry in await entries(datasette, actor):
        if name.casefold() in (known.casefold() for known in (entry.name, *entry.aliases)):
            return entry
    return None


def file_of(datasette: Datasette, name: str) -> Path | None:
    """Return the file of a model that is here."""
    from sqlite_utils_muninn.models.files.store import ModelStore

    settings = settings_of(datasette)
    if name in settings.models:
        return Path(settings.models[name]).expanduser()
    here = ModelStore(settings.models_directory).get(name)
    return here.path if here else None


def known_model(name: str) -> KnownModel | None:
    """Return the catalogue's entry of a name, if it has one."""
    from sqlite_utils_muninn.models.files.catalogue import catalogue

    return catalogue().get(name)


def facts(path: Path, directory: Path) -> dict[str, Any]:
    """Return what a file's header says. Raises ModelFileError."""
    from sqlite_utils_muninn.models.files.facts import facts_of
    from sqlite_utils_muninn.models.probe import computed_by
    from sqlite_utils_muninn.models.registry import registry

    header = registry().header(path)
    by = computed_by(header, header.pooling, directory)
    return {**facts_of(header), **({"computed_by": by} if by else {})}


def _entries(models: dict[str, str], directory: Path) -> list[ModelEntry]:
    from sqlite_utils_muninn.models.backends.servers import is_served
    from sqlite_utils_muninn.models.files.store import ModelStore

    store = ModelStore(directory)
    here = {model.name.casefold(): model for model in store}
    found = []
    for name, path in models.items():
        if is_served(path):  # never to be used from the web
            continue
        found.append(_of_file(name, Path(path).expanduser(), directory, store.catalogue.get(name)))
    for known in store.catalogue:
        if any(name.casefold() in map(str.casefold, models) for name in known.names):
            continue
        installed = here.pop(known.name.casefold(), None)
        if installed:
            found.append(_of_file(known.name, installed.path, directory, known, installed.sha256))
        else:
            found.append(_of_catalogue(known))
    for model in here.values():
        if model.name not in models:
            found.append(_of_file(model.name, model.path, directory, None, model.sha256))
    return found


def _of_catalogue(known: KnownModel) -> ModelEntry:
    return ModelEntry(
        name=known.name,
        aliases=list(known.aliases),
        task=known.task,
        size=known.conversion.size if known.conversion else known.size,
        dimensions=known.dimensions,
        context=known.context,
        pooling=known.pooling,
        architecture=known.architecture,
        licence=known.licence,
        sha256=known.conversion.sha256 if known.conversion else known.sha256,
        query_prefix=known.query_prefix or None,
        document_prefix=known.document_prefix or None,
        homepage=known.homepage,
        notes=known.notes,
    )


def _of_file(
    name: str, path: Path, directory: Path, known: KnownModel | None, sha256: str | None = None
) -> ModelEntry:
    from sqlite_utils_muninn.models.probe import remembered
    from sqlite_utils_muninn.models.registry import registry

    entry = _of_catalogue(known) if known else ModelEntry(name)
    entry.name, entry.sha256 = name, sha256
    try:
        header = registry().header(path)
        tried = remembered(path, directory)
        entry.loaded = registry().is_loaded(path)
    except (ValueError, OSError):
        entry.size = None
        entry.problem = "its file is gone or damaged"
        return entry
    entry.installed = True
    entry.sha256 = sha256 or (tried.sha256 if tried else None)
    _describe(entry, header)
    return entry


def _describe(entry: ModelEntry, header: Header) -> None:
    reranks = header.pooling == "rank"
    entry.task = "reranking" if reranks else "embedding"
    entry.size, entry.parameters = header.size, header.parameters
    entry.dimensions = None if reranks else header.dimensions
    entry.context, entry.pooling = header.context, header.pooling
    entry.architecture, entry.quantization = header.architecture, header.quantization
    entry.licence = entry.licence or header.licence


async def _used(datasette: Datasette, actor: Any) -> list[tuple[str, dict[str, str]]]:
    """Return (name of a model, table) for the vector tables that an actor may view."""
    found = []
    for database, db in datasette.databases.items():
        for table in await db.execute_fn(vector_tables):
            shown = table.source or table.name
            if table.model and await may_view(datasette, actor, database, shown):
                url = str(datasette.urls.table(database, shown))
                found.append((table.model, {"database": database, "table": shown, "url": url}))
    return found
