"""The commands of a vector table, and its words for what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from ...bridge import SQLError
from ..storage import saving
from ..storage.parts import losses
from ..storage.shadow import CORRUPT
from . import damage
from .writable import Writable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..options import GraphOptions
    from ..storage.parts import Parts
    from ..storage.storage import Storage

_Asked = TypeVar("_Asked")

_ERROR = 1  # SQLITE_ERROR: no such table, no such column


class MendableTable(Writable):
    """Subclasses say what v_config must say, and which vectors belong to which rows."""

    owner: str  # the module's name: how error texts begin
    parts: Parts
    storage: Storage
    options: GraphOptions

    def run_command(self, command: object) -> None:
        """Run 'optimize', 'rebuild' or 'integrity-check'."""
        if command == "optimize":
            saving.save_now(self.storage, self.options)
        elif command == "rebuild":
            self.rebuild()
        elif command == "integrity-check":
            problem = self.integrity()
            if problem:
                raise SQLError(f"{self.owner}: {problem}", CORRUPT)
        else:
            raise ValueError(
                f"{self.owner}: unknown command {command!r} "
                "(it may be 'optimize', 'rebuild' or 'integrity-check')"
            )

    # ---- Mending ----

    def rebuild(self) -> None:
        """Make everything anew from what the user has written.

        Raises, before anything is written, where that or what else is needed is lost.
        """
        storage, found = self.storage, losses(self.storage, self.parts)
        damage.refuse(storage, found, self.parts)
        settings, lost_id = self.settings(), self.lost_id()
        for suffix in found.missing:
            storage.make(suffix, self.parts)
        storage.mend_config(settings, lost_id)
        storage.dimensions = settings["dimensions"]
        storage.drop_vectors(storage.broken_vectors())
        self.mend_rows()
        storage.edges.write([])
        if storage.position() is None:
            storage.restart_log()
        storage.log(None)
        saving.save_now(storage, self.options)

    def declared(self) -> dict[str, Any]:
        """What v_config says because the CREATE statement does."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """All that it should say besides format and id. Raises where nothing tells that."""
        return self.declared()

    def lost_id(self) -> str | None:
        """The id of a table whose v_config is lost, if something else has it."""
        return None

    def mend_rows(self) -> None:
        """Let rows and vectors belong together again: all tables are there, all vectors whole."""
        raise NotImplementedError

    # ---- Finding damage ----

    def integrity(self) -> str | None:
        """What is wrong with the tables, if anything is."""
        try:
            problems = losses(self.storage, self.parts).sentences or list(self.problems())
        except (SQLError, TypeError) as error:
            problems = [str(error).removeprefix(f"{self.owner}: ")]
        return "; ".join(problems) or None

    def problems(self) -> Iterator[str]:
        """What is wrong with the content of tables that are all there, one sentence each."""
        return damage.problems(self.storage, self.options, self.declared(), self.parts)

    def explained(self, error: SQLError) -> SQLError:
        """An error of SQLite, or what is lost and what to do about it, if that is why."""
        if error.sqlite_errorcode & 0xFF != _ERROR:
            return error
        lost = losses(self.storage, self.parts).sentences
        words = f"{self.owner}: table {self.storage.table!r} is damaged: {'; '.join(lost)}"
        return SQLError(words, CORRUPT) if lost else error


def in_plain_words(hook: Callable[..., _Asked]) -> Callable[..., _Asked]:
    """Let a hook of a table say what is lost, where SQLite only knows no such table."""

    @wraps(hook)
    def asked(self: MendableTable, *given: Any) -> Any:
        try:
            answer = hook(self, *given)
        except SQLError as error:
            raise self.explained(error) from None
        return _streamed(self, answer) if isinstance(answer, Iterator) else answer

    return asked


def _streamed(table: MendableTable, answer: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from answer
    except SQLError as error:
        raise table.explained(error) from None
