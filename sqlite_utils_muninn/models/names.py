"""The names of models on one connection: those that SQL registered, and those that the host did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils_muninn.settings import DEFAULT_MODEL

from .errors import ModelFileError

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.settings import Host

    from .backends.backend import TextModel
    from .model import Model

_STATE = "models.names"


class UnknownNameError(ValueError):
    """No model has this name on this connection."""


@dataclass(frozen=True)
class Registered:
    """A name that SQL gave a model; the rowid is its row in `muninn_models`."""

    rowid: int
    name: str
    model: TextModel


class Names:
    """Models that SQL registered on one connection, with the transactions they were part of."""

    def __init__(self) -> None:
        self.registered: dict[str, Registered] = {}
        self.resolved: dict[str, TextModel] = {}
        """Names of the host and the models directory that were used here before."""
        self._next = 1
        self._before: dict[str, Registered] | None = None
        self._savepoints: dict[int, dict[str, Registered]] = {}

    def add(self, name: str, model: TextModel) -> Registered:
        """Give a model a name, which nothing registered may have."""
        from .registry import named

        row = Registered(self._next, name, named(model, name))
        self._next += 1
        self.registered[name] = row
        return row

    def at(self, rowid: int) -> Registered | None:
        """Return what a row of `muninn_models` stands for, if SQL registered it."""
        return next((row for row in self.registered.values() if row.rowid == rowid), None)

    # Two tables (muninn_models, lembed_models) write these names and both are told of each step:
    # the first one that is told counts.

    def begin(self) -> None:
        if self._before is None:
            self._before = dict(self.registered)

    def commit(self) -> None:
        self._before = None
        self._savepoints.clear()

    def rollback(self) -> None:
        if self._before is not None:
            self.registered = self._before
        self.commit()

    def savepoint(self, number: int) -> None:
        self._savepoints.setdefault(number, dict(self.registered))

    def release(self, number: int) -> None:
        self._savepoints = {n: kept for n, kept in self._savepoints.items() if n < number}

    def rollback_to(self, number: int) -> None:
        if number in self._savepoints:
            self.registered = dict(self._savepoints[number])
        self.release(number + 1)


def names_of(db: Database) -> Names:
    """Return the names of a connection."""
    names: Names = db.state.setdefault(_STATE, Names())
    return names


def lookup(db: Database, host: Host, name: str, caller: str = "") -> TextModel:
    """Return the model of a name on a connection; `caller` starts the words of an error.

    In this order: names that SQL registered here, names of the host, installed models by name or
    alias, where the host allows paths a path that ends in .gguf, and what other backends know.
    Raises UnknownNameError, a ValueError, which lists what there is; ModelFileError where the file
    cannot be loaded; LlamaMissingError.
    """
    names = names_of(db)
    if row := names.registered.get(name):
        return row.model
    if name not in names.resolved:
        names.resolved[name] = _resolved(names, host, name, caller)
    return names.resolved[name]


def lookup_local(db: Database, host: Host, name: str, caller: str) -> Model:
    """Do as `lookup` does, for what only llama.cpp in this process can do. Raises ValueError."""
    from .model import Model

    model = lookup(db, host, name, caller)
    if not isinstance(model, Model):
        raise ValueError(_said(caller, f"model {name!r} is not computed by llama.cpp here"))
    return model


def _resolved(names: Names, host: Host, name: str, caller: str) -> TextModel:
    from .backends import backends

    try:
        for backend in backends():
            if model := backend.open(name, host):
                return model
    except ModelFileError as error:
        if host.public:  # the reason names files of the server; `db.last_error` has it
            raise ModelFileError(_said(caller, f"model {name!r} cannot be loaded")) from error
        raise ModelFileError(_said(caller, str(error))) from error
    except PermissionError as error:
        raise PermissionError(_said(caller, str(error))) from error
    raise UnknownNameError(_said(caller, _unknown(names, host, name)))


def _unknown(names: Names, host: Host, name: str) -> str:
    from .files.catalogue import catalogue
    from .files.store import ModelStore

    known = dict.fromkeys([*names.registered, *host.models])
    known.update(dict.fromkeys(model.name for model in ModelStore(host.models_directory)))
    text = f"model {name!r} is not loaded. Loaded: {', '.join(known) or 'none'}"
    if host.public:
        return text
    entry = catalogue().get(name)
    if entry:
        return f"{text}. Get it with: sqlite-utils muninn models pull {entry.name}"
    if not known:
        return (
            f"{text}. Get one with: sqlite-utils muninn models pull {DEFAULT_MODEL} "
            "(the name 'trigrams' works without: it compares spelling, not meaning)"
        )
    return text


def _said(caller: str, text: str) -> str:
    return f"{caller}: {text}" if caller else text
