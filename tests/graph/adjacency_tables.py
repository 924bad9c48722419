"""A table e (s, t, w), g, a graph_adjacency table that follows it, and what is read from both."""

from __future__ import annotations

from typing import Any

from sqlite_utils_muninn.graph.cache import CACHE

CREATE = "CREATE VIRTUAL TABLE g USING graph_adjacency(edge_table='e', src_col=s, dst_col='t', "
CREATE += "weight_col='w')"


def followed(conn: Any) -> Any:
    """Makes e of five rows, one of which has a NULL end, and g; gives the connection."""
    conn.execute("CREATE TABLE e (s, t, w)")
    rows = [("a", "b", 2), ("b", "c", 3), ("a", "c", 9), (None, "x", 1), ("c", "c", 1)]
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
    conn.execute(CREATE)
    return conn


def rows_of(conn: Any, table: str) -> list[Any]:
    """What functions give; as new, for a table and what follows it are one graph in the cache."""
    CACHE.clear()
    queries = (
        "SELECT * FROM graph_bfs(?, 's', 't', 'a')",
        "SELECT * FROM graph_pagerank(?, 's', 't')",
        "SELECT * FROM graph_shortest_path(?, 's', 't', 'a', 'c', 'w')",
        "SELECT * FROM graph_degree(?, 's', 't', 'w')",
        "SELECT * FROM graph_leiden(?, 's', 't')",
    )
    return [conn.execute(sql, (table,)).fetchall() for sql in queries]


def all_of(conn: Any, table: str) -> str:
    """Everything that depends on ids, their order, the order of edges, and weights.

    As text, in which 1 and 1.0 differ; as new, see `rows_of`.
    """
    CACHE.clear()
    degrees = "SELECT node, in_degree, out_degree, degree FROM graph_degree(?, 's', 't', 'w')"
    walk = "SELECT node, parent FROM graph_dfs WHERE edge_table = ?1 AND src_col = 's'"
    walk += " AND dst_col = 't' AND direction = 'both' AND start_node = ?2"
    found = [conn.execute(degrees, (table,)).fetchall()]
    order = conn.execute("SELECT node FROM graph_components(?, 's', 't')", (table,)).fetchall()
    starts = [node for (node,) in order][:2]
    return repr([found, order, *(conn.execute(walk, (table, n)).fetchall() for n in starts)])
