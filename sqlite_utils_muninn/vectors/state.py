"""What can be told about a vector table: its size, its engine, what waits, how well it searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bridge import attach, quote
from .index import building
from .index.index import SCANNED_FLOATS
from .options import TEXT
from .storage.pending import Watch
from .storage.shared import searched_index
from .storage.source import describe
from .storage.storage import Storage
from .tables.reader import Reader
from .texts.difference import Difference, Embedded, everything, leave_out, noted
from .texts.embedder import fingerprint_of

if TYPE_CHECKING:
    from ..bridge import Database
    from .index.index import Index
    from .storage.schema import VectorTable

NEIGHBOURS = 10
SCAN, GRAPH = "exact scan", "neighbour graph"


@dataclass(frozen=True)
class State:
    """One vector table."""

    table: str
    kind: str
    source: str | None
    model: str | None
    rows: int
    vectors: int
    dimensions: int
    metric: str
    engine: str
    """What answers a search: a look at every vector, or a neighbour graph."""
    memory: int | None
    """Bytes of its index in memory, as far as it is built now; None: its source is gone."""
    log: int
    """Changes that are kept for other connections to follow."""
    saved: int | None
    """Changes since its index was saved in the file; None: it is not ('optimize' saves it)."""
    truncated: int | None
    """Texts that are longer than the model reads, and were cut; None: there are no texts."""
    waiting: int | None
    """Rows that are not found until they are embedded (again); None: its texts are its own,
    or their table is gone."""
    left_out: int | None = None
    """Rows without a vector that the last run left out; None: as for `waiting`."""
    where: str | None = None
    """The condition by which it left them out."""
    recall: float | None = None
    """Share of the true neighbours that a search finds; None: not asked for."""


def state(conn: Any, table: VectorTable, sample: int = 0) -> State:
    """Look at a vector table; with `sample`, search for so many of its rows and check the answers.

    Its index is read into memory for that. With `sample`, a neighbour graph is first built whole.
    Errors of the database come as the connection's own.
    """
    db = attach(getattr(conn, "conn", conn))
    storage = Storage(db, table.schema, table.name, table.kind, table.dimensions)
    storage.check_origin()
    vectors = storage.db.execute(f"SELECT count(*) FROM {storage.name('nodes')}")[0][0]
    try:
        difference, is_searched = waiting(db, table), True
    except ValueError:  # the source is gone
        difference, is_searched = None, False
    index = _index(storage) if is_searched else None
    recall = (
        _recall(Reader(storage, index.options), index, sample)
        if index is not None and sample
        else None
    )
    return State(
        table.name,
        table.kind,
        table.source,
        table.model,
        storage.count(),
        vectors,
        table.dimensions,
        table.metric,
        GRAPH if vectors * table.dimensions > SCANNED_FLOATS else SCAN,
        index.bytes if index is not None else None,
        storage.db.execute(f"SELECT count(*) FROM {storage.name('log')}")[0][0],
        storage.edges.changes_since(),
        _truncated(storage) if table.kind == TEXT else None,
        difference.todo if difference else None,
        len(difference.left_out) if difference else None,
        condition(db, table),
        recall,
    )


def _truncated(storage: Storage) -> int:
    sql = f"SELECT count(*) FROM {storage.name('rows')} WHERE truncated"
    return int(storage.db.execute(sql)[0][0])


def waiting(db: Database, table: VectorTable) -> Difference | None:
    """What embedding would do to a table over another one; None where there is no other.

    Needs no model. Raises ValueError where the source cannot be read.
    """
    if table.source is None:
        return None
    source = describe(db.execute, table.schema, table.source, table.columns)
    embedded = Embedded(db.execute, source, table.name, fingerprint_of(db, table))
    watch = Watch(db.execute, table.schema, table.id)
    is_watched = watch.is_on(source)
    if source.is_stable and is_watched:
        difference = noted(embedded, watch)
    else:
        difference = everything(embedded, None, is_new=False)
    if is_watched and condition(db, table):
        leave_out(difference, watch)
    return difference


def condition(db: Database, table: VectorTable) -> str | None:
    """The condition of the last run over a table, which left out rows; it is not to be run."""
    config = f"{quote(table.schema)}.{quote(table.name + '_config')}"
    rows = db.execute(f"SELECT value FROM {config} WHERE key = 'where'")
    return str(rows[0][0]) if rows else None


def _index(storage: Storage) -> Index:
    """The table's index in this process."""
    index = searched_index(storage)
    if index is None:  # no index stands anywhere in a log that has no end
        raise storage.damaged(f"{storage.table}_log cannot be read")
    return index


def _recall(reader: Reader, index: Index, sample: int) -> float | None:
    """Recall@10 over rows of the table that are searched for; each finds itself besides."""
    while not building.wait(index, timeout=0.2):
        reader.storage.check()
    ids = reader.storage.vector_ids()
    spread = np.linspace(0, max(0, len(ids) - 1), min(sample, len(ids)))
    _, queries = reader.storage.read(ids[spread.astype(np.int64)])
    shares = [_share(reader, query) for query in queries]
    return float(np.mean(shares)) if shares else None


def _share(reader: Reader, query: Any) -> float:
    true = reader.scan(query.tobytes(), NEIGHBOURS + 1)[1]
    found = reader.nearest(query.tobytes(), NEIGHBOURS + 1)[1]
    # By distance: of several that are equally far, any will do.
    return float((found <= true[-1] + 1e-9).sum()) / len(true)
