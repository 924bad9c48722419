"""What a search of a graph shows of a row is of one moment, whoever writes meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette

import sqlite_utils_muninn
from datasette_muninn.graph_search import answering
from tests.served import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
PRAGMA journal_mode = wal;
CREATE TABLE pairs (a INTEGER, b TEXT, name TEXT, number INTEGER, PRIMARY KEY (a, b));
INSERT INTO pairs VALUES (1, 'x', 'raven one', 7), (2, 'y', 'raven two', 8);
"""
GRAPH = {"nodes": [{"table": "pairs", "id": "number", "label": "name", "text": "name"}]}


@pytest.mark.asyncio
async def test_a_row_leads_to_itself_when_another_takes_its_rowid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: rows were read, then their pages' addresses; a commit in between mixed them."""
    path = tmp_path / "pairs.db"
    writer = sqlite_utils_muninn.connect(path, isolation_level=None, check_same_thread=False)
    writer.executescript(SCHEMA)
    search = sqlite_utils_muninn.search

    def search_then_write(*given: Any, **options: Any) -> Any:
        answer = search(*given, **options)
        writer.execute("UPDATE pairs SET rowid = -rowid")
        writer.execute("UPDATE pairs SET rowid = 3 + rowid")
        return answer

    monkeypatch.setattr(answering, "search", search_then_write)
    options = {"plugins": {"datasette-muninn": {"graphs": {"pairs": GRAPH}}}}
    instance = Datasette([str(path)], config={"databases": {"pairs": options}}, settings=PATIENT)
    try:
        rows = (await instance.client.get("/pairs/-/muninn/search.json?q=raven")).json()["rows"]
        assert {row["label"]: row["url"] for row in rows} == {
            "raven one": "/pairs/pairs/1,x",
            "raven two": "/pairs/pairs/2,y",
        }
    finally:
        instance.close()
        writer.close()
