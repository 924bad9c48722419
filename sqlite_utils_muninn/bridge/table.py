"""What a virtual table is made of: plans, queries, batches of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


class _NoChange:
    def __repr__(self) -> str:
        return "NOCHANGE"


MISSING: Any = _Missing()
"""A table function's argument that was not given."""

NOCHANGE: Any = _NoChange()
"""A column that an UPDATE leaves as it is (instead of its value)."""


class Pointer:
    """A result that SQL can pass on to another function, but not look into."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Rows:
    """A batch of rows by column: numpy arrays or lists of equal length.

    A two-dimensional float32 array is a column of blobs. None or a number is a column that has it
    in every row, and a callable one that is made when SQLite first reads it; one column at least,
    or ``rowids``, must be there at once. Those are 1, 2, ... where left out.

    With ``kept_for``, the name of a schema, rows answer a query for one ``rowid =``, and whatever
    the statement asks next that is the same but for the rowid, without a further call, as long as
    nothing of the schema changes: so a join can look up one row after the other. Then ``rowids``
    are in order, each once, and a callable gives one value, by its rowid.
    """

    __slots__ = ("columns", "kept_for", "rowids")

    def __init__(
        self, columns: Sequence[Any], rowids: Any = None, kept_for: str | None = None
    ) -> None:
        self.columns = columns
        self.rowids = rowids
        self.kept_for = kept_for


Answer = Any
"""Rows, a tuple of columns, or an iterator of those, which is streamed batch by batch."""


@dataclass(frozen=True)
class Plan:
    """One way of answering a query.

    Constraints are written "column operator", the operators being = < <= > >= match in. SQLite
    takes the first plan whose ``requires`` are all there; ``uses`` are taken where they are there.
    Constraints on hidden columns and MATCH are the plan's alone to answer; those on visible
    columns are checked by SQLite once more. ``order`` is the order in which rows come.
    """

    name: str
    requires: Sequence[str] = ()
    uses: Sequence[str] = ()
    order: Sequence[tuple[str, str]] = ()
    cost: float = 1e6
    rows: int = 1000
    unique: bool = False


class Query(NamedTuple):
    """What a statement asks of a table.

    ``limit`` is LIMIT plus OFFSET, given only where no more rows can be wanted, provided that all
    rows meet the constraints: who gives more rows than those must not stop there. ``used`` is the
    bit mask of the columns that the statement reads.
    """

    plan: str
    constraints: Mapping[str, Any]
    limit: int | None
    used: int


class VirtualTable:
    """One table on one connection; subclasses define what they can do.

    Set ``schema`` (a CREATE TABLE statement, whatever its table name), ``columns`` (their names in
    that order) and ``plans`` before the constructor returns. Only hooks that the class defines are
    called: ``insert``/``update``/``delete``, ``begin``/``sync``/``commit``/``rollback``,
    ``savepoint``/``release``/``rollback_to``, ``rename``, ``integrity``.
    """

    schema: str
    columns: Sequence[str]
    plans: Sequence[Plan]
    hidden: Sequence[str] = ()

    HOOKS: ClassVar[dict[str, int]] = {
        "insert": 1,
        "update": 1,
        "delete": 1,
        "begin": 2,
        "sync": 2,
        "commit": 2,
        "rollback": 2,
        "savepoint": 6,  # only tables that were told of the beginning hear of savepoints
        "release": 6,
        "rollback_to": 6,
        "rename": 8,
        "integrity": 16,
    }

    @property
    def width(self) -> int:
        """How many columns there are, hidden ones too."""
        return len(self.columns)

    @property
    def plan_table(self) -> tuple[Any, ...]:
        """The plans as the compiled half wants them."""
        return tuple(_compile(plan, self.columns, self.hidden) for plan in self.plans)

    def filter(self, query: Query) -> Answer:
        """Give the rows that a query asks for, with a value for every column."""
        raise NotImplementedError

    def begin(self) -> None:
        """The first write of a transaction comes."""

    def sync(self) -> None:
        """The transaction is about to be committed; the last chance to refuse."""

    def commit(self) -> None:
        """The transaction is committed."""

    def rollback(self) -> None:
        """The transaction is undone."""

    def savepoint(self, n: int) -> None:
        """Savepoint ``n`` begins."""

    def release(self, n: int) -> None:
        """Savepoint ``n`` and those within it end."""

    def rollback_to(self, n: int) -> None:
        """What was written since savepoint ``n`` is undone."""

    def destroy(self) -> None:
        """The table is dropped: drop what belongs to it."""

    def disconnect(self) -> None:
        """The connection closes, or forgets the table."""


class WritableTable(VirtualTable):
    """A table that INSERT, UPDATE, DELETE and ALTER TABLE change; subclasses write all four.

    As a :class:`Module`'s ``table`` it says so before the class that does is imported.
    """

    def insert(self, rowid: Any, values: Sequence[Any], conflict: str) -> int:
        """INSERT; returns the rowid."""
        raise NotImplementedError

    def update(self, old_rowid: int, new_rowid: Any, values: Sequence[Any], conflict: str) -> None:
        """UPDATE; values that stay are NOCHANGE."""
        raise NotImplementedError

    def delete(self, rowid: int) -> None:
        """DELETE."""
        raise NotImplementedError

    def rename(self, new_name: str) -> None:
        """ALTER TABLE ... RENAME TO."""
        raise NotImplementedError


_SIGNS = {"=": "=", "<": "<", "<=": "l", ">": ">", ">=": "g", "match": "m", "in": "i"}


def _compile(plan: Plan, columns: Sequence[str], hidden: Sequence[str]) -> tuple[Any, ...]:
    required = [(text, True) for text in plan.requires]
    optional = [(text, False) for text in plan.uses]
    uses = []
    # IN before =, for an IN list can also be had as single values.
    for text, is_required in sorted(
        required + optional, key=lambda use: not use[0].endswith(" in")
    ):
        column, operator = text.rsplit(" ", 1)
        is_hidden = operator == "match" or column in hidden
        uses.append(
            (_number(column, columns), _SIGNS[operator], text, is_required, is_hidden, False)
        )
    order = tuple((_number(column, columns), way.upper() == "DESC") for column, way in plan.order)
    return (plan.name, tuple(uses), order, plan.cost, plan.rows, plan.unique)


def _number(column: str, columns: Sequence[str]) -> int:
    return -1 if column == "rowid" else list(columns).index(column)
