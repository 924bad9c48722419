"""Declarations that stay off connections where the extension they stand in for is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import SQLError

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration


@dataclass(frozen=True)
class Unless:
    """A declaration, and the function by which the real extension is known."""

    known_by: str
    declaration: Declaration

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def help(self) -> str:
        extension = "sqlite-" + self.known_by.partition("_")[0]
        return self.declaration.help or f"As in {extension}; not ours where that one is loaded."

    @property
    def eponymous(self) -> bool:
        return bool(getattr(self.declaration, "eponymous", False))

    def register(self, db: Database) -> None:
        """Put it on the connection unless the extension is there."""
        if not self._is_there(db):
            self.declaration.register(db)

    def _is_there(self, db: Database) -> bool:
        key = f"unless.{self.known_by}"
        known: bool | None = db.state.get(key)
        if known is None:
            try:
                db.execute(f"SELECT {self.known_by}()")
                known = True
            except SQLError:
                known = False
            db.state[key] = known
        return known
