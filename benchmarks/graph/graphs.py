"""The graphs that are measured, as SQLite files with a table e (s TEXT, t TEXT, w REAL)."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SIZES = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}


def write(size: str, path: Path) -> dict[str, Any] | None:
    """Make a file; gives its counts and the ends of the path that is asked for."""
    others = {"debian": debian, "karate": karate}
    edges: Iterable[tuple[str, str]] = (
        power_law(SIZES[size], 5) if size in SIZES else others[size]()
    )
    chance = random.Random(1)
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE e (s TEXT, t TEXT, w REAL)")
    rows = ((s, t, chance.randint(1, 9)) for s, t in edges)
    conn.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
    # sqlite-muninn looks neighbours up one node at a time.
    conn.execute("CREATE INDEX by_source ON e (s)")
    conn.execute("CREATE INDEX by_target ON e (t)")
    conn.commit()
    count = conn.execute("SELECT count(*) FROM e").fetchone()[0]
    ends = "SELECT s AS n FROM e UNION SELECT t FROM e"
    nodes = conn.execute(f"SELECT count(*) FROM ({ends})").fetchone()[0]
    if not count:
        return None
    start = conn.execute("SELECT s FROM e GROUP BY s ORDER BY count(*) DESC, s LIMIT 1").fetchone()
    end = conn.execute("SELECT t FROM e ORDER BY rowid DESC LIMIT 1").fetchone()
    conn.close()
    names = {"start": start[0], "end": end[0], "far": _farthest(path, start[0])}
    return {"nodes": nodes, "edges": count, **names}


def _farthest(path: Path, start: str) -> str:
    """A node as many hops away as there are: a path to the next one says little."""
    import sqlite_utils_muninn

    conn = sqlite_utils_muninn.connect(path)
    rows = conn.execute("SELECT node FROM graph_bfs('e', 's', 't', ?)", (start,)).fetchall()
    conn.close()
    return str(rows[-1][0])


def power_law(nodes: int, each: int) -> Iterator[tuple[str, str]]:
    """Barabasi and Albert's graph, after Batagelj and Brandes 2005: copy a random earlier end.

    Edges lead from old nodes to new ones, so that nearly all can be reached from the first.
    """
    chance = random.Random(42)
    ends: list[int] = []
    for node in range(nodes):
        for _ in range(each):
            ends.append(node)
            ends.append(ends[chance.randrange(len(ends))])
    for place in range(0, len(ends), 2):
        yield f"node-{ends[place + 1]}", f"node-{ends[place]}"


def karate() -> Iterator[tuple[str, str]]:
    """Zachary's karate club, on which everybody tries community detection."""
    import networkx as nx

    for one, other in nx.karate_club_graph().edges:
        yield str(one), str(other)


def debian() -> Iterator[tuple[str, str]]:
    """Who depends on whom among the packages that apt knows of."""
    try:
        text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return
    package = ""
    for line in text.splitlines():
        field, _, rest = line.partition(": ")
        if field == "Package":
            package = rest
        elif field in ("Depends", "Pre-Depends"):
            for one in re.split(r"[,|]", rest):
                name = one.split("(")[0].split(":")[0].strip()
                if name:
                    yield package, name
