"""Makes the objects searchable by meaning, with the same commands that a user would type."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "all-MiniLM-L6-v2"


def pull_model() -> None:
    """Downloads the embedding model, or makes it, where it is not there yet."""
    sqlite_utils("muninn", "models", "pull", MODEL)


def embed_objects(database: Path) -> None:
    """Embeds what is new or changed in the objects table, of what is still in force."""
    where = ("--where", "status = 'current'")
    sqlite_utils("embed", str(database), "objects", "name", "description", *where, "-m", MODEL)


def sqlite_utils(*arguments: str) -> None:
    """Runs one command of this environment's sqlite-utils; ValueError when it fails."""
    command = [sys.executable, "-m", "sqlite_utils", *arguments]
    status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise ValueError(f"'sqlite-utils {' '.join(arguments)}' failed with status {status}")
