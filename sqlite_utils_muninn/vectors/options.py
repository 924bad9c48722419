"""The arguments of `CREATE VIRTUAL TABLE ... USING hnsw_index(...)` and `hnsw_text(...)`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INDEX, TEXT = "hnsw_index", "hnsw_text"
SHADOW = ("config", "rows", "nodes", "edges", "log")
"""What the tables behind a vector table are called, after its name."""
TEXT_SHADOW = (*SHADOW, "content", "passages")
"""Those that an hnsw_text table may have."""

L2, COSINE, INNER_PRODUCT = "l2", "cosine", "inner_product"
METRICS = (L2, COSINE, INNER_PRODUCT)
MOST_DIMENSIONS = 8192
RESERVED = frozenset(
    {"vector", "distance", "content", "truncated", "k", "ef_search", "rowid", "id", "hash"}
)
TEXT_RESERVED = RESERVED | {"chunk", "first", "passages"}

LEAST_TOKENS, MOST_TOKENS = 16, 1_000_000  # of a passage
_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

_QUOTES = {"'": "'", '"': '"', "`": "`", "[": "]"}
_TYPES = ("INTEGER", "INT", "REAL", "TEXT", "BLOB", "NUMERIC")


@dataclass(frozen=True)
class Column:
    """A metadata column, declared as `+name TYPE`."""

    name: str
    type: str


@dataclass(frozen=True)
class GraphOptions:
    """What both kinds of table say about their metric and their neighbour graph."""

    metric: str
    m: int = 16
    ef_construction: int = 200


@dataclass(frozen=True)
class IndexOptions(GraphOptions):
    """An hnsw_index table, as declared."""

    dimensions: int = 0
    metadata: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Cutting:
    """How long texts are split. `max_tokens` None: as many as suit the model."""

    max_tokens: int | None = None
    overlap: int = 0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Cutting | None:
        """What v_config says; None where it says nothing that can be."""
        most, overlap = config.get("max_tokens"), config.get("overlap")
        if not isinstance(most, int) or not LEAST_TOKENS <= most <= MOST_TOKENS:
            return None
        if not isinstance(overlap, int) or not 0 <= overlap <= most // 2:
            return None
        return cls(most, overlap)


@dataclass(frozen=True)
class TextOptions(GraphOptions):
    """An hnsw_text table, as declared. `dimensions` None: as many as the model has."""

    model: str = ""
    dimensions: int | None = None
    content: str | None = None
    content_columns: tuple[str, ...] = ()
    cutting: Cutting | None = None
    metadata: tuple[Column, ...] = ()


def index_options(arguments: Sequence[str]) -> IndexOptions:
    """Read the arguments of hnsw_index. Raises ValueError, naming the argument that is wrong."""
    metadata, arguments = _metadata(INDEX, arguments)
    given = _split(INDEX, arguments)
    _refuse_unknown(INDEX, given, {"dimensions", "metric", "m", "ef_construction"})
    if "dimensions" not in given:
        raise ValueError(f"{INDEX}: 'dimensions' parameter is required")
    return IndexOptions(
        dimensions=_dimensions(INDEX, "dimensions", given["dimensions"]),
        metadata=metadata,
        **_graph(INDEX, given, COSINE),
    )


def text_options(arguments: Sequence[str]) -> TextOptions:
    """Read the arguments of hnsw_text. Raises ValueError, naming the argument that is wrong."""
    metadata, arguments = _metadata(TEXT, arguments)
    columns = tuple(unquote(a.partition("=")[2]) for a in arguments if _key(a) == "content_column")
    given = _split(TEXT, [a for a in arguments if _key(a) != "content_column"])
    # max_elements: sqlite-muninn wants it, this index grows by itself.
    known = {"model", "dim", "dimensions", "metric", "m", "ef_construction"}
    known |= {"chunk", "max_tokens", "overlap"}
    _refuse_unknown(TEXT, given, known | {"max_elements", "content"})
    if not given.get("model"):
        raise ValueError(f"{TEXT}: 'model' parameter is required")
    if "dim" in given and "dimensions" in given:
        raise ValueError(f"{TEXT}: parameters 'dim' and 'dimensions' are the same: give one")
    if ("content" in given) != bool(columns):
        raise ValueError(f"{TEXT}: 'content' and 'content_column' go together: give both or none")
    if metadata and columns:
        raise ValueError(
            f"{TEXT}: column '{metadata[0].name}' goes with own texts only; with content=... join "
            "that table, or search with rowid IN (SELECT ...)"
        )
    size = next((key for key in ("dim", "dimensions") if key in given), None)
    return TextOptions(
        model=given["model"],
        dimensions=_dimensions(TEXT, size, given[size]) if size else None,
        content=given.get("content"),
        content_columns=columns,
        cutting=_cutting(given),
        metadata=metadata,
        **_graph(TEXT, given, COSINE),
    )


def _metadata(owner: str, arguments: Sequence[str]) -> tuple[tuple[Column, ...], list[str]]:
    """The metadata columns, and the other arguments."""
    columns = tuple(_column(owner, a) for a in arguments if a.lstrip().startswith("+"))
    _refuse_twice([c.name.casefold() for c in columns], owner)
    return columns, [a for a in arguments if not a.lstrip().startswith("+")]


def _cutting(given: Mapping[str, str]) -> Cutting | None:
    is_wanted = given.get("chunk", "false").casefold()
    if is_wanted not in _YES + _NO:
        raise ValueError(f"{TEXT}: chunk must be true or false, got '{given['chunk']}'")
    if is_wanted in _NO:
        for key in ("max_tokens", "overlap"):
            if key in given:
                raise ValueError(f"{TEXT}: parameter '{key}' goes with chunk=true")
        return None
    most = None
    if "max_tokens" in given:
        most = _whole(TEXT, "max_tokens", given["max_tokens"], LEAST_TOKENS, MOST_TOKENS)
    overlap = _whole(TEXT, "overlap", given.get("overlap", "0"), 0, (most or MOST_TOKENS) // 2)
    return Cutting(most, overlap)


def _graph(owner: str, given: Mapping[str, str], metric: str) -> dict[str, Any]:
    return {
        "metric": _metric(owner, given.get("metric", metric)),
        "m": _whole(owner, "m", given.get("m", "16"), 2, 256),
        "ef_construction": _whole(
            owner, "ef_construction", given.get("ef_construction", "200"), 1, 10_000
        ),
    }


def _key(argument: str) -> str:
    return argument.partition("=")[0].strip().casefold()


def _split(owner: str, arguments: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip().casefold()
        if not argument.strip():
            continue
        if not equals or not key:
            raise ValueError(f"{owner}: unknown parameter '{argument.strip()}'")
        if key in given:
            raise ValueError(f"{owner}: parameter '{key}' is given twice")
        given[key] = unquote(value)
    return given


def _refuse_unknown(owner: str, given: Mapping[str, str], known: set[str]) -> None:
    for key, value in given.items():
        if key not in known:
            raise ValueError(f"{owner}: unknown parameter '{key}={value}'")


def _refuse_twice(names: Sequence[str], owner: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{owner}: column '{name}' is given twice")


def unquote(text: str) -> str:
    """The value of an argument."""
    text = text.strip()
    close = _QUOTES.get(text[:1])
    if close and len(text) >= 2 and text.endswith(close):
        return text[1:-1].replace(close * 2, close)
    return text


def _metric(owner: str, value: str) -> str:
    if value.casefold() not in METRICS:
        raise ValueError(f"{owner}: unknown metric '{value}' (choose from {', '.join(METRICS)})")
    return value.casefold()


def _dimensions(owner: str, key: str, value: str) -> int:
    number = _integer(owner, key, value)
    if number <= 0:
        raise ValueError(f"{owner}: {key} must be > 0, got '{value}'")
    if number > MOST_DIMENSIONS:
        raise ValueError(f"{owner}: {key} must be <= {MOST_DIMENSIONS}, got '{value}'")
    return number


def _whole(owner: str, key: str, value: str, least: int, most: int) -> int:
    number = _integer(owner, key, value)
    if not least <= number <= most:
        raise ValueError(f"{owner}: {key} must be {least} to {most}, got '{value}'")
    return number


def _integer(owner: str, key: str, value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        raise ValueError(f"{owner}: {key} must be a whole number, got '{value}'")
    return int(value)


def _column(owner: str, argument: str) -> Column:
    """Read `+name TYPE` or `+"any name" TYPE`."""
    text = argument.strip()[1:].strip()
    close = _QUOTES.get(text[:1])
    if close:
        pattern = rf"({re.escape(text[0])}(?:[^{re.escape(close)}]|{re.escape(close * 2)})+"
        match = re.fullmatch(pattern + rf"{re.escape(close)})\s*(\w*)", text)
    else:
        match = re.fullmatch(r"(\w+)\s*(\w*)", text)
    if not match:
        raise ValueError(f"{owner}: a metadata column is '+name TYPE', got '{argument.strip()}'")
    name, kind = unquote(match[1]), match[2].upper()
    if kind and kind not in _TYPES:
        raise ValueError(
            f"{owner}: column '{name}' has type '{match[2]}', it may be {', '.join(_TYPES)}"
        )
    if name.casefold() in (TEXT_RESERVED if owner == TEXT else RESERVED):
        raise ValueError(f"{owner}: column name '{name}' is taken by the table itself")
    return Column(name, kind)
