"""Where models come from: llama.cpp in this process, servers, trigrams, and what plugins add."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlite_utils_muninn import hookspecs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pluggy

    from .backend import Backend


def backends() -> Iterator[Backend]:
    """Yield all backends, the package's own first. A plugin that cannot be imported raises.

    Plugins are looked for when no backend of the package has the model: reading what every
    installed distribution says of itself takes longer than loading a small model.
    """
    yield from _own()
    yield from _of(plugins())


@cache
def plugins() -> pluggy.PluginManager:
    """Return what other packages have added in this process."""
    manager = _manager()
    manager.load_setuptools_entrypoints(hookspecs.NAME)
    return manager


@cache
def _own() -> tuple[Backend, ...]:
    from . import local, servers, trigrams

    manager = _manager()
    for module in (local, trigrams, servers):
        manager.register(module)
    return tuple(_of(manager))


def _manager() -> pluggy.PluginManager:
    import pluggy

    manager = pluggy.PluginManager(hookspecs.NAME)
    manager.add_hookspecs(hookspecs)
    return manager


def _of(manager: pluggy.PluginManager) -> Iterator[Backend]:
    """Yield the backends of a manager's plugins, in the order in which they came."""
    for registered in reversed(manager.hook.register_muninn_backends()):
        yield from registered
