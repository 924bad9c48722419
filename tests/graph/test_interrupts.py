"""Every algorithm stops within 100 ms of conn.interrupt(), and of a progress handler's word."""

from __future__ import annotations

import threading
import time
from typing import Any

import networkx as nx
import numpy as np
import pytest

from sqlite_utils_muninn.graph.work import SMALL
from tests.interruption import interrupted

BETWEENNESS = "graph_node_betweenness('e', 's', 't', NULL, 0, 'both')"
# How each says that it begins: `tests.interruption`.
SLOW = [
    "graph_node_betweenness(begun('e'), 's', 't', NULL, 0, 'both')",
    "graph_edge_betweenness(begun('e'), 's', 't', NULL, 0, 'both')",
    "graph_node_betweenness(begun('e'), 's', 't', 'w', 0, 'both')",
    "graph_closeness(begun('e'), 's', 't', NULL, 1, 'both')",
    "graph_closeness(begun('e'), 's', 't', 'w', 1, 'both')",
    "graph_pagerank(begun('e'), 's', 't', 0.9999, 1000000, 0)",
    "graph_leiden WHERE edge_table = begun('e') AND src_col = 's' AND dst_col = 't'"
    " AND iterations = 100000",
]
STOPS = 1.0  # seconds of CPU, in all threads: 0.03 in truth, while each of them takes more than 8


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, sqlite: Any) -> Any:
    path = tmp_path_factory.mktemp("interrupts") / "graph.db"
    conn = sqlite.connect(str(path))
    conn.execute("CREATE TABLE e (s, t, w)")
    weights = np.random.default_rng(1).integers(1, 9, 300_000).tolist()
    # Larger than what is done without a thread that asks meanwhile.
    edges = nx.barabasi_albert_graph(45_000, 5, seed=1).edges
    assert len(edges) > SMALL
    conn.executemany(
        "INSERT INTO e VALUES (?, ?, ?)", [(*e, w) for e, w in zip(edges, weights, strict=False)]
    )
    conn.commit()
    conn.close()
    return path


@pytest.mark.parametrize("call", SLOW)
def test_interrupt(connect: Any, sqlite: Any, path: Any, call: str) -> None:
    conn = connect(path, check_same_thread=False)
    conn.execute("SELECT count(*) FROM graph_degree('e', 's', 't')").fetchone()
    before = set(threading.enumerate())  # other rooms' threads may be there
    with interrupted(conn) as interruption, pytest.raises(sqlite.OperationalError) as caught:
        conn.execute(f"SELECT count(*) FROM {call}").fetchall()
    assert caught.value.args == ("interrupted",)
    assert interruption.cpu_seconds < STOPS
    for kernel in set(threading.enumerate()) - before:
        kernel.join(5)
        assert not kernel.is_alive()
    assert conn.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2])
def test_arrays_that_are_being_written(
    connect: Any, sqlite: Any, path: Any, tmp_path: Any, seconds: float
) -> None:
    """A module's constructor, of which SQLite says no more than that it failed."""
    conn = connect(tmp_path / "adjacency.db", check_same_thread=False)
    conn.execute("ATTACH ? AS other", (str(path),))
    conn.execute("CREATE TABLE e AS SELECT * FROM other.e")
    make = "CREATE VIRTUAL TABLE g USING graph_adjacency(edge_table=e, src_col=s, dst_col=t)"
    while (ended := _interrupted(conn, sqlite, make, seconds)) is None:
        conn.execute("DROP TABLE g")  # a fast machine was ready before
        seconds /= 2
    late, said = ended
    assert late < STOPS
    assert said == ("interrupted",)
    assert conn.execute("SELECT name FROM sqlite_master").fetchall() == [("e",)]


def _interrupted(conn: Any, sqlite: Any, sql: str, seconds: float) -> tuple[float, Any] | None:
    """The CPU seconds from an interrupt after so long to the statement's end, and its error.

    None: it was ready before.
    """
    said = []

    def interrupt() -> None:
        said.append(time.process_time())
        conn.interrupt()

    timer = threading.Timer(seconds, interrupt)
    timer.start()
    try:
        conn.execute(sql)
    except sqlite.OperationalError as error:
        return time.process_time() - said[0], error.args
    finally:
        timer.cancel()
        timer.join()
    return None


def test_progress_handler(connect: Any, sqlite: Any, path: Any) -> None:
    conn = connect(path)
    conn.execute("SELECT count(*) FROM graph_degree('e', 's', 't')").fetchone()
    until, started = time.monotonic() + 0.5, time.process_time()
    conn.set_progress_handler(lambda: time.monotonic() > until, 1000)
    with pytest.raises(sqlite.OperationalError) as caught:
        conn.execute(f"SELECT count(*) FROM {BETWEENNESS}").fetchall()
    assert caught.value.args == ("interrupted",)
    assert time.process_time() - started < 1 + STOPS  # two threads for half a second


def test_a_limit_of_seconds(connect: Any, sqlite: Any, path: Any) -> None:
    from sqlite_utils_muninn.settings import Host

    conn = connect(path, host=Host(max_seconds=0.3, threads=2))
    with pytest.raises(
        sqlite.OperationalError, match=r"graph_node_betweenness: stopped after 0.3 s"
    ):
        conn.execute(f"SELECT count(*) FROM {BETWEENNESS}").fetchall()
