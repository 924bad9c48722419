"""The models directory: which model files are here, and what is recorded of them.

The files are the truth. `index.json` beside them adds what a file cannot say of itself
(where it came from, its checksum, a name and prefixes that the user gave) and the
checksums of the first pulls, to which later ones are held even after a removal. A
damaged index loses those notes, never the models.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..errors import StoreError, UnknownModelError
from .catalogue import (
    Catalogue,
    KnownModel,
    catalogue,
    unknown_model,
)
from .checksum import sha256_of
from .locks import exclusive, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INDEX = "index.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LOCK_SECONDS = 10.0  # changes of the index take milliseconds


@dataclass(frozen=True)
class InstalledModel:
    """A model file that is here."""

    name: str
    path: Path
    size: int | None = None
    sha256: str | None = None
    """None for a file that was put into the directory by hand."""
    source: str | None = None
    """The URL, package or path that it came from."""
    installed: str | None = None
    """When it was recorded, in UTC."""
    query_prefix: str | None = None
    """What the user gave with `add`; None leaves it to the catalogue."""
    document_prefix: str | None = None
    pooling: str | None = None


@dataclass
class _Index:
    """What index.json holds: models by name in lower case, checksums by URL."""

    models: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    checksums: dict[str, str] = dataclasses.field(default_factory=dict)


class ModelStore:
    """The models in one directory. Several processes may use it at once."""

    def __init__(self, directory: Path, known: Catalogue | None = None) -> None:
        self.directory = directory
        self.catalogue = known or catalogue()
        self.damage: str | None = None
        """Why the index could not be read, where it could not."""

    def __iter__(self) -> Iterator[InstalledModel]:
        """Yield the recorded models, then GGUF files that were put here by hand."""
        recorded = [self._recorded(record) for record in self._read().models.values()]
        yield from sorted(recorded, key=lambda model: model.name.lower())
        taken = {model.path for model in recorded}
        names = {model.name.lower() for model in recorded}
        for path in sorted(self.directory.glob("*.gguf")):
            model = self._unrecorded(path)
            if path not in taken and model.name.lower() not in names:
                names.add(model.name.lower())
                yield model

    def get(self, name: str) -> InstalledModel | None:
        """Return the model of that name or alias if its file is here, else None."""
        known = self.catalogue.get(name)
        wanted = (known.name if known else name).lower()
        for model in self:
            if model.name.lower() == wanted and model.path.is_file():
                return model
        return None

    def find(self, name: str) -> InstalledModel:
        """Return the installed model of that name or alias.

        Raises UnknownModelError for a name that nothing has, StoreError for a model
        that is known but not here.
        """
        if model := self.get(name):
            return model
        for gone in self:
            if gone.name.lower() == name.lower():
                raise StoreError(f"The file of model {gone.name!r} is gone: {gone.path}")
        if known := self.catalogue.get(name):
            raise StoreError(
                f"Model {known.name!r} is not installed. "
                f"Install it with: sqlite-utils muninn models pull {known.name}"
            )
        names = [model.name for model in self]
        names += [spelling for known in self.catalogue for spelling in known.names]
        raise UnknownModelError(unknown_model(name, names))

    def checksum_held(self, url: str) -> str | None:
        """Return the checksum that the first pull from this URL brought."""
        return self._read().checksums.get(url)

    def record(self, model: InstalledModel, *, url: str | None = None) -> InstalledModel:
        """Note a model that has come. With a `url`, later pulls are held to its checksum."""
        if not _NAME.fullmatch(model.name):
            raise StoreError(
                f"A model cannot be named {model.name!r}: "
                "use letters, digits, '.', '_' and '-', up to 100 of them"
            )
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        model = dataclasses.replace(model, installed=model.installed or now)
        with self._changing() as index:
            index.models[model.name.lower()] = self._as_record(model)
            if url and model.sha256:
                index.checksums.setdefault(url, model.sha256)
        return model

    def add(
        self,
        name: str,
        path: Path,
        *,
        query_prefix: str | None = None,
        document_prefix: str | None = None,
        pooling: str | None = None,
        replace: bool = False,
    ) -> InstalledModel:
        """Register a file where it is, under a name. Raises StoreError if that is taken."""
        known = self.catalogue.get(name)
        name = known.name if known else name
        taken = self.get(name)
        if taken and not replace:
            raise StoreError(f"A model named {taken.name!r} is installed already: {taken.path}")
        path = path.expanduser().absolute()
        if not path.is_file():
            raise StoreError(f"There is no file {path}")
        return self.record(
            InstalledModel(
                name=name,
                path=path,
                size=path.stat().st_size,
                sha256=sha256_of(path),
                source=str(path),
                query_prefix=query_prefix,
                document_prefix=document_prefix,
                pooling=pooling,
            )
        )

    def remove(self, name: str) -> InstalledModel:
        """Forget a model, and delete its file if it lies in the models directory."""
        known = self.catalogue.get(name)
        wanted = (known.name if known else name).lower()
        model = next((model for model in self if model.name.lower() == wanted), None)
        if model is None:
            model = self.find(name)  # raises, saying what there is
        if self.owns(model.path):
            model.path.unlink(missing_ok=True)
        with self._changing() as index:
            index.models.pop(wanted, None)
        return model

    def owns(self, path: Path) -> bool:
        """Whether a file lies in the models directory itself."""
        return path.parent == self.directory

    def prepare(self) -> None:
        """Make the directory. Raises StoreError if that cannot be."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The models directory {self.directory} cannot be made: {error.strerror}"
            ) from error

    def _recorded(self, record: dict[str, Any]) -> InstalledModel:
        # a path without a directory is relative to the models directory, which may move
        return InstalledModel(**{**record, "path": self.directory / record["path"]})

    def _as_record(self, model: InstalledModel) -> dict[str, Any]:
        path = model.path.name if self.owns(model.path) else str(model.path)
        record = {**dataclasses.asdict(model), "path": path}
        return {name: value for name, value in record.items() if value is not None}

    def _unrecorded(self, path: Path) -> InstalledModel:
        known: KnownModel | None = self.catalogue.by_file(path.name)
        return InstalledModel(known.name if known else path.stem, path, path.stat().st_size)

    def _read(self) -> _Index:
        """Return the index, or an empty one if there is none or it is damaged."""
        path = self.directory / INDEX
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            index = _Index(dict(content["models"]), dict(content["checksums"]))
            for record in index.models.values():
                self._recorded(record)
        except FileNotFoundError:
            return _Index()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            self.damage = f"{path} is damaged ({error}); models that were added must be added again"
            return _Index()
        return index

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Index]:
        """Yield the index, alone among all processes, and write it back."""
        self.prepare()
        path = self.directory / INDEX
        try:
            with exclusive(self.directory / ".index.lock", _LOCK_SECONDS):
                index = self._read()
                if self.damage and path.exists():
                    path.replace(path.with_suffix(".damaged"))
                yield index
                text = json.dumps(dataclasses.asdict(index), indent=2, ensure_ascii=False) + "\n"
                write_whole(path, text.encode())
                self.damage = None
        except TimeoutError as error:
            raise StoreError(f"Another process is changing {self.directory}: try again") from error
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
