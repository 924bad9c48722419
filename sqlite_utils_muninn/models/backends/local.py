"""llama.cpp in this process: models of the host, installed ones, and files by their path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlite_utils_muninn.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.settings import Host

    from .backend import Backend, TextModel


class LlamaCpp:
    """GGUF files, each loaded once for the process."""

    name = "llama.cpp"

    def open(self, name: str, host: Host) -> TextModel | None:
        """Return the model of a name of the host, an installed model, or a file by its path."""
        from ..files.store import ModelStore
        from ..registry import registry

        directory = host.models_directory
        if name in host.models and not _names_a_server(host.models[name]):
            path = Path(host.models[name]).expanduser()
            return registry().open_file(path, directory=directory, name=name)
        if installed := ModelStore(directory).get(name):
            return registry().open_installed(installed, directory=directory)
        if not host.public and name.endswith(".gguf"):
            return registry().open(name, directory)
        return None


def _names_a_server(value: str) -> bool:
    from .servers import is_served

    return is_served(value)


@hookimpl
def register_muninn_backends() -> Sequence[Backend]:
    return [LlamaCpp()]
