"""What the models of this process may take of the machine, all together."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass
class Limits:
    """Changed by whoever owns the process, before models are used or at any time."""

    models: int = 4
    """Files that stay in memory at once."""
    megabytes: int | None = None
    """Of all files in memory together; half of the machine's memory where None.

    A model that is in use is never unloaded for another, so together they may be above it for as
    long as all of them are used.
    """
    gpu_layers: int | None = None
    """Layers to put on a graphics card, where llama.cpp was built for one; None leaves it to it."""

    @property
    def bytes(self) -> int:
        return _half_of_memory() if self.megabytes is None else self.megabytes * 1_000_000


limits = Limits()


def _half_of_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (ValueError, OSError, AttributeError):  # Windows has no sysconf
        return 4_000_000_000
