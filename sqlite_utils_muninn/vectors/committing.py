"""Work that is committed whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..bridge import Database


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
