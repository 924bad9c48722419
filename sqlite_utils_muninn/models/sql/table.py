"""The table `temp.muninn_models`: the models of a connection by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Plan, Rows, SQLError, VirtualTable

from ..errors import ModelFileError
from ..model import Model
from ..names import Registered, names_of

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Query
    from sqlite_utils_muninn.settings import Host

    from ..backends.backend import TextModel

_CONSTRAINT = 19
_HOST_ROWIDS = 1 << 40  # rows of the host's names are numbered from here

Row = tuple[Any, ...]


class NamedModels(VirtualTable):
    """A table whose rows are names of models: `muninn_models`, and `lembed_models` beside it."""

    title: str

    def __init__(self, db: Database, host: Host) -> None:
        self.host = host
        self.names = names_of(db)

    def begin(self) -> None:
        self.names.begin()

    def sync(self) -> None:
        pass

    def commit(self) -> None:
        self.names.commit()

    def rollback(self) -> None:
        self.names.rollback()

    def savepoint(self, number: int) -> None:
        self.names.savepoint(number)

    def release(self, number: int) -> None:
        self.names.release(number)

    def rollback_to(self, number: int) -> None:
        self.names.rollback_to(number)

    def insert(self, rowid: int | None, values: list[Any], conflict: str) -> int:
        """Register a model under a name; OR REPLACE and OR IGNORE do what they say."""
        if self.host.public:
            raise PermissionError(f"{self.title}: models cannot be registered on this connection")
        name = values[0]
        if not isinstance(name, str) or not name:
            raise ValueError(f"{self.title}: name must be a text of one character or more")
        if conflict != "replace" and (name in self.names.registered or name in self.host.models):
            code = _CONSTRAINT if conflict == "ignore" else 1
            raise SQLError(f"{self.title}: model {name!r} is already loaded", code)
        return self.names.add(name, self.model(values)).rowid

    def model(self, values: list[Any]) -> TextModel:
        """Return the model that a new row stands for. Raises ValueError."""
        raise NotImplementedError

    def update(self, old: int, new: int, values: list[Any], conflict: str) -> None:
        """Refuse: a row is a name and a model, and another of either is another row."""
        raise ValueError(f"{self.title}: rows can be inserted and deleted, not updated")

    def delete(self, rowid: int) -> None:
        """Forget a name; the model stays in memory for its other names."""
        if self.host.public:
            raise PermissionError(f"{self.title}: models cannot be forgotten on this connection")
        row = self.names.at(rowid)
        if row is None:
            raise ValueError(f"{self.title}: models that the host registered cannot be deleted")
        del self.names.registered[row.name]


class ModelsTable(NamedModels):
    """Names, and what is known of their models; no file is loaded to answer a query."""

    title = "muninn_models"
    columns = (
        "name",
        "dim",
        "path",
        "architecture",
        "quantization",
        "pooling",
        "n_ctx",
        "bytes",
        "sha256",
        "loaded",
        "model",
    )
    hidden = ("model",)
    schema = (
        "CREATE TABLE x(name TEXT, dim INTEGER, path TEXT, architecture TEXT, quantization TEXT, "
        "pooling TEXT, n_ctx INTEGER, bytes INTEGER, sha256 TEXT, loaded INTEGER, model HIDDEN)"
    )
    plans = (Plan("all", uses=("name =",), cost=100.0, rows=10),)

    def model(self, values: list[Any]) -> Model:
        model = values[self.columns.index("model")]
        if not isinstance(model, Model):
            raise ValueError(f"{self.title}: model must be the result of muninn_embed_model(path)")
        return model

    def filter(self, query: Query) -> Rows:
        """Give the rows of SQL's names, then of the host's."""
        wanted = query.constraints.get("name =")
        rows = [self._own(row) for row in self.names.registered.values()]
        hosts = [name for name in self.host.models if name not in self.names.registered]
        rows += [self._of_host(number, name) for number, name in enumerate(hosts)]
        rows = [row for row in rows if wanted is None or row[1] == wanted]
        columns = list(zip(*rows, strict=True)) or [()] * (len(self.columns) + 1)
        return Rows([list(column) for column in columns[1:]], rowids=list(columns[0]))

    def _own(self, row: Registered) -> Row:
        model = row.model
        return (
            row.rowid,
            row.name,
            model.known_dimensions,
            None if model.path is None else str(model.path),
            model.architecture,
            model.quantization,
            model.pooling,
            model.context,
            model.size,
            model.sha256,
            model.is_loaded,
            None,
        )

    def _of_host(self, number: int, name: str) -> Row:
        """Return the row of a name that may not have been used yet: its header says enough."""
        rowid = _HOST_ROWIDS + number
        if name in self.names.resolved:
            shown = self._own(Registered(rowid, name, self.names.resolved[name]))
        else:
            shown = self._from_header(rowid, name)
        # the paths of a server are nobody's business
        return (*shown[:3], None, *shown[4:]) if self.host.public else shown

    def _from_header(self, rowid: int, name: str) -> Row:
        from ..probe import remembered
        from ..registry import context_of, registry

        path = Path(self.host.models[name]).expanduser()
        try:
            header = registry().header(path)
            tried = remembered(path, self.host.models_directory)
        except (ModelFileError, OSError):  # using the model says what is wrong with it
            return (rowid, name, None, str(path), *[None] * 7, None)
        return (
            rowid,
            name,
            tried.dimensions if tried else header.dimensions,
            str(path),
            header.architecture,
            header.quantization,
            header.pooling,
            context_of(header, None),
            header.size,
            tried.sha256 if tried else None,
            registry().is_loaded(path),
            None,
        )
