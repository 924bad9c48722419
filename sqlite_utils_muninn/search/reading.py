"""Reading a declared graph into arrays: a statement for each table, all in one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sqlite_utils_muninn.bridge import Dictionary, SQLError
from sqlite_utils_muninn.graph.cache import CACHE, load_parts
from sqlite_utils_muninn.graph.graph import Graph

from .names import names_of
from .network import Network, TableNodes, first_of
from .times import NUMBERS, times_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlite_utils_muninn.bridge import Database
    from sqlite_utils_muninn.graph.work import Work

    from .binding import Edges, Nodes
    from .names import Names


LONGEST_LABEL = 100
"""Characters of a label that may be a name."""
LONGEST_ALIASES = 10_000
"""Characters of a node's other names."""


@dataclass(frozen=True)
class NodeStatement:
    """The SELECT of a node table: rowid (or 0), label and aliases (or nothing), and id."""

    rowid: str | None
    id: str
    label: str | None
    aliases: str | None
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
        label, aliases = _short(self.label, LONGEST_LABEL), _short(self.aliases, LONGEST_ALIASES)
        columns = ", ".join([self.rowid or "0", label, aliases, *[self.id] * ids])
        return f"SELECT {columns} FROM {self.table}{order}"


def _short(column: str | None, longest: int) -> str:
    """A column as text, unless it is so long that it is no name."""
    if column is None:
        return "NULL"
    return f"CASE WHEN length({column}) <= {longest} THEN CAST({column} AS TEXT) END"


@dataclass(frozen=True)
class EdgeStatement:
    """The SELECT of an edge table: source, target, type; time and weight where they are read."""

    sql: str
    name: str
    parameters: tuple[Any, ...]
    source_nodes: int | None
    target_nodes: int | None
    weighted: bool
    time_affinity: str | None
    """Of the column of times; None: it is not read."""


@dataclass(frozen=True)
class Statements:
    """All that a network is read by; the same statements read the same network."""

    nodes: tuple[NodeStatement, ...]
    edges: tuple[EdgeStatement, ...]
    without_texts: bool
    """No full text says how rare a name's words are: the names themselves must."""


def load(
    db: Database,
    nodes: Sequence[Nodes],
    edges: Sequence[Edges],
    work: Work,
    *,
    named: bool,
    timed: bool,
) -> Network:
    """Return the network of some tables, as the connection sees them now.

    `named`: with the names of nodes; `timed`: with the times of edges.
    Raises ValueError for a weight that is negative or no number, OverLimit over the limit.
    """
    statements = Statements(
        tuple(_select_nodes(table, named) for table in nodes),
        tuple(_select_edges(edge, nodes, timed) for edge in edges),
        all(table.fts is None for table in nodes),
    )
    return load_parts(db, statements, (*statements.nodes, *statements.edges), _read, work, CACHE)


def _select_nodes(table: Nodes, named: bool) -> NodeStatement:
    label, aliases = (table.label, table.aliases) if named else (None, None)
    return NodeStatement(table.table.rowid, table.id, label, aliases, table.table.sql, table.name)


def _select_edges(table: Edges, nodes: Sequence[Nodes], timed: bool) -> EdgeStatement:
    columns = [
        _end(table.source, table.source_affinity, table.source_nodes, nodes),
        _end(table.target, table.target_affinity, table.target_nodes, nodes),
        f"coalesce({table.type}, ?)" if table.type else "?",
    ]
    if timed and table.timestamp:
        columns.append(table.timestamp)
    if table.weight:
        columns.append(f"coalesce({table.weight}, 1)")
    return EdgeStatement(
        f"SELECT {', '.join(columns)} FROM {table.table.sql}",
        table.table.name,
        (table.kind,),
        table.source_nodes,
        table.target_nodes,
        table.weight is not None,
        table.timestamp_affinity if timed and table.timestamp else None,
    )


def _end(column: str, affinity: str, table: int | None, nodes: Sequence[Nodes]) -> str:
    """The id that an end of an edge names, as the type that the node table's ids have.

    `5 = '5'` is true in SQL where one of them is a column of numbers, and a dictionary tells them
    apart.
    """
    known = nodes if table is None else [nodes[table]]
    wanted = {node.affinity for node in known}
    if wanted <= NUMBERS and affinity not in NUMBERS:
        whole = f"CAST({column} AS INTEGER)"
        return f"CASE WHEN CAST({whole} AS TEXT) = {column} THEN {whole} ELSE {column} END"
    if wanted == {"TEXT"} and affinity in NUMBERS:
        return f"CAST({column} AS TEXT)"
    return column


def _read(db: Database, statements: Statements, work: Work) -> Network:
    spaces = _Spaces(statements)
    tables: list[TableNodes] = []
    shared: list[np.ndarray] = []
    labels: list[str | None] = []
    aliases: list[str | None] = []
    base = 0
    for number, statement in enumerate(statements.nodes):
        into = spaces.dictionaries(number)
        kinds = ("integer", "text", "text", *("code" for _ in into))
        rowids, said, others, *codes = _columns(
            db, statement, statement.select(len(into)), kinds, into, work
        )
        kept = rowids if statement.has_rowid else None
        tables.append(TableNodes(base, kept, into[0], codes[0]))
        shared.append(codes[-1])
        labels += said
        aliases += others
        base += len(codes[0])
    spaces.fill(tables, shared)
    edges = _Edges(db, spaces, work)
    for edge_statement in statements.edges:
        edges.read(edge_statement)
    names = names_of(labels, aliases, work.check, count_words=statements.without_texts)
    return edges.network(tables, names, base)


class _Edges:
    """The edges of all edge tables, one after the other."""

    def __init__(self, db: Database, spaces: _Spaces, work: Work) -> None:
        self.db, self.spaces, self.work = db, spaces, work
        self.types, self.times = Dictionary(), Dictionary()
        self.columns: list[tuple[np.ndarray, ...]] = []
        self.affinities: list[str | None] = []
        self.is_weighted = False

    def read(self, statement: EdgeStatement) -> None:
        """Read one table."""
        timed, weighted = statement.time_affinity is not None, statement.weighted
        kinds = ("code",) * (4 if timed else 3) + (("real",) if weighted else ())
        ends = (statement.source_nodes, statement.target_nodes)
        into = (*map(self.spaces.ids, ends), self.types, *((self.times,) if timed else ()))
        found = _columns(self.db, statement, statement.sql, kinds, into, self.work)
        source, target = (
            self.spaces.nodes(end, codes) for end, codes in zip(ends, found[:2], strict=True)
        )
        kept = (source >= 0) & (target >= 0)
        count = int(kept.sum())
        time = found[3][kept] if timed else np.full(count, -1, np.int32)
        weight = found[-1][kept] if weighted else np.ones(count)
        self._check(statement, weight)
        self.columns.append((source[kept], target[kept], found[2][kept], time, weight))
        self.affinities.append(statement.time_affinity)
        self.is_weighted |= weighted

    def _check(self, statement: EdgeStatement, weight: np.ndarray) -> None:
        is_good = np.isfinite(weight) & (weight >= 0)
        if not is_good.all():
            raise ValueError(
                f"{self.work.caller}: the weight of an edge must be a number of 0 or more, "
                f"{statement.name!r} has {weight[~is_good][0]:g}"
            )

    def network(self, tables: list[TableNodes], names: Names, nodes: int) -> Network:
        """Put all together."""
        first = np.cumsum([0, *(len(column[0]) for column in self.columns)])
        empty = (*(np.empty(0, np.int32) for _ in range(4)), np.empty(0))
        source, target, kind, time, weight = (
            np.concatenate(parts) for parts in zip(*self.columns, empty, strict=True)
        )
        weights = weight if self.is_weighted else None
        graph = Graph(Dictionary(), source, target, weights, nodes=nodes)
        times = None
        if any(affinity is not None for affinity in self.affinities):
            times = times_of(time, self.times.take(range(len(self.times))), self.affinities)
        types = self.types.take(range(len(self.types)))
        return Network(
            tables, names, graph, kind, types, first, times, ambiguous=self.spaces.ambiguous
        )


def _columns(
    db: Database,
    statement: NodeStatement | EdgeStatement,
    sql: str,
    kinds: tuple[str, ...],
    dictionaries: Any,
    work: Work,
) -> tuple[Any, ...]:
    try:
        with work.reading(f"table {statement.name!r}"):
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
    except SQLError as error:
        if error.sqlite_errorcode == 9:
            raise
        raise ValueError(f"{work.caller}: {statement.name!r} cannot be read: {error}") from error


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
        self.ambiguous = 0
        """Ids that are in several tables, where an edge does not say in which it ends."""

    def dictionaries(self, number: int) -> tuple[Dictionary, ...]:
        """Return what the ids of a node table are read into."""
        return (self._own[number], self._all) if self.is_shared else (self._own[number],)

    def fill(self, tables: list[TableNodes], shared: list[np.ndarray]) -> None:
        """Take down which node has which id; the first, where several have one."""
        for number, table in enumerate(tables):
            self._nodes[number] = first_of(table.codes, len(table.ids), table.base)
        if self.is_shared:
            self._nodes[None] = first_of(np.concatenate(shared), len(self._all), 0)
            own = [np.unique(codes[codes >= 0]) for codes in shared]
            self.ambiguous = int((np.bincount(np.concatenate(own)) > 1).sum())
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
