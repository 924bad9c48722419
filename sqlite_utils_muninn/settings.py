"""What the owner of a connection allows, and the one reader of the environment.

Environment: `MUNINN_MODELS_DIR` (where GGUF files live), `MUNINN_THREADS` (how many cores bulk
work may use), `MUNINN_MODELS_MEMORY` (bytes that models in memory may take), `MUNINN_GPU_LAYERS`
(layers of a model that go to a graphics card), `MUNINN_ENCODER` (what computes small models on
the CPU), `HF_ENDPOINT` (where models come from), `MUNINN_GRAPH_MEMORY` and `MUNINN_GRAPH_CACHE`
(bytes that one graph call, and all graphs that are kept for the next call, may take),
`MUNINN_INDEX_CACHE` (bytes that indexes of vector tables may take when no connection holds them);
keys and addresses of servers that embed, under the names that their makers gave them. Everything
below this file is handed values and reads no configuration itself.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_MODEL = "all-MiniLM-L6-v2"


def default_models_directory() -> Path:
    """The directory of GGUF files: `MUNINN_MODELS_DIR`, else the platform's data directory."""
    named = os.environ.get("MUNINN_MODELS_DIR")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("muninn") / "models"


def default_threads() -> int:
    """Cores that bulk work may use: `MUNINN_THREADS`, else those this process may run on.

    Raises ValueError when the variable is not a whole number above 0.
    """
    named = os.environ.get("MUNINN_THREADS")
    if not named:
        return available_cores()
    if not named.isdecimal() or int(named) < 1:
        raise ValueError(f"MUNINN_THREADS must be a whole number above 0, got {named!r}")
    return int(named)


def available_cores() -> int:
    """The number of cores this process may run on; a container's share where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_models_memory() -> int:
    """Bytes of model files in memory: `MUNINN_MODELS_MEMORY`, else half of the memory."""
    return _bytes("MUNINN_MODELS_MEMORY") or physical_memory() // 2


def default_gpu_layers() -> int | None:
    """Layers to put on a graphics card: `MUNINN_GPU_LAYERS`; None leaves it to llama.cpp."""
    named = os.environ.get("MUNINN_GPU_LAYERS")
    if not named:
        return None
    if not named.isdecimal():
        raise ValueError(f"MUNINN_GPU_LAYERS must be a whole number, got {named!r}")
    return int(named)


def default_hub() -> str:
    """The model hub: `HF_ENDPOINT`, as other tools have it for mirrors, else Hugging Face's own."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


ENCODERS = ("auto", "int8", "llama.cpp")


def default_encoder() -> str:
    """What computes small encoders: `MUNINN_ENCODER`, else "auto", which goes by the file."""
    named = os.environ.get("MUNINN_ENCODER") or "auto"
    if named not in ENCODERS:
        raise ValueError(f"MUNINN_ENCODER must be one of {', '.join(ENCODERS)}, got {named!r}")
    return named


def of_server(variable: str) -> str | None:
    """A key or an address of a server that embeds, read anew each time it is used."""
    return os.environ.get(variable) or None


def default_graph_memory() -> int:
    """Bytes that one graph call may take: `MUNINN_GRAPH_MEMORY`, else half of the memory."""
    return _bytes("MUNINN_GRAPH_MEMORY") or physical_memory() // 2


def default_graph_cache() -> int:
    """Bytes of graphs that are kept: `MUNINN_GRAPH_CACHE`, else an eighth of the memory."""
    named = _bytes("MUNINN_GRAPH_CACHE")
    return physical_memory() // 8 if named is None else named


def default_index_cache() -> int:
    """Bytes of vector indexes that are kept: `MUNINN_INDEX_CACHE`, else an eighth of the memory."""
    named = _bytes("MUNINN_INDEX_CACHE")
    return physical_memory() // 8 if named is None else named


def _bytes(variable: str) -> int | None:
    named = os.environ.get(variable)
    if not named:
        return None
    if not named.isdecimal():
        raise ValueError(f"{variable} must be a number of bytes, got {named!r}")
    return int(named)


def physical_memory() -> int:
    """Bytes of memory that this process may hope for; a container's share on Linux."""
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 8 * 2**30
    try:
        share = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return size
    return min(size, int(share)) if share.isdecimal() else size


@dataclass(frozen=True)
class Host:
    """What the owner of a connection allows on it, and what it brings along."""

    public: bool = False
    """SQL may not name files, reach the network, register models, or write."""
    max_text: int | None = None
    """Characters of one text argument."""
    max_rows: int | None = None
    """Rows of one call."""
    max_seconds: float | None = None
    """Time of one call."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Name -> path of models that are there on every connection of this host."""
    models_directory: Path = field(default_factory=default_models_directory)
    threads: int = field(default_factory=default_threads)
    graph_memory: int = field(default_factory=default_graph_memory)
    """Bytes that one graph call may take."""
    graph_cache: int = field(default_factory=default_graph_cache)
    """Bytes of graphs that the process keeps for the next call."""
    index_cache: int = field(default_factory=default_index_cache)
    """Bytes of vector indexes that the process keeps for a minute after their last search."""

    def check_text(self, caller: str, text: str) -> None:
        """Raise ValueError when `text` is longer than this host allows."""
        if self.max_text is not None and len(text) > self.max_text:
            raise ValueError(
                f"{caller}: text has {len(text):,} characters, "
                f"at most {self.max_text:,} are allowed here"
            )

    def check_rows(self, caller: str, rows: int) -> None:
        """Raise ValueError when one call would work on more rows than this host allows."""
        if self.max_rows is not None and rows > self.max_rows:
            raise ValueError(
                f"{caller}: {rows:,} rows asked for, at most {self.max_rows:,} are allowed here"
            )

    def watch(self, caller: str, check: Callable[[], None]) -> Callable[[], None]:
        """Return `check`, which from now on also raises when `max_seconds` have passed.

        SQLite's own time limits do not run inside a function's call, so the function keeps one.
        """
        if self.max_seconds is None:
            return check
        seconds = self.max_seconds
        deadline = time.monotonic() + seconds

        def checked() -> None:
            check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{caller}: stopped after {seconds:g} seconds, the limit here")

        return checked
