"""Makes the demo's database file: whole or not at all, and only when it is not there yet."""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path

import sqlite_utils
from sqlite_utils.utils import sqlite3

from demo.attack import package_folder, package_version, read_attack
from demo.knowledge_base import check_knowledge_base, write_knowledge_base

# The modules that decide what is in the file.
RECIPE_MODULES = ("attack.py", "knowledge_base.py", "notices.py", "prose.py")


def build_database(path: Path) -> bool:
    """Whether the file had to be made; False when it was made by this very recipe before.

    The new file is written beside ``path`` and takes its place when whole. Raises ValueError rather
    than replace a file that this demo did not make, or that another program has open.
    """
    recipe = current_recipe()
    if path.exists():
        if recipe_of(path) == recipe:
            return False
        release(path)
    attack = read_attack(package_folder())
    unfinished = path.with_name(f"{path.name}.building")
    unfinished.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite_utils.Database(unfinished, execute_plugins=False)) as db:
        write_knowledge_base(db, attack, recipe)
        check_knowledge_base(db, attack)
    os.replace(unfinished, path)
    return True


def current_recipe() -> str:
    """A digest of the data package's version and of the code that shapes the file."""
    digest = hashlib.sha256(package_version().encode())
    for module in RECIPE_MODULES:
        digest.update((Path(__file__).parent / module).read_bytes())
    return digest.hexdigest()


def recipe_of(path: Path) -> str:
    """The recipe that an existing file was made by; ValueError for a file that has none."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as conn:
            row = conn.execute("SELECT value FROM about WHERE name = 'recipe'").fetchone()
    except sqlite3.DatabaseError:
        row = None
    if row is None:
        raise ValueError(
            f"{path} was not made by this demo and is left alone: "
            "move it away, or name another file with --database"
        )
    return str(row[0])


def release(path: Path) -> None:
    """Folds the side files of an outdated database into it, so that none outlives its owner.

    A write-ahead log that stayed behind would be replayed into the new file and destroy it.
    """
    try:
        with closing(sqlite3.connect(path, timeout=1)) as conn:
            conn.execute("PRAGMA journal_mode = DELETE")
            conn.execute("BEGIN EXCLUSIVE")
            conn.rollback()
    except sqlite3.OperationalError as error:
        raise ValueError(f"{path} is in use ({error}): close it and run again") from error
