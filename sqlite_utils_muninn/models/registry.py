"""The models of this process: one engine for each file, whoever asks and by whatever name."""

from __future__ import annotations

import dataclasses
import os
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlite_utils_muninn import settings

from .engine import Engine
from .errors import ModelFileError
from .files.catalogue import KnownModel, catalogue
from .files.header import Header, read_header
from .files.store import InstalledModel, ModelStore
from .model import Model
from .probe import probed

if TYPE_CHECKING:
    from .backends.backend import TextModel

MOST_CONTEXT = 8192
"""Tokens read of one text unless more are asked for: memory and time grow with them."""

LEAST_CONTEXT = 8

_Identity = tuple[str, int, int, int]


class Registry:
    """Hands out models; the same file gives the same engine, a replaced file a new one."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._start_over()

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._headers: dict[_Identity, Header] = {}
        self._engines: dict[tuple[_Identity, str], Engine] = {}

    def open(
        self,
        name_or_path: str | Path,
        directory: Path | None = None,
        *,
        context: int | None = None,
    ) -> Model:
        """Return an installed model by name or alias, or a file by its path.

        Raises ModelFileError with one sentence: no such model, not installed, not loadable.
        """
        directory = directory or settings.default_models_directory()
        path = Path(name_or_path).expanduser()
        if isinstance(name_or_path, Path) or path.suffix == ".gguf" or path.is_file():
            return self.open_file(path, directory=directory, context=context)
        installed = ModelStore(directory).find(name_or_path)
        return self.open_installed(installed, directory=directory, context=context)

    def open_installed(
        self, installed: InstalledModel, *, directory: Path, context: int | None = None
    ) -> Model:
        """Return a model of the models directory, with what was recorded of it."""
        return self.open_file(
            installed.path, directory=directory, context=context, installed=installed
        )

    def open_file(
        self,
        path: Path,
        *,
        directory: Path,
        name: str | None = None,
        context: int | None = None,
        installed: InstalledModel | None = None,
    ) -> Model:
        """Return the model of a GGUF file, after it was tried once in another process.

        `context` limits the tokens that are read of a text, up to what the model was trained for.
        Raises ModelFileError "failed to load PATH: why", ValueError, LlamaMissingError.
        """
        header = self.header(path)
        found = probed(header, directory)
        name = name or (installed.name if installed else path.stem)
        pooling = (installed and installed.pooling) or found.pooling
        known = known_model(name, path, found.sha256)
        query, document = _prefixes(known, installed)
        return Model(
            engine=self.engine(header, pooling, found.agreement),
            name=name,
            sha256=found.sha256,
            dimensions=found.dimensions,
            context=context_of(header, context),
            query_prefix=query,
            document_prefix=document,
            layer_norm_before_cut=known.layer_norm_before_cut if known else False,
        )

    def header(self, path: Path) -> Header:
        """Return the header of a file, read once for as long as the file stays as it is."""
        identity = _identity(path)
        with self._lock:
            header = self._headers.get(identity)
        if header is None:
            header = read_header(path)
            with self._lock:
                self._forget(identity[0])
                self._headers[identity] = header
        return header

    def engine(self, header: Header, pooling: str, agreement: float | None = None) -> Engine:
        """Return the engine of a file."""
        key = (_identity(header.path), pooling)
        with self._lock:
            if key not in self._engines:
                self._engines[key] = Engine(header, pooling, self.threads, agreement)
            return self._engines[key]

    def is_loaded(self, path: Path) -> bool:
        """Whether a file is in memory."""
        identity = _identity(path)
        with self._lock:
            return any(key[0] == identity and e.is_loaded for key, e in self._engines.items())

    def _forget(self, path: str) -> None:
        """Let go of what a path was before; connections that still use it keep it alive."""
        self._headers = {key: kept for key, kept in self._headers.items() if key[0] != path}
        self._engines = {key: kept for key, kept in self._engines.items() if key[0][0] != path}


AnyModel = TypeVar("AnyModel", bound="TextModel")


def named(model: AnyModel, name: str) -> AnyModel:
    """Return a model, a dataclass, under another name.

    A file that the catalogue does not know by its bytes or name, but that the user calls by a name
    of the catalogue, gets the prefixes of that entry if it has as many dimensions.
    """
    renamed: AnyModel = dataclasses.replace(model, name=name)  # type: ignore[type-var]
    if not isinstance(renamed, Model) or renamed.query_prefix:
        return renamed
    known = catalogue().get(name)
    if known is None or known.dimensions != renamed.dimensions:
        return renamed
    return dataclasses.replace(
        renamed,
        query_prefix=known.query_prefix,
        document_prefix=renamed.document_prefix or known.document_prefix,
        layer_norm_before_cut=known.layer_norm_before_cut,
    )


def known_model(name: str, path: Path, sha256: str) -> KnownModel | None:
    """Return what the catalogue knows of a model, by its bytes, its file's name or its own."""
    for known in catalogue():
        made = known.conversion.sha256 if known.conversion else None
        if sha256 in {known.sha256, made}:
            return known
    return catalogue().by_file(path.name) or catalogue().get(name) or catalogue().get(path.stem)


def _prefixes(known: KnownModel | None, installed: InstalledModel | None) -> tuple[str, str]:
    """Return query and document prefix: those that the user gave, else those of the card."""
    query = installed.query_prefix if installed else None
    document = installed.document_prefix if installed else None
    return (
        (known.query_prefix if known else "") if query is None else query,
        (known.document_prefix if known else "") if document is None else document,
    )


def context_of(header: Header, wanted: int | None) -> int:
    """Return how many tokens are read; beyond what it was trained for a model may crash."""
    if wanted is None:
        return min(header.context, MOST_CONTEXT)
    if wanted < LEAST_CONTEXT:
        raise ValueError(f"n_ctx must be {LEAST_CONTEXT} or more, got {wanted}")
    return min(wanted, header.context)


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError as error:
        raise ModelFileError(f"failed to load {path}: {error.strerror}") from error
    return (os.path.realpath(path), status.st_ino, status.st_size, status.st_mtime_ns)


@cache
def registry() -> Registry:
    """Return the registry of this process."""
    made = Registry(settings.default_threads())
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made._start_over)
    return made
