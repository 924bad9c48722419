"""sqlite-muninn's GraphRAG cookbook: nearest nodes, what is within two hops, by global centrality.

Its SQL runs here as it is written there: three nearest vectors, `graph_bfs` from each to depth 2 in
both directions, and the union ordered by the centrality of the whole graph. The cookbook takes
betweenness; PageRank is measured beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from benchmarks.search.tasks import Task

SEEDS = 3
DEPTH = 2
CENTRALITY = {
    "betweenness": "SELECT node, centrality FROM graph_node_betweenness "
    "WHERE edge_table = 'edges' AND src_col = 'source' AND dst_col = 'target' "
    "AND direction = 'both'",
    "pagerank": "SELECT node, rank FROM graph_pagerank "
    "WHERE edge_table = 'edges' AND src_col = 'source' AND dst_col = 'target'",
}


class Cookbook:
    """The recipe on one file."""

    def __init__(self, conn: sqlite3.Connection, task: Task, by: str) -> None:
        self.conn = conn
        self.centrality = dict(conn.execute(CENTRALITY[by]))
        self.allowed = {
            node.name
            for node in task.nodes
            if task.node_types is None or node.type in task.node_types
        }
        self.near: dict[str, list[str]] = {}

    def ranked(self, vector: bytes, k: int = 10) -> list[str]:
        """Return the names of the first k nodes that may be returned."""
        seeds = self.conn.execute(
            "SELECT nodes.name FROM nodes_vectors v JOIN nodes ON nodes.id = v.rowid "
            "WHERE v.vector MATCH ? AND v.k = ? ORDER BY v.distance",
            (vector, SEEDS),
        ).fetchall()
        reached = dict.fromkeys(name for (seed,) in seeds for name in self._around(seed))
        kept = [name for name in reached if name in self.allowed]
        return sorted(kept, key=lambda name: -self.centrality.get(name, 0))[:k]

    def _around(self, seed: str) -> list[str]:
        if seed not in self.near:
            rows = self.conn.execute(
                "SELECT node FROM graph_bfs WHERE edge_table = 'edges' AND src_col = 'source' "
                "AND dst_col = 'target' AND start_node = ? AND max_depth = ? "
                "AND direction = 'both'",
                (seed, DEPTH),
            )
            self.near[seed] = [seed, *(node for (node,) in rows)]
        return self.near[seed]
