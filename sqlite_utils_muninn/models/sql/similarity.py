"""Likeness by letters, which needs no model: `muninn_similarity`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils_muninn.bridge import Function, Parameter

from ..texts.trigrams import similarity

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

_NAME = "muninn_similarity"


def surface(host: Host) -> list[Declaration]:
    """Return the function."""

    def compare(db: Database, one: str, other: str) -> float:
        host.check_text(_NAME, one)
        host.check_text(_NAME, other)
        return similarity(one, other)

    return [
        Function(
            _NAME,
            (Parameter("text", kind="text"), Parameter("other", kind="text")),
            compare,
            help="How many of their trigrams two texts share.",
            returns="real from 0 to 1",
            deterministic=True,
        )
    ]
