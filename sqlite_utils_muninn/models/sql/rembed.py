"""sqlite-rembed's SQL: `rembed`, `rembed_client_options` and `temp.rembed_clients`.

Clients are models under names, the same as in `muninn_models`: a client works in every function
that embeds, and transactions undo its registration. Vectors have length 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Function, Module, Parameter, Plan, Pointer, Rows

from ..names import lookup
from .embedding import embed_one
from .table import NamedModels
from .unless import Unless

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration, Query
    from sqlite_utils_muninn.settings import Host

    from ..backends.backend import TextModel
    from ..backends.servers import Endpoint

_TABLE = "rembed_clients"
_ROLES = {"search_query": "query", "search_document": "document", "query": "query"}
_PAIRS = tuple(
    Parameter(f"{part}{number}", None, kind="text")
    for number in range(1, 6)
    for part in ("key", "value")
)


@dataclass(frozen=True)
class ClientOptions:
    """A server and what is known of it; the model is the client's name where none is given."""

    format: str
    model: str | None = None
    url: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        return f"ClientOptions({self.format!r})"  # no key in a traceback

    def endpoint(self, name: str) -> Endpoint:
        """Return where the model is. Raises ValueError."""
        from ..backends.servers import endpoint_of

        try:
            return endpoint_of(self.format, self.model or name, url=self.url, key=self.key)
        except ValueError as error:
            raise ValueError(f"{_TABLE}: {error}") from None


def surface(host: Host) -> list[Declaration]:
    """Return sqlite-rembed's functions and its table."""

    def rembed(db: Database, client: str, text: str, input_type: str | None = None) -> bytes:
        if host.public:
            raise PermissionError("rembed: servers cannot be asked on this connection")
        model = lookup(db, host, client, "rembed")
        role = _ROLES.get(input_type or "", "document" if input_type else None)
        return embed_one(db, host, "rembed", model, text, role=role)

    def client_options(db: Database, *pairs: Any) -> Pointer:
        return Pointer(_options(pairs))

    def connect(db: Database, schema: str, table: str, arguments: list[str]) -> RembedClients:
        return RembedClients(db, host)

    client = Parameter("client", kind="text", help="A name from temp.rembed_clients.")
    text = Parameter("text", kind="text")
    kind = Parameter("input_type", None, kind="text", help="'search_query' or 'search_document'.")
    declared: list[Declaration] = [
        Function(
            "rembed",
            (client, text, kind),
            rembed,
            help="The embedding of a text, computed by a server.",
            returns="blob",
            safety="directonly",
        ),
        Function(
            "rembed_client_options",
            _PAIRS,
            client_options,
            help="Options of a client, as key, value, key, value: format, model, url, key.",
            returns="pointer",
            safety="directonly",
        ),
        Module(
            _TABLE,
            RembedClients,
            create=connect,
            connect=connect,
            help="Servers by name: INSERT (name, options) registers one.",
            safety="directonly",
            eponymous=True,
        ),
    ]
    return [Unless("rembed_version", each) for each in declared]


def _options(pairs: tuple[Any, ...]) -> ClientOptions:
    given = list(pairs)
    while given and given[-1] is None:  # arguments left out
        given.pop()
    caller = "rembed_client_options"
    if len(given) % 2:
        raise ValueError(f"{caller}: arguments must be pairs of key and value")
    options = dict(zip(given[::2], given[1::2], strict=True))
    allowed = ("format", "model", "url", "key")
    for name in options:
        if name not in allowed:
            raise ValueError(f"{caller}: unknown option {name!r} (known: {', '.join(allowed)})")
    if not options.get("format"):
        raise ValueError(f"{caller}: 'format' is required")
    return ClientOptions(**options)


class RembedClients(NamedModels):
    """Names of models on servers. What was given as a key cannot be read back."""

    title = _TABLE
    columns = ("name", "options")
    schema = "CREATE TABLE x(name TEXT, options)"
    plans = (Plan("all", cost=100.0, rows=10),)

    def model(self, values: list[Any]) -> TextModel:
        from ..backends.remote import RemoteModel

        name, options = values
        if isinstance(options, str):
            options = ClientOptions(options)
        if not isinstance(options, ClientOptions):
            raise ValueError(
                f"{_TABLE}: options must be a format such as 'openai' "
                "or the result of rembed_client_options(...)"
            )
        return RemoteModel(name, options.endpoint(name))

    def filter(self, query: Query) -> Rows:
        """Give the names of servers' models, and where those are."""
        rows = [row for row in self.names.registered.values() if row.model.architecture == "server"]
        return Rows(
            [[row.name for row in rows], [str(row.model.path) for row in rows]],
            rowids=[row.rowid for row in rows],
        )
