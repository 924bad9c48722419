"""Where models come from: llama.cpp in this process, servers, trigrams, and what plugins add."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pluggy

from sqlite_utils_muninn import hookspecs

if TYPE_CHECKING:
    from sqlite_utils_muninn.models.backends.backend import Backend


@cache
def backends() -> tuple[Backend, ...]:
    """Return all backends, the package's own first. A plugin that cannot be imported raises."""
    manager = plugins()
    found: list[Backend] = []
    for registered in reversed(manager.hook.register_muninn_backends()):
        found += registered
    return tuple(found)


@cache
def plugins() -> pluggy.PluginManager:
    """Return the plugins of this process."""
    from sqlite_utils_muninn.models.backends import local, servers, trigrams

    manager = pluggy.PluginManager(hookspecs.NAME)
    manager.add_hookspecs(hookspecs)
    for own in (local, trigrams, servers):
        manager.register(own)
    manager.load_setuptools_entrypoints(hookspecs.NAME)
    return manager
