"""Graph functions in the SQL of a real Datasette: its readers share what one of them has read."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette

from sqlite_utils_muninn.graph import cache, edge_table
from tests.served import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

RANKS = "SELECT node, rank FROM graph_pagerank('edges', 'source', 'target') LIMIT 3"


@pytest.mark.asyncio
async def test_readers_share_one_graph_and_see_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shared.db"
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE edges (source, target)")
    conn.executemany("INSERT INTO edges VALUES (?, ?)", [(i, i * i % 50) for i in range(50)])
    conn.commit()
    conn.close()
    seen: list[Any] = []

    def counted(db: Any, statement: Any, work: Any) -> Any:
        seen.append(statement)
        return edge_table.read(db, statement, work)

    monkeypatch.setattr(cache, "read", counted)
    cache.CACHE.clear()
    datasette = Datasette([str(path)], settings={**PATIENT, "num_sql_threads": 3})

    async def ask(sql: str) -> Any:
        response = await datasette.client.get("/shared/-/query.json", params={"sql": sql})
        return response.json()["rows"]

    answers = await asyncio.gather(*(ask(RANKS) for _ in range(30)))
    assert all(answer == answers[0] != [] for answer in answers)
    assert len(seen) <= 3  # each reader looks once for itself
    assert len(cache.CACHE) == 1
    await datasette.get_database("shared").execute_write(
        "INSERT INTO edges VALUES ('new', 'newer')"
    )
    walk = "SELECT node FROM graph_bfs('edges', 'source', 'target', 'new')"
    for answer in await asyncio.gather(*(ask(walk) for _ in range(9))):
        assert answer == [{"node": "new"}, {"node": "newer"}]
    datasette.close()
