"""What this room puts on a connection: the graph functions.

numpy is imported when one of them is first called, not when the extension is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import centrality, communities, selection, stored, traversal

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Declaration
    from sqlite_utils_muninn.settings import Host


def surface(host: Host) -> list[Declaration]:
    """Return the graph functions, within the memory and time that the host allows."""
    rooms = (traversal, centrality, communities, selection, stored)
    return [declaration for room in rooms for declaration in room.surface(host)]
