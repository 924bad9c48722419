"""What the models of this process may take of the machine, all together."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlite_utils_muninn.settings import (
    default_encoder,
    default_gpu_layers,
    default_models_memory,
)


@dataclass
class Limits:
    """Changed by whoever owns the process, before models are used or at any time."""

    models: int = 4
    """Files that stay in memory at once."""
    bytes: int = field(default_factory=default_models_memory)
    """Of all files in memory together.

    A model that is in use is never unloaded for another, so together they may be above it for as
    long as all of them are used.
    """
    gpu_layers: int | None = field(default_factory=default_gpu_layers)
    """Layers to put on a graphics card, where llama.cpp was built for one; None leaves it to it."""

    encoder: str = field(default_factory=default_encoder)
    """What computes small encoders on the CPU: "auto", "int8" or "llama.cpp" (`encoder.py`)."""


limits = Limits()
