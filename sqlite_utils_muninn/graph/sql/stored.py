"""graph_adjacency and node2vec_train: what graphs leave in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlite_utils_muninn.bridge import Function, Module, Parameter, VirtualTable, WritableTable

from .call import EDGES, Call

if TYPE_CHECKING:
    from sqlite_utils_muninn.bridge import Database, Declaration
    from sqlite_utils_muninn.settings import Host

SHADOW = ("config", "nodes", "degree", "csr_fwd", "csr_rev")
"""Not the log of changes: triggers write it, which SQLite's defensive mode forbids for these."""

_TRAINING = (
    Parameter("dimensions", 128, kind="integer", help="Length of a vector."),
    Parameter("p", 1.0, kind="real", help="Higher: walks turn back less."),
    Parameter("q", 1.0, kind="real", help="Higher: walks stay near."),
    Parameter("num_walks", 10, kind="integer", help="Walks from each node."),
    Parameter("walk_length", 80, kind="integer", help="Nodes of a walk."),
    Parameter("window", 10, kind="integer", help="How near on a walk is near."),
    Parameter("neg_samples", 5, kind="integer", help="Pairs that were not met, for each that was."),
    Parameter("learning_rate", 0.025, kind="real", help="Size of the first step."),
    Parameter("epochs", 1, kind="integer", help="How often the walks are learnt from."),
)


def surface(host: Host) -> list[Declaration]:
    """Return the table and the function that write."""

    def create(*arguments: Any) -> VirtualTable:
        from ..adjacency.table import Adjacency

        return Adjacency.create(*arguments)

    def connect(*arguments: Any) -> VirtualTable:
        from ..adjacency.table import Adjacency

        return Adjacency.connect(*arguments)

    def train(db: Database, *given: Any) -> int:
        return _train(db, host, *given)

    output = Parameter("output_table", kind="text", help="An hnsw_index table for the vectors.")
    return [
        Module(
            "graph_adjacency",
            WritableTable,
            create,
            connect,
            help="The arrays of an edge table kept in the file, for processes that begin.",
            shadow=SHADOW,
        ),
        Function(
            "node2vec_train",
            (*EDGES, output, *_TRAINING),
            train,
            help="Trains vectors of nodes and puts them into a vector table, rowids from 1.",
            returns="the number of nodes",
            safety="directonly",
        ),
    ]


def _train(db: Database, host: Host, *given: Any) -> int:
    from sqlite_utils_muninn.bridge import quote_table

    from ..node2vec import Training, train

    name = "node2vec_train"
    if host.public:
        raise PermissionError(f"{name}: SQL cannot write on this connection")
    names = [p.name for p in (*EDGES, *_TRAINING)]
    values = (*given[:3], *given[4:])
    call = Call(db, host, name, dict(zip(names, values, strict=True)))
    for argument in ("dimensions", "num_walks", "walk_length", "window", "epochs"):
        call.at_least(argument, 1)
    call.at_least("neg_samples", 0)
    for argument in ("p", "q", "learning_rate"):
        if not call[argument] > 0:
            raise ValueError(f"{name}: argument {argument!r} must be above 0, got {call[argument]}")
    graph = call.graph()
    how = Training(**{parameter.name: call[parameter.name] for parameter in _TRAINING})
    vectors = train(graph, how, call.work)
    sql = f"INSERT OR REPLACE INTO {quote_table(given[3])} (rowid, vector) VALUES (?, ?)"
    for number, vector in enumerate(vectors.astype("<f4"), 1):
        db.execute(sql, (number, vector.tobytes()))
    return graph.nodes
