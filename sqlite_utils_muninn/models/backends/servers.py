"""Models on servers that speak OpenAI's embeddings protocol: `openai:NAME`, `ollama:NAME`, ...

Ollama, llama.cpp's server, llamafile, vLLM and many others do. A key is read from the environment
when it is sent; it is in no table, no log and no error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from sqlite_utils_muninn import settings
from sqlite_utils_muninn.hookspecs import hookimpl

from ..errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.settings import Host

    from .backend import Backend, TextModel


@dataclass(frozen=True)
class Provider:
    """Where the models of a prefix are."""

    url: str
    key_variable: str | None = None
    """The environment variable with the key; without one a server takes none."""
    url_variable: str | None = None
    """The environment variable that names another server."""


PROVIDERS = {
    "openai": Provider("https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "ollama": Provider("http://localhost:11434/v1", None, "OLLAMA_HOST"),
    "llamafile": Provider("http://localhost:8080/v1"),
    "jina": Provider("https://api.jina.ai/v1", "JINA_API_KEY"),
    "mistral": Provider("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
}
_OLD_PATHS = ("/api/embeddings", "/api/embed", "/embedding")  # of Ollama and llamafile themselves


class Key:
    """A secret that shows itself to nobody but who asks for it."""

    def __init__(self, value: str | None = None, variable: str | None = None) -> None:
        self._value = value
        self._variable = variable

    def read(self) -> str | None:
        """Return the key, read from the environment now."""
        return self._value or (settings.of_server(self._variable) if self._variable else None)

    @property
    def source(self) -> str | None:
        """Name of the environment variable that is read."""
        return self._variable

    def __repr__(self) -> str:
        return "Key(...)"


@dataclass(frozen=True)
class Endpoint:
    """A model on a server."""

    url: str
    """Of the embeddings resource, with no user name or password in it."""
    model: str
    key: Key


def is_served(name: str) -> bool:
    """Whether a name stands for a model on a server: `PROVIDER:MODEL`."""
    provider, colon, model = name.partition(":")
    return bool(colon and model) and provider in PROVIDERS


def takes_key(name: str) -> bool:
    """Whether a name stands for a model on a server that wants a key."""
    provider = name.partition(":")[0]
    return is_served(name) and PROVIDERS[provider].key_variable is not None


def endpoint_of(
    provider: str, model: str, *, url: str | None = None, key: str | None = None
) -> Endpoint:
    """Return where a provider has a model. Raises ValueError for a provider that is not known."""
    if provider not in PROVIDERS:
        raise ValueError(f"format must be one of {', '.join(PROVIDERS)}, got {provider!r}")
    known = PROVIDERS[provider]
    url = (
        url or (settings.of_server(known.url_variable) if known.url_variable else None) or known.url
    )
    return Endpoint(embeddings_url(url), model, Key(key, known.key_variable))


def embeddings_url(given: str) -> str:
    """Return the address of the embeddings resource for the address of a server.

    Raises ValueError for what is no http address, or carries a user name, a query or a fragment.
    """
    if "://" not in given:  # OLLAMA_HOST is often host:port
        given = f"http://{given}"
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url must be the http or https address of a server")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("url must have no user name, query or fragment; give a key as such")
    path = parts.path.rstrip("/")
    for old in _OLD_PATHS:
        if path.endswith(old) and not path.endswith("/v1/embeddings"):
            path = path[: -len(old)]
            break
    if not path.endswith("/embeddings"):
        path += "/embeddings" if path.endswith("/v1") else "/v1/embeddings"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


class Servers:
    """Models named `PROVIDER:MODEL`, by SQL or by the host."""

    name = "servers"

    def open(self, name: str, host: Host) -> TextModel | None:
        """Return the model.

        Raises PermissionError on a public host, ModelFileError where it takes a key and only SQL
        names it.
        """
        wanted = host.models.get(name, name)
        if not is_served(wanted):
            return None
        if host.public:
            raise PermissionError(
                f"model {name!r} is on a server, it cannot be used on this connection"
            )
        from .remote import RemoteModel

        provider, _, model = wanted.partition(":")
        if name not in host.models and PROVIDERS[provider].key_variable:
            # A view in a file from anywhere may call muninn_embed: it must not spend a key.
            raise ModelFileError(
                f"model {name!r} is on a server that takes a key, so it must be registered: "
                f"INSERT INTO temp.rembed_clients(name, options) VALUES ('{model}', '{provider}')"
            )
        return RemoteModel(name, endpoint_of(provider, model))


@hookimpl
def register_muninn_backends() -> Sequence[Backend]:
    return [Servers()]
