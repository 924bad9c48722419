"""A declared graph in memory: all rows of its node tables, and the edges between them, as arrays.

A node is a row of a node table: ends of edges that are none, and edges into tables that the caller
may not see, are not there. Nodes are numbered table by table in the order of their rowids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary, SQLError
from sqlite_utils_muninn.graph.cache import CACHE, load_parts
from sqlite_utils_muninn.graph.graph import Graph
from sqlite_utils_muninn.graph.work import OverLimit, megabytes

from .names import Names, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.graph.graph import Neighbours
    from sqlite_utils_muninn.graph.work import Work

    from .binding import Edges, Nodes
    from .options import Options
    from .pool import Place


@dataclass(frozen=True)
class NodeStatement:
    """The SELECT of a node table: rowid (or 0), label (or nothing) and id."""

    rowid: str | None
    id: str
    label: str | None
    table: str
    name: str
    parameters: tuple[Any, ...] = ()

    @property
    def has_rowid(self) -> bool:
        """Whether rows have a number."""
        return self.rowid is not None

    @property
    def sql(self) -> str:
        """The text."""
        return self.select(1)

    def select(self, ids: int) -> str:
        """The text, with the id so many times."""
        order = f" ORDER BY {self.rowid}" if self.rowid else ""
        label = "NULL" if self.label is None else f"CAST({self.label} AS TEXT)"
        columns = ", ".join([self.rowid or "0", label, *[self.id] * ids])
        return f"SELECT {columns} FROM {self.table}{order}"


@dataclass(frozen=True)
class EdgeStatement:
    """The SELECT of an edge table: source, target, type, weight."""

    sql: str
    name: str
    parameters: tuple[Any, ...]
    source_nodes: int | None
    target_nodes: int | None
    weighted: bool


@dataclass(frozen=True)
class Statements:
    """All that a network is read by; the same statements read the same network."""

    nodes: tuple[NodeStatement, ...]
    edges: tuple[EdgeStatement, ...]


class TableNodes:
    """The rows of one node table: node `base + i` is the i-th."""

    def __init__(self, base: int, rowids: np.ndarray | None, ids: Dictionary, codes: np.ndarray):
        self.base = base
        self.rowids = rowids
        """int64, rising; None: the table has none."""
        self.ids = ids
        self.codes = codes
        """int32, of the ids in their dictionary; -1 where the id is NULL."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Memory held, without the ids, which tables may share."""
        return self.codes.nbytes + (0 if self.rowids is None else self.rowids.nbytes)

    def equals(self, other: TableNodes) -> bool:
        """Whether both are the same rows."""
        return (
            self.base == other.base
            and np.array_equal(self.codes, other.codes)
            and _same(self.rowids, other.rowids)
            and self.ids.equals(other.ids)
        )

    def find(self, keys: Sequence[Any]) -> np.ndarray:
        """Return the nodes of some rowids (of ids, where there are no rowids); -1: none."""
        if self.rowids is None:
            codes = [self.ids.find(key) for key in keys]
            first = first_of(self.codes, len(self.ids), self.base)
            return np.array([first[c] if c >= 0 else -1 for c in codes], np.int64)
        if not len(self.rowids):
            return np.full(len(keys), -1, np.int64)
        wanted = np.asarray(keys, np.int64)
        at = np.minimum(np.searchsorted(self.rowids, wanted), len(self.rowids) - 1)
        return np.where(self.rowids[at] == wanted, at + self.base, -1)

    def keys(self, nodes: np.ndarray) -> list[Any]:
        """Return the rowids of some of its nodes (the ids, where there are none)."""
        places = nodes - self.base
        if self.rowids is None:
            return self.ids.take(self.codes[places].tolist())
        found: list[Any] = self.rowids[places].tolist()
        return found


class Network:
    """Nodes and typed edges. It never changes, so threads and connections share it."""

    def __init__(
        self,
        tables: list[TableNodes],
        names: Names,
        graph: Graph,
        edge_type: np.ndarray,
        edge_types: list[Any],
        first_edges: np.ndarray,
    ) -> None:
        self.tables = tables
        self.names = names
        self.graph = graph
        self.edge_type = edge_type
        """int32, of each edge in `edge_types`; -1: NULL."""
        self.edge_types = edge_types
        self.first_edges = first_edges
        """Where the edges of each edge table begin; one more than there are tables."""
        self.bases = np.array([table.base for table in tables], np.int64)
        self.scratch: list[np.ndarray] = []

    @property
    def nbytes(self) -> int:
        """Memory held."""
        ids = {id(table.ids): table.ids.nbytes for table in self.tables}
        own = sum(table.nbytes for table in self.tables) + sum(ids.values())
        return own + self.names.nbytes + self.graph.nbytes + self.edge_type.nbytes

    def equals(self, other: Network) -> bool:
        """Whether both are the same nodes and edges."""
        pairs = zip(self.tables, other.tables, strict=False)
        return (
            len(self.tables) == len(other.tables)
            and all(one.equals(two) for one, two in pairs)
            and self.names.equals(other.names)
            and self.graph.equals(other.graph)
            and np.array_equal(self.edge_type, other.edge_type)
            and self.edge_types == other.edge_types
            and np.array_equal(self.first_edges, other.first_edges)
        )

    def table_of(self, nodes: np.ndarray) -> np.ndarray:
        """Return the number of the table that each node lies in."""
        found: np.ndarray = np.searchsorted(self.bases, nodes, side="right") - 1
        # An empty table begins where the next one does.
        return found

    def type_of_edge(self, edge: int) -> str:
        """Return the kind of an edge, "" where it has none."""
        code = int(self.edge_type[edge])
        return str(self.edge_types[code]) if code >= 0 else ""

    def ways(self, work: Work) -> Neighbours:
        """The edges of each node, whichever way they point."""
        return self.graph.neighbours("both", work)

    def weights(
        self, type_weights: Mapping[str, float], only: Sequence[str] | None, work: Work
    ) -> np.ndarray | None:
        """The weight of each edge of `ways`, by its own and that of its type; None: all are 1.

        Types that are not among `only` get 0.
        """
        per_type = [float(type_weights.get(str(kind), 1.0)) for kind in self.edge_types]
        if only is not None:
            kinds = zip(per_type, self.edge_types, strict=True)
            per_type = [weight if str(kind) in only else 0.0 for weight, kind in kinds]
        none = 1.0 if only is None else 0.0
        ways = self.ways(work)
        if all(weight == 1 for weight in per_type) and only is None:
            return ways.weights
        key = ("weights", tuple(per_type), none)
        count = self.graph.edges

        def compute() -> np.ndarray:
            work.need(16 * len(ways.targets), "the weights")
            edges = np.where(ways.edges < count, ways.edges, ways.edges - count)
            # The last is that of edges without a type, whose code is -1.
            found: np.ndarray = np.array([*per_type, none])[self.edge_type[edges]]
            return found if ways.weights is None else found * ways.weights

        return self.graph.result(key, compute)


def load(
    db: Database,
    nodes: Sequence[Nodes],
    edges: Sequence[Edges],
    options: Options,
    work: Work,
) -> Network:
    """Return the network of some tables, as the connection sees them now.

    Raises ValueError for a weight that is negative or no number, OverLimit over the limit.
    """
    statements = Statements(
        tuple(_select_nodes(table, options) for table in nodes),
        tuple(_select_edges(edge, nodes, options) for edge in edges),
    )
    return load_parts(db, statements, (*statements.nodes, *statements.edges), _read, work, CACHE)


def _select_nodes(table: Nodes, options: Options) -> NodeStatement:
    label = table.label if options.names else None
    return NodeStatement(table.table.rowid, table.id, label, table.table.sql, table.name)


def _select_edges(table: Edges, nodes: Sequence[Nodes], options: Options) -> EdgeStatement:
    source = _end(table.source, table.source_affinity, table.source_nodes, nodes)
    target = _end(table.target, table.target_affinity, table.target_nodes, nodes)
    values: list[Any] = [] if table.type else [table.kind]
    conditions = []
    bounds = ((">=", options.time_start), ("<=", options.time_end))
    for sign, bound in bounds:
        if bound is not None and table.timestamp is not None:
            conditions.append(f"{table.timestamp} {sign} ?")
            values.append(bound)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    weight = f", coalesce({table.weight}, 1)" if table.weight else ""
    sql = f"SELECT {source}, {target}, {table.type or '?'}{weight} FROM {table.table.sql}{where}"
    return EdgeStatement(
        sql,
        table.table.name,
        tuple(values),
        table.source_nodes,
        table.target_nodes,
        table.weight is not None,
    )


def _end(column: str, affinity: str, table: int | None, nodes: Sequence[Nodes]) -> str:
    """The id that an end of an edge names, as the type that the node table's ids have.

    `5 = '5'` is true in SQL where one of them is a column of numbers, and a dictionary tells them
    apart.
    """
    known = nodes if table is None else [nodes[table]]
    numbers = {"INTEGER", "REAL", "NUMERIC"}
    wanted = {node.affinity for node in known}
    if wanted <= numbers and affinity not in numbers:
        whole = f"CAST({column} AS INTEGER)"
        return f"CASE WHEN CAST({whole} AS TEXT) = {column} THEN {whole} ELSE {column} END"
    if wanted == {"TEXT"} and affinity in numbers:
        return f"CAST({column} AS TEXT)"
    return column


def _read(db: Database, statements: Statements, work: Work) -> Network:
    spaces = _Spaces(statements)
    tables: list[TableNodes] = []
    shared: list[np.ndarray] = []
    labels: list[str | None] = []
    base = 0
    for number, statement in enumerate(statements.nodes):
        into = spaces.dictionaries(number)
        kinds = ("integer", "text", *("code" for _ in into))
        rowids, said, *codes = _columns(
            db, statement, statement.select(len(into)), kinds, into, work
        )
        kept = rowids if statement.has_rowid else None
        tables.append(TableNodes(base, kept, into[0], codes[0]))
        shared.append(codes[-1])
        labels += said
        base += len(codes[0])
    spaces.fill(tables, shared)
    types = Dictionary()
    parts = [_read_edges(db, statement, spaces, types, work) for statement in statements.edges]
    first = np.cumsum([0, *(len(part[0]) for part in parts)])
    source, target, kind, weight = (
        np.concatenate([part[n] for part in parts]) if parts else np.empty(0, np.int32)
        for n in range(4)
    )
    weighted = any(statement.weighted for statement in statements.edges)
    graph = Graph(Dictionary(), source, target, weight if weighted else None, nodes=base)
    names = names_of(labels, work.check)
    return Network(tables, names, graph, kind, types.take(list(range(len(types)))), first)


def _read_edges(
    db: Database, statement: EdgeStatement, spaces: _Spaces, kinds: Dictionary, work: Work
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    sources, targets = spaces.ids(statement.source_nodes), spaces.ids(statement.target_nodes)
    wanted = ("code", "code", "code", "real")[: 4 if statement.weighted else 3]
    columns = _columns(db, statement, statement.sql, wanted, (sources, targets, kinds), work)
    source = spaces.nodes(statement.source_nodes, columns[0])
    target = spaces.nodes(statement.target_nodes, columns[1])
    kept = (source >= 0) & (target >= 0)
    weight = columns[3][kept] if statement.weighted else np.ones(int(kept.sum()))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        bad = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        raise ValueError(
            f"{work.caller}: the weight of an edge must be a number of 0 or more, "
            f"{statement.name!r} has {bad:g}"
        )
    return source[kept], target[kept], columns[2][kept], weight


def _columns(
    db: Database,
    statement: NodeStatement | EdgeStatement,
    sql: str,
    kinds: tuple[str, ...],
    dictionaries: Any,
    work: Work,
) -> tuple[Any, ...]:
    try:
        return db.columns(
            sql,
            statement.parameters,
            kinds,
            dictionary=dictionaries,
            limit=work.memory or 0,
        )
    except TypeError:
        raise ValueError(
            f"{work.caller}: the weight of an edge must be a number, {statement.name!r} has others"
        ) from None
    except MemoryError as error:
        if not str(error):  # there is no more, whatever may be used
            raise
        raise OverLimit(
            f"{work.caller}: table {statement.name!r} takes {error}, "
            f"at most {megabytes(work.memory or 0)} are allowed here"
        ) from None
    except SQLError as error:
        if error.sqlite_errorcode == 9:
            raise
        raise ValueError(f"{work.caller}: {statement.name!r} cannot be read: {error}") from error


def places_of(network: Network, nodes: np.ndarray) -> list[Place]:
    """Return the table and the key of nodes, in their order."""
    tables = network.table_of(nodes)
    found: list[Any] = [None] * len(nodes)
    for number, table in enumerate(network.tables):
        own = np.flatnonzero(tables == number)
        if len(own):
            for n, key in zip(own.tolist(), table.keys(nodes[own]), strict=True):
                found[n] = (number, key)
    return found


class _Spaces:
    """Which ids can be confused: those of one table, or of all, where an edge does not say."""

    def __init__(self, statements: Statements) -> None:
        ends = [end for edge in statements.edges for end in (edge.source_nodes, edge.target_nodes)]
        self._own = [Dictionary() for _ in statements.nodes]
        self._all = Dictionary()
        self._nodes: dict[int | None, np.ndarray] = {}
        if None in ends and len(self._own) == 1:
            self._all = self._own[0]
        self.is_shared = None in ends and len(self._own) > 1

    def dictionaries(self, number: int) -> tuple[Dictionary, ...]:
        """Return what the ids of a node table are read into."""
        return (self._own[number], self._all) if self.is_shared else (self._own[number],)

    def fill(self, tables: list[TableNodes], shared: list[np.ndarray]) -> None:
        """Take down which node has which id; the first, where several have one."""
        for number, table in enumerate(tables):
            self._nodes[number] = first_of(table.codes, len(table.ids), table.base)
        if self.is_shared:
            self._nodes[None] = first_of(np.concatenate(shared), len(self._all), 0)
        elif len(tables) == 1:
            self._nodes[None] = self._nodes[0]

    def ids(self, table: int | None) -> Dictionary:
        """Return what the end of an edge is read into."""
        return self._all if table is None else self._own[table]

    def nodes(self, table: int | None, codes: np.ndarray) -> np.ndarray:
        """Return the nodes of ids; -1 for what is none."""
        known = self._nodes[table]
        if not len(known):
            return np.full(len(codes), -1, np.int32)
        is_known = (codes >= 0) & (codes < len(known))
        found = known[np.where(is_known, codes, 0)]
        nodes: np.ndarray = np.where(is_known, found, -1).astype(np.int32)
        return nodes


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def first_of(codes: np.ndarray, size: int, base: int) -> np.ndarray:
    """Return for each of `size` codes `base` and the place where it comes first, -1: nowhere."""
    found = np.full(size, -1, np.int64)
    places = np.flatnonzero(codes >= 0)[::-1]
    found[codes[places]] = places + base
    return found
