"""One subject, one call, one process: prints CPU seconds, cold and warm, and the answer."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

EDGES = "edge_table = 'e' AND src_col = 's' AND dst_col = 't'"


def statement(request: dict[str, Any], start: str) -> str:
    """The same SQL for both extensions: one row that depends on every row of the result."""
    both = f"{EDGES} AND direction = 'both'"
    sql = {
        "bfs": f"count(*), sum(depth) FROM graph_bfs('e', 's', 't', '{start}', 100, 'both')",
        "path": "count(*), max(distance) FROM "
        f"graph_shortest_path('e', 's', 't', '{request['start']}', '{start}', 'w')",
        "components": f"count(*), max(component_size) FROM graph_components WHERE {EDGES}",
        "pagerank": f"count(*), max(rank) FROM graph_pagerank WHERE {EDGES}",
        "closeness": f"count(*), max(centrality) FROM graph_closeness WHERE {both}",
        "betweenness": f"count(*), max(centrality) FROM graph_node_betweenness WHERE {both}",
        "leiden": f"count(*), max(modularity) FROM graph_leiden WHERE {EDGES}",
    }
    return "SELECT " + sql[request["call"]]


def connect(request: dict[str, Any]) -> Any:
    """A connection with the subject on it."""
    from pysqlite3 import dbapi2 as sqlite

    conn = sqlite.connect(request["path"])
    if request["subject"] == "ours":
        import numpy as np

        import sqlite_utils_muninn
        from sqlite_utils_muninn.settings import Host

        np.zeros(1)
        sqlite_utils_muninn.load(conn, Host(threads=request["threads"]))
    else:
        conn.enable_load_extension(True)
        conn.load_extension(request["library"].removesuffix(".so"))
    return conn


def by_sql(request: dict[str, Any]) -> dict[str, Any]:
    conn = connect(request)
    starts = {"bfs": [request["start"], request["end"]], "path": [request["far"], request["end"]]}
    first, second = starts.get(request["call"], ["", ""])
    answer, cold, wall = timed(lambda: conn.execute(statement(request, first)).fetchone())
    result = {"answer": answer, "cold": cold, "wall": wall}
    if request["subject"] == "ours":
        forget_results()
        _, result["warm"], _ = timed(lambda: conn.execute(statement(request, second)).fetchone())
    return result


def forget_results() -> None:
    """Warm means the arrays: what was computed from them is computed again."""
    from sqlite_utils_muninn.graph.cache import CACHE

    graphs: list[Any] = list(CACHE._graphs.values())
    for graph in graphs:
        graph._results.clear()


def by_networkx(request: dict[str, Any]) -> dict[str, Any]:
    import sqlite3

    import networkx as nx

    conn = sqlite3.connect(request["path"])
    directed = request["call"] in ("path", "pagerank")

    def build() -> Any:
        graph = nx.MultiDiGraph() if directed else nx.Graph()
        for s, t, w in conn.execute("SELECT s, t, w FROM e"):
            graph.add_edge(s, t, weight=w)
        return graph

    graph, building, _ = timed(build)
    calls: dict[str, Callable[[], Any]] = {
        "bfs": lambda: sum(nx.single_source_shortest_path_length(graph, request["start"]).values()),
        "path": lambda: reach(nx, graph, request["start"], request["far"]),
        "components": lambda: max(map(len, nx.connected_components(graph))),
        "pagerank": lambda: max(nx.pagerank(graph, weight=None).values()),
        "closeness": lambda: max(nx.closeness_centrality(graph).values()),
        "betweenness": lambda: max(nx.betweenness_centrality(graph, normalized=False).values()),
        "leiden": lambda: nx.community.modularity(
            graph, nx.community.louvain_communities(graph, None, seed=1), None
        ),
    }
    answer, running, _ = timed(calls[request["call"]])
    return {"answer": answer, "cold": building + running, "warm": running}


def reach(nx: Any, graph: Any, start: str, end: str) -> float | None:
    try:
        length: float = nx.dijkstra_path_length(graph, start, end)
    except nx.NetworkXNoPath:
        return None
    return length


def by_peer(request: dict[str, Any]) -> dict[str, Any]:
    """Another Leiden on the same undirected graph: its modularity, and the CPU seconds of it."""
    from benchmarks.graph import leidens

    graph = leidens.read(request["path"])
    search = getattr(leidens, request["subject"])(graph)
    label, running, wall = timed(search)
    return {"answer": leidens.judge(graph, label), "cold": running, "wall": wall}


def judged(request: dict[str, Any]) -> dict[str, Any]:
    """What an extension's communities are worth, by the same measure for all."""
    from benchmarks.graph import leidens

    rows = connect(request).execute(f"SELECT node, community_id FROM graph_leiden WHERE {EDGES}")
    graph = leidens.read(request["path"])
    return {"answer": leidens.judge(graph, leidens.labels(graph, dict(rows)))}


def peak() -> int | None:
    """Most memory that this process had, in MB (not getrusage's, which its parent's can be)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    answer = call()
    return answer, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    request = json.loads(sys.argv[1])
    kinds = {"ours": by_sql, "sqlite-muninn": by_sql, "networkx": by_networkx}
    result = kinds.get(request["subject"], by_peer)(request)
    result["peak_mb"] = peak()
    if request["call"] == "leiden" and kinds.get(request["subject"]) is by_sql:
        result.update(judged(request))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
