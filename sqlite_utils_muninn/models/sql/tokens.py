"""How a model reads a text: its tokens, their pieces, their number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import Function

from ..names import lookup
from .parameters import MODEL, TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host


def json_array(values: Sequence[int | str]) -> str:
    """A JSON array without spaces, as SQLite's own functions and sqlite-muninn write it."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def surface(host: Host) -> list[Declaration]:
    """Return the functions of tokens."""

    def tokenize(db: Database, model: str, text: str) -> str:
        host.check_text("muninn_tokenize", text)
        return json_array(lookup(db, host, model, "muninn_tokenize").tokenize(text))

    def tokenize_text(db: Database, model: str, text: str) -> str:
        host.check_text("muninn_tokenize_text", text)
        pieces = lookup(db, host, model, "muninn_tokenize_text").pieces(text)
        return json_array(pieces)

    def token_count(db: Database, model: str, text: str) -> int:
        host.check_text("muninn_token_count", text)
        return lookup(db, host, model, "muninn_token_count").token_count(text)

    return [
        Function(
            "muninn_tokenize",
            (MODEL, TEXT),
            tokenize,
            help="The tokens that a model reads, special ones included.",
            returns="JSON array of ids",
            json=True,
        ),
        Function(
            "muninn_tokenize_text",
            (MODEL, TEXT),
            tokenize_text,
            help="What each of those tokens stands for.",
            returns="JSON array of texts",
            json=True,
        ),
        Function(
            "muninn_token_count",
            (MODEL, TEXT),
            token_count,
            help="How many tokens a model reads of a text.",
            returns="integer",
        ),
    ]
