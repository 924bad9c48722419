"""Declarations of functions, table functions and modules.

One declaration names the arguments, and everything else comes from it: the check of what is given,
the words of the errors, the help and the reference.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .database import quote
from .table import MISSING, VirtualTable

if TYPE_CHECKING:
    from .database import Database


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()
"""The default of an argument that has none."""

SAFETY = {"innocuous": 0x200000, "normal": 0, "directonly": 0x80000}
DETERMINISTIC = 0x800


class Declaration(Protocol):
    """Something that can be put on a connection."""

    @property
    def name(self) -> str:
        """What SQL calls it."""

    @property
    def help(self) -> str:
        """One sentence."""

    def register(self, db: Database) -> None:
        """Put it on the connection."""


@dataclass(frozen=True)
class Parameter:
    """An argument: its name, its default, what it may be.

    ``kind`` is any, text, integer, real, boolean, blob or pointer. Numbers are taken where text is
    wanted, as SQLite does. An optional argument that is NULL counts as left out.
    """

    name: str
    default: Any = REQUIRED
    kind: str = "any"
    help: str = ""

    @property
    def is_required(self) -> bool:
        """Whether the argument must be given."""
        return self.default is REQUIRED


@dataclass(frozen=True)
class Function:
    """A scalar function: ``call(db, *arguments)`` returns one value.

    With ``null="propagate"`` a NULL for a required argument gives NULL without a call. ``json``
    marks text results as JSON. Values may be None, int, float, str, bytes, numpy scalars or
    :class:`Pointer`.
    """

    name: str
    parameters: Sequence[Parameter]
    call: Callable[..., Any]
    help: str = ""
    returns: str = ""
    json: bool = False
    deterministic: bool = False
    safety: str = "innocuous"
    null: str = "propagate"

    def register(self, db: Database) -> None:
        """Put the function on the connection, once for each number of arguments it may have."""
        required = sum(p.is_required for p in self.parameters)
        call = _checked(self.name, self.parameters, self.call)
        flags = SAFETY[self.safety] | (DETERMINISTIC if self.deterministic else 0)
        never_null = required if self.null == "propagate" else 0
        for count in range(required, len(self.parameters) + 1):
            db.create_function(self.name, count, call, flags, never_null, self.json)


@dataclass(frozen=True)
class TableFunction:
    """A table function: ``call(db, *arguments)`` returns columns.

    Arguments come by position or as ``WHERE name = value``. The answer is Rows, a tuple of columns,
    or an iterator of those. With ``pushdown`` the call also gets ``limit`` (LIMIT plus OFFSET, or
    None) and ``used`` (bit mask of the columns read) by keyword. ``order`` is the order in which
    rows come.
    """

    name: str
    columns: Sequence[str]
    parameters: Sequence[Parameter]
    call: Callable[..., Any]
    help: str = ""
    order: Sequence[tuple[str, str]] = ()
    safety: str = "innocuous"
    pushdown: bool = False

    @property
    def column_names(self) -> list[str]:
        """Names of the result columns, without their types."""
        return [column.split()[0] for column in self.columns]

    @property
    def schema(self) -> str:
        """The declaration that SQLite sees: arguments are hidden columns."""
        hidden = [f"{quote(p.name)} HIDDEN" for p in self.parameters]
        return f"CREATE TABLE x({', '.join([*self.columns, *hidden])})"

    def register(self, db: Database) -> None:
        """Put the function on the connection."""
        names = self.column_names
        uses = tuple(
            (len(names) + i, "=", f"{p.name} =", False, True, p.is_required)
            for i, p in enumerate(self.parameters)
        )
        order = tuple((names.index(column), way.upper() == "DESC") for column, way in self.order)
        plan = (self.name, uses, order, 1e3, 1000, False)
        call = _checked_row_source(self)
        width = len(names) + len(self.parameters)
        counts = (len(self.parameters), width, int(self.pushdown))
        safety = SAFETY[self.safety]
        db.create_module(
            self.name, None, None, call, self.schema, *counts, (plan,), (), safety, 0, False
        )


Factory = Callable[["Database", str, str, "list[str]"], VirtualTable]


@dataclass(frozen=True)
class Module:
    """A kind of virtual table: ``create`` and ``connect`` make a :class:`VirtualTable`.

    Both get (db, schema, table, arguments), the arguments being the raw texts between the
    parentheses of CREATE VIRTUAL TABLE. ``shadow`` names the suffixes of its shadow tables. With
    ``eponymous`` the table also exists without CREATE, and ``create`` must be ``connect``.
    """

    name: str
    table: type[VirtualTable]
    create: Factory
    connect: Factory
    help: str = ""
    shadow: Sequence[str] = ()
    parameters: Sequence[Parameter] = ()
    safety: str = "normal"
    eponymous: bool = False

    def register(self, db: Database) -> None:
        """Put the module on the connection."""
        hooks = 0
        for method, hook in VirtualTable.HOOKS.items():
            own = getattr(self.table, method, None)
            hooks |= hook if own is not getattr(VirtualTable, method, None) else 0
        safety = SAFETY[self.safety]
        db.create_module(
            self.name,
            self.create,
            self.connect,
            None,
            "",
            *(0, 0, 0),
            (),
            tuple(self.shadow),
            safety,
            hooks,
            self.eponymous,
        )


# ---- Checking what is given ----


def _checked(name: str, parameters: Sequence[Parameter], call: Callable[..., Any]) -> Any:
    converters = [_converter(name, parameter) for parameter in parameters]

    @functools.wraps(call)
    def checked(db: Database, *given: Any) -> Any:
        arguments = [convert(value) for convert, value in zip(converters, given, strict=False)]
        arguments.extend(p.default for p in parameters[len(given) :])
        return call(db, *arguments)

    return checked


def _checked_row_source(function: TableFunction) -> Any:
    """The call of a table function; it gets MISSING for what was not given."""
    parameters = function.parameters
    converters = [_converter(function.name, parameter) for parameter in parameters]
    count = len(parameters)
    call = function.call

    if function.pushdown:

        @functools.wraps(call)
        def with_pushdown(db: Database, *given: Any) -> Any:
            arguments = [convert(value) for convert, value in zip(converters, given, strict=False)]
            return call(db, *arguments, limit=given[count], used=given[count + 1])

        return with_pushdown

    @functools.wraps(call)
    def checked(db: Database, *given: Any) -> Any:
        return call(db, *[convert(value) for convert, value in zip(converters, given, strict=True)])

    return checked


def _converter(function: str, parameter: Parameter) -> Callable[[Any], Any]:
    accept = _KINDS[parameter.kind]
    default = parameter.default

    def convert(value: Any) -> Any:
        if value is MISSING or (value is None and default is not REQUIRED):
            if default is REQUIRED:
                raise TypeError(f"{function}: missing required argument {parameter.name!r}")
            return default
        try:
            return accept(value)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(
                f"{function}: argument {parameter.name!r} must be {_WANTED[parameter.kind]}, "
                f"got {describe(value)}"
            ) from None

    return convert


def describe(value: Any) -> str:
    """Say what a value is, for an error: ``text 'abc'``, ``blob of 12 bytes``, ``NULL``."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"blob of {len(value)} bytes"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:37] + "..."
        return f"text {shown!r}"
    if isinstance(value, int | float):
        return f"{'integer' if isinstance(value, int) else 'real'} {value}"
    return type(value).__name__


def _any(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise TypeError


def _integer(value: Any) -> int:
    number = value if isinstance(value, int | float) else _number(_text(value))
    if number != int(number):
        raise ValueError
    return int(number)


def _number(text: str) -> int | float:
    try:
        return int(text)  # a float has no room for all the digits of a large id
    except ValueError:
        return float(text)


def _real(value: Any) -> float:
    if isinstance(value, bytes | None):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    words = {"true": 1, "on": 1, "yes": 1, "false": 0, "off": 0, "no": 0}
    return bool(_integer(words.get(value.lower(), value) if isinstance(value, str) else value))


def _blob(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    raise TypeError


def _pointer(value: Any) -> Any:
    if value is None or isinstance(value, str | bytes | int | float):
        raise TypeError
    return value


_KINDS: dict[str, Callable[[Any], Any]] = {
    "any": _any,
    "text": _text,
    "integer": _integer,
    "real": _real,
    "boolean": _boolean,
    "blob": _blob,
    "pointer": _pointer,
}
_WANTED = {
    "any": "a value",
    "text": "text",
    "integer": "an integer",
    "real": "a number",
    "boolean": "0 or 1",
    "blob": "a blob",
    "pointer": "the result of another function",
}
