"""Work that is committed whole or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...bridge import Database


def transaction(db: Database, work: Callable[[], Any]) -> None:
    """Do some work in a transaction of its own, which begins with the right to write."""
    db.execute("BEGIN IMMEDIATE")
    try:
        work()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def renaming(db: Database) -> Iterator[None]:
    """Where a table takes the name of one that was dropped.

    A view or trigger that names it is no reason to fail: the table is back in a moment.
    """
    ((legacy,),) = db.execute("PRAGMA legacy_alter_table")
    db.execute("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        db.execute(f"PRAGMA legacy_alter_table = {int(legacy)}")
