"""Scores of texts against a query: `muninn_rerank` and the table function `rerank`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import (
    Function,
    Parameter,
    Rows,
    SQLError,
    TableFunction,
    quote,
    quote_table,
)

from ..names import lookup_local
from .parameters import MODEL, TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

_ONE, _MANY = "muninn_rerank", "rerank"
_QUERY = Parameter("query", kind="text", help="What is looked for.")


def surface(host: Host) -> list[Declaration]:
    """Return the functions that rerank."""

    def score(db: Database, model: str, query: str, text: str) -> float:
        return _scores(db, host, _ONE, model, query, [text])[0]

    def rerank(db: Database, *arguments: Any) -> Rows:
        return _ranked(db, host, Ask(*arguments))

    table = Parameter("candidate_table", kind="text", help="A table or view of candidates.")
    column = Parameter("text_column", kind="text", help="Its column with the texts.")
    identity = Parameter(
        "id_column", None, kind="text", help="The column that `id` shows; the rowid if left out."
    )
    limit = Parameter("limit", None, kind="integer", help="Only so many of the best.")
    return [
        Function(
            _ONE,
            (MODEL, _QUERY, TEXT),
            score,
            help="How well a text answers a query, by a cross-encoder.",
            returns="real from 0 to 1",
            deterministic=True,
        ),
        TableFunction(
            _MANY,
            ("id", "rerank_score REAL"),
            (MODEL, _QUERY, table, column, identity, limit),
            rerank,
            help="The rows of a table, those first that answer a query best.",
            order=(("rerank_score", "DESC"),),
        ),
    ]


@dataclass(frozen=True)
class Ask:
    """The arguments of `rerank`."""

    model: str
    query: str
    table: str
    column: str
    id_column: str | None
    limit: int | None


def _ranked(db: Database, host: Host, ask: Ask) -> Rows:
    """Return ids, scores and rowids, best first; rows without a text come last, without a score."""
    if ask.limit is not None and ask.limit < 0:
        raise ValueError(f"{_MANY}: limit must be 0 or more, got {ask.limit}")
    rows = _candidates(db, host, ask)
    given = [number for number, row in enumerate(rows) if row[2] is not None]
    texts = [_text(rows[number]) for number in given]
    scores: list[float | None] = [None] * len(rows)
    for number, score in zip(
        given, _scores(db, host, _MANY, ask.model, ask.query, texts), strict=True
    ):
        scores[number] = score
    best = sorted(range(len(rows)), key=lambda n: (scores[n] is None, -(scores[n] or 0)))
    best = best[: ask.limit]
    return Rows(
        [[rows[number][1] for number in best], [scores[number] for number in best]],
        rowids=[rows[number][0] for number in best],
    )


def _candidates(db: Database, host: Host, ask: Ask) -> list[tuple[Any, Any, Any]]:
    """Return (rowid, id, text) of each row; views have no rowid, their rows are counted."""
    most = "" if host.max_rows is None else f" LIMIT {host.max_rows + 1}"
    # Qualified, for a quoted name that is no column would be taken for a string.
    table, text = f"{quote_table(ask.table)} AS c", f"c.{quote(ask.column)}"
    shown = f"c.{quote(ask.id_column)}" if ask.id_column else None
    try:
        sql = f"SELECT c.rowid, {shown or 'c.rowid'}, {text} FROM {table}{most}"
        rows = db.execute(sql)
        has_rowids = all(isinstance(row[0], int) for row in rows)
    except SQLError as error:
        if "rowid" not in str(error):
            raise _no_candidates(error) from error
        has_rowids = False
    if not has_rowids:
        try:
            found = db.execute(f"SELECT {shown or 'NULL'}, {text} FROM {table}{most}")
        except SQLError as error:
            raise _no_candidates(error) from error
        rows = [(n, row[0] if shown else n, row[1]) for n, row in enumerate(found, 1)]
    host.check_rows(_MANY, len(rows))
    return rows


def _no_candidates(error: SQLError) -> ValueError:
    """Say what is wrong in the caller's words: c is a name that the caller does not know."""
    start, is_column, column = str(error).partition("no such column: c.")
    if is_column and not start:
        return ValueError(f"{_MANY}: the candidates have no column {column!r}")
    return ValueError(f"{_MANY}: {error}")


def _text(row: tuple[Any, Any, Any]) -> str:
    if isinstance(row[2], bytes):
        raise ValueError(f"{_MANY}: text_column must hold texts, row {row[1]!r} has a blob")
    return str(row[2])


def _scores(
    db: Database, host: Host, caller: str, name: str, query: str, texts: Sequence[str]
) -> list[float]:
    from ..rerank import rerank

    for text in (query, *texts):
        host.check_text(caller, text)
    check = host.watch(caller, db.check)
    model = lookup_local(db, host, name, caller)
    try:
        found = rerank(model, query, texts, check=check, threads=host.threads)
    except ValueError as error:
        raise ValueError(f"{caller}: {error}") from error
    return [float(score) for score in found.scores]
