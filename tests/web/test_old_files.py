"""A file of the extension sqlite-muninn in Datasette: its pages open, and say what to run."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.test_imports import muninn_file

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

COMMAND = "sqlite-utils muninn import sqlite-muninn FILE my_vecs FILE my_vecs"


@pytest.fixture
def old(datasette: Any, tmp_path: Path) -> Any:
    path = tmp_path / "old.db"
    muninn_file(path, 20)
    return datasette(files=[path])


@pytest.mark.parametrize("path", ["/", "/old", "/old/my_vecs_nodes", "/old/-/muninn/search?q=x"])
async def test_pages_open(old: Any, path: str) -> None:
    """The fault: one table that cannot be counted would close the pages of all."""
    await old.invoke_startup()
    assert (await old.client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/old/my_vecs", "/old/my_vecs.json"])
async def test_its_table_says_what_to_run(old: Any, path: str) -> None:
    """The fault: "no such table: main.my_vecs_log"."""
    await old.invoke_startup()
    answer = await old.client.get(path)
    assert answer.status_code == 500
    assert COMMAND in html.unescape(answer.text)
