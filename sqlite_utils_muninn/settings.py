"""What the owner of a connection allows, and the one reader of the environment.

Environment: `MUNINN_MODELS_DIR` (where GGUF files live) and `MUNINN_THREADS` (how many cores bulk
embedding may use). Everything below this file is handed values and reads no configuration itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
