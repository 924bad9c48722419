"""hnsw_index tables of the C extension sqlite-muninn 0.4 to 0.6.

Their shadow table v_nodes has the vectors: (id, vector, level, deleted); v_config has dimensions,
metric (0 l2, 1 cosine, 2 inner product), m and ef_construction, all as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...bridge import quote
from ..options import COSINE, INNER_PRODUCT, L2
from .origin import Origin, Row, prefix_of, tables

if TYPE_CHECKING:
    from collections.abc import Iterator

_METRICS = {"0": L2, "1": COSINE, "2": INNER_PRODUCT}
_BLOCK = 1000


def origin(conn: Any, table: str) -> Origin:
    """Describe a table. Raises ValueError where there is none of sqlite-muninn's."""
    there = tables(conn)
    prefix = prefix_of(there, table, ("_nodes", "_config"))
    nodes = quote(f"{prefix}_nodes")
    known = {row[1] for row in conn.execute(f"PRAGMA table_info({nodes})")} if prefix else set()
    if not {"id", "vector", "deleted"} <= known:
        raise ValueError(f"{table!r} is no table of sqlite-muninn: {_found(conn, there)}")
    config = dict(conn.execute(f"SELECT key, value FROM {quote(f'{prefix}_config')}"))
    numbers = {key: str(config.get(key)) for key in ("dimensions", "m", "ef_construction")}
    metric = _METRICS.get(str(config.get("metric")))
    if metric is None or not all(number.isdecimal() for number in numbers.values()):
        raise ValueError(f"the config of {table!r} cannot be read")
    ((count,),) = conn.execute(f"SELECT count(*) FROM {nodes} WHERE NOT deleted")
    return Origin(
        table,
        int(numbers["dimensions"]),
        metric,
        (),
        count,
        lambda: _blocks(conn, nodes),
        f"m={numbers['m']}, ef_construction={numbers['ef_construction']}",
    )


def _found(conn: Any, there: dict[str, str]) -> str:
    found = []
    for name in there:
        if name.endswith("_nodes"):
            columns = {row[1] for row in conn.execute(f"PRAGMA table_info({quote(name)})")}
            if {"id", "vector", "level", "deleted"} <= columns:
                found.append(name[: -len("_nodes")])
    return f"there are {', '.join(found)}" if found else "the file has none"


def _blocks(conn: Any, nodes: str) -> Iterator[list[Row]]:
    sql = f"SELECT id, vector FROM {nodes} WHERE NOT deleted"
    rows = conn.execute(f"{sql} ORDER BY id LIMIT {_BLOCK}").fetchall()
    while rows:
        yield [Row(id_, vector, ()) for id_, vector in rows]
        sql_after = f"{sql} AND id > ? ORDER BY id LIMIT {_BLOCK}"
        rows = conn.execute(sql_after, (rows[-1][0],)).fetchall()
