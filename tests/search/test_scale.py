"""Larger files: what stops a search, what is read again, and what is bounded."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sqlite_utils_muninn import search
from sqlite_utils_muninn.graph.cache import CACHE
from sqlite_utils_muninn.search import reading

COUNT = 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, sqlite: Any) -> Any:
    """20,000 nodes in a chain of cliques with a hub, full text over all."""
    path = tmp_path_factory.mktemp("scale") / "a.db"
    conn = sqlite.connect(str(path))
    conn.executescript(
        f"""
        CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT, body TEXT);
        CREATE TABLE edges (source INTEGER REFERENCES nodes, target INTEGER REFERENCES nodes);
        CREATE VIRTUAL TABLE nodes_fts USING fts5(name, body, content=nodes, content_rowid=id);
        WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {COUNT})
        INSERT INTO nodes SELECT n, 'node ' || n, 'word' || (n * 7919 % 5000) || ' common' FROM c;
        INSERT INTO edges SELECT id, id % {COUNT} + 1 FROM nodes;
        INSERT INTO edges SELECT id, (id * 31) % {COUNT} + 1 FROM nodes;
        INSERT INTO edges SELECT 1, id FROM nodes WHERE id > 2;
        INSERT INTO nodes_fts(nodes_fts) VALUES ('rebuild');
        """
    )
    conn.commit()
    conn.close()
    return path


def test_an_interrupt_stops_it_soon(path: Any, connect: Any) -> None:
    conn = connect(path)
    first: list[float] = []
    over = threading.Event()

    def interrupt() -> None:
        time.sleep(0.03)
        first.append(time.process_time())
        while not over.wait(0.005):
            conn.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(conn.OperationalError, match=r"^interrupted$"):
            _search_for_ever(conn)
        late = time.process_time() - first[0]
    finally:
        over.set()
        thread.join()
    assert late < 1  # second of CPU, a tenth of it in truth
    assert search(conn, "word7 word8").rows


def _search_for_ever(conn: Any) -> None:
    while True:
        CACHE.clear()
        conn.execute("CREATE TEMP TABLE IF NOT EXISTS t (x)")
        conn.execute("INSERT INTO temp.t VALUES (1)")  # what was read is of no use now
        search(conn, "word7 word8")


def test_a_graph_is_read_once_for_each_state_of_the_file(
    path: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    original = reading._read
    monkeypatch.setattr(reading, "_read", lambda *given: reads.append(1) or original(*given))
    conn = connect(path)
    first = search(conn, "word7 word8")
    assert search(conn, "word9").rows
    assert search(conn, "word7 word8", edge_types="edges").rows == first.rows
    assert len(reads) == 1
    conn.execute("BEGIN")
    conn.execute("UPDATE nodes SET name = 'Zanzibar' WHERE id = 77")
    assert search(conn, "where is zanzibar?").rows[0].node == 77
    conn.execute("ROLLBACK")
    assert all(row.label != "Zanzibar" for row in search(conn, "where is zanzibar?").rows)
    assert search(conn, "word7 word8").rows == first.rows


def test_two_connections_share_one_graph(path: Any, connect: Any) -> None:
    one, two = connect(path), connect(path)
    assert search(one, "word7").rows == search(two, "word7").rows
    assert len(CACHE) == 1


def test_a_hub_keeps_the_ball_small(path: Any, connect: Any) -> None:
    conn = connect(path)

    def reached(**options: Any) -> int:
        answer = search(conn, "word7 word8", **options)
        return next(stage.count for stage in answer.stages if stage.name == "walk")

    assert reached() < 300
    assert reached(hub_cap=10**6) == COUNT


def test_memory_is_bounded_by_the_host(path: Any, connect: Any) -> None:
    conn = connect(path, graph_memory=100_000)
    with pytest.raises(ValueError, match=r"search: table '(nodes|edges)' takes more than 100000"):
        search(conn, "word7")
