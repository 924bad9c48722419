"""What all graph functions share: their arguments, the graph that those name, and their rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from sqlite_utils_muninn.bridge import Database, Parameter, TableFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np

    from sqlite_utils_muninn.settings import Host

    from ..edge_table import EdgeTable, Table
    from ..graph import Graph
    from ..work import Work

T = TypeVar("T")

EDGES = (
    Parameter("edge_table", kind="text", help="A table or view with a row for each edge."),
    Parameter("src_col", kind="text", help="Its column of the nodes that edges leave."),
    Parameter("dst_col", kind="text", help="Its column of the nodes that edges lead to."),
)
WEIGHT = Parameter("weight_col", None, kind="text", help="Its column of weights; without, all 1.")
TIME = (
    Parameter("timestamp_col", None, kind="text", help="Its column of times."),
    Parameter("time_start", None, help="Only edges of this time or later."),
    Parameter("time_end", None, help="Only edges of this time or earlier."),
)
TYPES = (
    Parameter("edge_type_col", None, kind="text", help="Its column of the kinds of edges."),
    Parameter("edge_types", None, kind="text", help="Only edges of these kinds, a comma list."),
)


def direction(default: str) -> Parameter:
    """The argument that says which way edges are followed."""
    return Parameter(
        "direction", default, kind="text", help="'forward', 'reverse' or 'both' ways along edges."
    )


DIRECTIONS = ("forward", "reverse", "both")

FIRST_BATCH, LARGEST_BATCH = 1_000, 64_000
"""Rows that are made at once: few at first, in case the statement wants no more."""


@dataclass(frozen=True)
class Call:
    """One call of a graph function: its arguments by name, and how much is wanted of it."""

    db: Database
    host: Host
    name: str
    arguments: Mapping[str, Any]
    limit: int | None = None
    used: int = -1

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    @cached_property
    def work(self) -> Work:
        """What the call may use."""
        from ..work import Work

        check = self.host.watch(self.name, self.db.check)
        return Work(self.name, check, self.host.graph_memory, self.host.threads)

    @cached_property
    def direction(self) -> str:
        """The way along edges. Raises ValueError for one that does not exist."""
        given: str = self["direction"]
        if given.lower() not in DIRECTIONS:
            raise ValueError(
                f"{self.name}: argument 'direction' must be forward, reverse or both, got {given!r}"
            )
        return given.lower()

    def at_least(self, argument: str, least: float) -> Any:
        """The number that was given. Raises ValueError where it is less than that."""
        given = self[argument]
        if not given >= least:
            raise ValueError(
                f"{self.name}: argument {argument!r} must be {least} or more, got {given}"
            )
        return given

    def damping(self) -> float:
        """The damping factor. Raises ValueError where it is no probability."""
        given: float = self["damping"]
        if not 0 <= given <= 1:
            raise ValueError(f"{self.name}: argument 'damping' must be from 0 to 1, got {given}")
        return given

    def graph(self, *, weights_may_be_negative: bool = False) -> Graph:
        """The graph of the edge table that the arguments name."""
        from .. import cache, edge_table

        given = self.arguments
        edges = edge_table.EdgeTable(
            table=given["edge_table"],
            source=given["src_col"],
            target=given["dst_col"],
            weight=given.get("weight_col"),
            timestamp=given.get("timestamp_col"),
            time_start=given.get("time_start"),
            time_end=given.get("time_end"),
            type_column=given.get("edge_type_col"),
            types=given.get("edge_types"),
        )
        cache.CACHE.limit = self.host.graph_cache
        table = edge_table.find_table(self.db, self.name, edges.table)
        graph = self._adjacency(table, edges)
        if graph is None:
            statement = edge_table.select(self.db, self.name, edges, table)
            graph = cache.load(self.db, statement, self.work)
        if not weights_may_be_negative:
            edge_table.check_not_negative(graph, self.name)
        self.work.held = lambda: graph.nbytes
        return graph

    def _adjacency(self, table: Table, edges: EdgeTable) -> Graph | None:
        """The graph of a graph_adjacency table, whose columns are its own; None for others."""
        if table.kind != "virtual":
            return None
        from ..adjacency.table import find

        found = find(self.db, table)
        if found is None:
            return None
        if edges.timestamp is not None or edges.types is not None:
            raise ValueError(
                f"{self.name}: {table.name!r} keeps no times and types; name its edge table instead"
            )
        if edges.weight is not None and found.edges.weight is None:
            raise ValueError(f"{self.name}: {table.name!r} was made without weight_col")
        graph = found.load(self.work)
        return graph if edges.weight is not None else graph.unweighted()

    def run(self, graph: Graph, algorithm: Callable[[Work], T]) -> T:
        """What an algorithm gives, of which this thread asks meanwhile whether to stop."""
        return self.work.aside(algorithm, steps=graph.nodes + graph.edges)

    def seeds(self, argument: str, graph: Graph) -> dict[int, float]:
        """Nodes and their weights, of a JSON object or array; those not in the graph left out."""
        caller = f"{self.name}: argument {argument!r} must be a JSON object of ids and weights"
        try:
            given = json.loads(self[argument])
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{caller}, it is not JSON: {error}") from None
        if isinstance(given, list):
            given = {str(value) if isinstance(value, int) else value: 1.0 for value in given}
        if not isinstance(given, dict):
            raise ValueError(f"{caller}, got {self[argument]!r}")
        found: dict[int, float] = {}
        for value, weight in given.items():
            if (
                isinstance(weight, bool)
                or not isinstance(weight, int | float)
                or not 0 <= weight < 1e300
            ):
                raise ValueError(f"{caller} of 0 or more, got {weight!r} for {value!r}")
            node = graph.find(value)
            if node >= 0 and weight > 0:
                found[node] = found.get(node, 0.0) + weight
        return found

    def rows(self, graph: Graph, nodes: np.ndarray, *columns: Any) -> Iterator[tuple[Any, ...]]:
        """Batches of rows: the ids of nodes, then the other columns.

        A column is an array, or a `Nodes` of which the ids are wanted.
        """
        import numpy as np

        count = len(nodes) if self.limit is None else min(self.limit, len(nodes))
        start, size = 0, FIRST_BATCH
        while start < count:
            part = slice(start, min(start + size, count))
            batch = []
            for number, column in enumerate((Nodes(nodes), *columns)):
                is_used = self.used >> min(number, 62) & 1
                if isinstance(column, Nodes):
                    codes = column.codes[part]
                    batch.append(
                        graph.ids.take(codes.tolist()) if is_used else np.zeros_like(codes)
                    )
                else:
                    batch.append(column[part])
            yield tuple(batch)
            start, size = part.stop, min(size * 4, LARGEST_BATCH)

    def ranked(
        self, graph: Graph, values: np.ndarray, *columns: np.ndarray
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of all nodes by falling values, as far as wanted; equal ones in their order."""

        def sort(work: Work) -> tuple[np.ndarray, ...]:
            order = falling(values, self.limit)
            return (order, *(column[order] for column in (*columns, values)))

        return self.rows(graph, *self.run(graph, sort))


@dataclass(frozen=True)
class Nodes:
    """A column of nodes; -1 is none."""

    codes: np.ndarray


def falling(values: np.ndarray, limit: int | None) -> np.ndarray:
    """Places of the largest values, falling; equal ones in their order."""
    import numpy as np

    if limit is None or limit * 4 > len(values):
        return np.argsort(-values, kind="stable")[:limit]
    if limit == 0:
        return np.empty(0, np.int64)
    least = np.partition(values, len(values) - limit)[len(values) - limit]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:limit]


def graph_function(
    host: Host,
    name: str,
    columns: Sequence[str],
    parameters: Sequence[Parameter],
    answer: Callable[[Call], Any],
    *,
    help: str,
    order: Sequence[tuple[str, str]] = (),
) -> TableFunction:
    """Declare a table function whose call gets its arguments by name."""
    names = [parameter.name for parameter in parameters]

    def call(db: Database, *given: Any, limit: int | None, used: int) -> Any:
        arguments = dict(zip(names, given, strict=True))
        return answer(Call(db, host, name, arguments, limit, used))

    return TableFunction(name, columns, parameters, call, help=help, order=order, pushdown=True)
