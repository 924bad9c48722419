"""What other packages may add: a plugin names its module under the entry point group
`sqlite_utils_muninn` and marks its functions with `hookimpl`.

    from sqlite_utils_muninn.hookspecs import hookimpl

    @hookimpl
    def register_muninn_backends():
        return [MyBackend()]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.models.backends.backend import Backend

NAME = "sqlite_utils_muninn"

hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)


@hookspec
def register_muninn_backends() -> Sequence[Backend]:  # type: ignore[empty-body]
    """Return backends: objects that turn a model's name into a model.

    Each is asked in turn for a name that SQL uses, the package's own first, and answers with a
    `TextModel` or None. See `models/backends/backend.py` for what both must have.
    """
