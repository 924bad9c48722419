"""Answers in JSON, which pages of other sites may read where Datasette allows it (`--cors`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datasette import Response
from datasette.utils import add_cors_headers

if TYPE_CHECKING:
    from datasette.app import Datasette


def json_answer(datasette: Datasette, body: dict[str, Any]) -> Response:
    """Return what was asked for."""
    return Response.json(body, headers=_headers(datasette))


def json_error(datasette: Datasette, message: str, status: int) -> Response:
    """Return why there is no answer, in Datasette's own shape of errors."""
    return Response.error(message, status, headers=_headers(datasette))


def _headers(datasette: Datasette) -> dict[str, str]:
    headers: dict[str, str] = {}
    if datasette.cors:
        add_cors_headers(headers)
    return headers
