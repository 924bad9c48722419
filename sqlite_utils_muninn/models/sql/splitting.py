"""Long texts in pieces that a model reads whole: `muninn_chunks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import Parameter, Rows, TableFunction

from ..names import lookup
from .parameters import MODEL, TEXT

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

_NAME = "muninn_chunks"
_USUAL_TOKENS = 256


def surface(host: Host) -> list[Declaration]:
    """Return the function that cuts texts."""

    def chunk(
        db: Database, model: str, text: str, max_tokens: int | None, overlap: int | None
    ) -> Rows:
        return _rows(db, host, model, text, max_tokens, overlap or 0)

    most = Parameter(
        "max_tokens",
        None,
        kind="integer",
        help=f"Tokens of a chunk, special ones included; {_USUAL_TOKENS} if left out.",
    )
    overlap = Parameter(
        "overlap", 0, kind="integer", help="Tokens that a chunk may share with the one before it."
    )
    return [
        TableFunction(
            _NAME,
            ("idx INTEGER", "start INTEGER", "end INTEGER", "tokens INTEGER", "text TEXT"),
            (MODEL, Parameter("source", kind=TEXT.kind, help="The long text."), most, overlap),
            chunk,
            help="A text in pieces that a model reads whole, cut between sentences. "
            "substr(source, start + 1, end - start) is the text.",
            order=(("idx", "ASC"),),
        )
    ]


def _rows(
    db: Database, host: Host, name: str, text: str, max_tokens: int | None, overlap: int
) -> Rows:
    from ..texts.chunks import chunks

    host.check_text(_NAME, text)
    check = host.watch(_NAME, db.check)
    model = lookup(db, host, name, _NAME)
    most = max_tokens
    if most is None:
        prefix = model.token_count(model.document_prefix) - model.token_count("")
        most = min(_USUAL_TOKENS, model.context) - prefix
    elif most > model.context:
        raise ValueError(
            f"{_NAME}: max_tokens must be at most {model.context}, "
            f"which model {name!r} reads, got {most}"
        )
    try:
        found = list(chunks(text, model.token_count, most, overlap, check))
    except ValueError as error:
        raise ValueError(f"{_NAME}: {error}") from error
    return Rows(
        [
            list(range(len(found))),
            [chunk.start for chunk in found],
            [chunk.end for chunk in found],
            [chunk.tokens for chunk in found],
            [text[chunk.start : chunk.end] for chunk in found],
        ]
    )
