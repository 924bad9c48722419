"""What embedding the rows of a table would do: planned before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...bridge import attach, quote
from ...settings import DEFAULT_MODEL
from ..options import TEXT, Cutting
from ..storage.pending import Watch
from ..storage.schema import VectorTable, declared_tables, text_tables, vector_tables
from ..storage.shadow import ShadowTables
from ..storage.source import Source, describe
from .difference import Difference, Embedded, everything, noted
from .embedder import Embedder, Fingerprint, Models, again, fingerprint_of, remember
from .own_texts import OwnPlan, compare

if TYPE_CHECKING:
    from ...bridge import Database
    from .wishes import Wish


@dataclass
class Plan:
    """What a run would do."""

    db: Database
    source: Source
    name: str
    embedder: Embedder
    is_new: bool
    cutting: Cutting | None = None
    """How texts are split; None: they are not."""
    replaces: VectorTable | None = None
    """The table that is dropped first: another model, other columns, other dimensions."""
    where: str | None = None
    """The condition on rows; those that it leaves out stay as they are."""
    difference: Difference = field(default_factory=Difference)

    def table(self) -> Embedded:
        """The vector table and its source."""
        return Embedded(self.db.execute, self.source, self.name, self.embedder.fingerprint)

    @property
    def id(self) -> str:
        """The id of the vector table, which must be there."""
        config = f"{quote(self.source.schema)}.{quote(self.name + '_config')}"
        ((id_,),) = self.db.execute(f"SELECT value FROM {config} WHERE key = 'id'")
        return str(id_)

    def watch(self) -> Watch:
        """The notes of what changed. The vector table must be there."""
        return Watch(self.db.execute, self.source.schema, self.id)

    @property
    def warning(self) -> str | None:
        """What the user should know about the table."""
        if self.source.is_stable:
            return None
        return (
            f"table {self.source.table!r} has no INTEGER PRIMARY KEY: VACUUM may renumber its "
            "rows, and their vectors are then not used until you embed again"
        )


def default_name(table: str) -> str:
    """Return the name of the vector table over a table."""
    return f"{table}_vectors"


def plan(conn: Any, wish: Wish, models: Models) -> Plan | OwnPlan:
    """Find out what is new, changed, vanished and unchanged.

    Raises ValueError, in one sentence for the user, where the table or its columns cannot be
    embedded, the model is not there, or the vector table is of another kind.
    """
    db = attach(getattr(conn, "conn", conn))
    own = _own_table(db, wish)
    if own is not None:
        _check(db, own)
        return _plan_own(db, wish, own, models)
    wish = _completed(db, wish)
    source = describe(db.execute, wish.schema, wish.table, wish.columns)
    name = wish.name or default_name(source.table)
    there = _existing(db, wish, name)
    if there is not None:
        _check(db, there)
    wanted, model = _model(db, wish, there, models)
    mark = Fingerprint.of(model, wanted, wish.dimensions)
    made = Plan(db, source, name, Embedder(model, mark, models.host, db.check), there is None)
    made.cutting, made.where = _cutting(wish, there, made.embedder), wish.where
    if there is not None:
        difference = _difference(there, source, mark) or _other_passages(there, made.cutting)
        if difference and not wish.force:
            raise ValueError(
                f"{name!r} {difference}; --force embeds everything anew, --name makes another table"
            )
        if difference:
            made.replaces = there
        else:
            kept = fingerprint_of(db, there)
            made.embedder = Embedder(model, kept, models.host, db.check)
    remember(db, model)
    made.difference = _compare(made, wish)
    return made


def _completed(db: Database, wish: Wish) -> Wish:
    """Without columns, those that are embedded already; the vector table may be named itself."""
    if wish.columns:
        return wish
    over = [t for t in text_tables(db, wish.table, wish.schema) if t.source is not None]
    named = [t for t in over if wish.name is None or t.name.casefold() == wish.name.casefold()]
    if len(named) != 1:
        raise ValueError("name at least one column to embed")
    (there,) = named
    return replace(wish, table=there.source or "", columns=there.columns, name=there.name)


def _own_table(db: Database, wish: Wish) -> VectorTable | None:
    """The hnsw_text table itself that is to be embedded, if it is one that keeps its texts."""
    for table in vector_tables(db, wish.schema):
        if table.name.casefold() == wish.table.casefold():
            if table.kind != TEXT:
                raise ValueError(f"{table.name!r} has no texts to embed")
            if table.source is None:
                return table
    return None


def _plan_own(db: Database, wish: Wish, own: VectorTable, models: Models) -> OwnPlan:
    """Plan for a table that keeps its texts: with another model only where that is meant."""
    if wish.columns not in ((), ("content",)) or wish.name or wish.where:
        raise ValueError(
            f"{own.name!r} keeps its texts itself: its one column is content, and all are embedded"
        )
    wanted, model = _model(db, wish, own, models)
    size = wish.dimensions
    if size is None and model.sha256 == own.sha256:
        size = own.dimensions
    mark = Fingerprint.of(model, wanted, size)
    embedder = Embedder(model, mark, models.host, db.check)
    cutting = _cutting(wish, own, embedder)
    found = _other_model(own, mark) or _other_passages(own, cutting)
    if found and not wish.force:
        raise ValueError(f"{own.name!r} {found}; --force embeds everything anew")
    remember(db, model)
    if not found:
        embedder = Embedder(model, fingerprint_of(db, own), models.host, db.check)
    made = OwnPlan(db, own, embedder, cutting, is_same=found is None)
    compare(made)
    return made


def _model(db: Database, wish: Wish, there: VectorTable | None, models: Models) -> tuple[str, Any]:
    """The model that is asked for, else the table's own, else the usual one; by its name."""
    if wish.model or there is None or not there.model:
        wanted = wish.model or DEFAULT_MODEL
        return wanted, models.named(db, wanted)
    return there.model, again(db, models, there.name, there.model, there.sha256)


def _existing(db: Database, wish: Wish, name: str) -> VectorTable | None:
    for table in vector_tables(db, wish.schema):
        if table.name.casefold() == name.casefold():
            if table.kind != TEXT or table.source is None:
                raise ValueError(f"{name!r} is not a vector table over {wish.table!r}: use --name")
            return table
    if name.casefold() in (t.name.casefold() for t in declared_tables(db, wish.schema)):
        raise ValueError(
            f"{name!r} is damaged: sqlite-utils muninn index PATH {name} --rebuild mends it, or "
            "says what to do"
        )
    taken = db.execute(
        f"SELECT 1 FROM {quote(wish.schema)}.sqlite_master WHERE name = ? COLLATE NOCASE", (name,)
    )
    if taken:
        raise ValueError(f"there is a table {name!r} already, which holds no vectors: use --name")
    return None


def _check(db: Database, table: VectorTable) -> None:
    """Raise SQLError where another version of this program made a table."""
    ShadowTables(db, table.schema, table.name, table.kind).check_origin()


def _difference(there: VectorTable, source: Source, mark: Fingerprint) -> str | None:
    """Say in what a table differs from what is asked for; None: in nothing."""
    if (there.source or "").casefold() != source.table.casefold():
        return f"holds vectors of table {there.source!r}"
    if there.columns != source.columns:
        return f"holds vectors of other columns ({', '.join(there.columns)})"
    return _other_model(there, mark)


def _other_model(there: VectorTable, mark: Fingerprint) -> str | None:
    if there.sha256 != mark.sha256:
        return f"was made with another model file ({there.model})"
    if there.dimensions != mark.dimensions:
        return f"has {there.dimensions} dimensions, not {mark.dimensions}"
    return None


def _cutting(wish: Wish, there: VectorTable | None, embedder: Embedder) -> Cutting | None:
    """How texts are to be split: as asked for, else as the table does already."""
    given = wish.max_tokens is not None or wish.overlap is not None
    if wish.chunk is False and given:
        raise ValueError("max_tokens and overlap are of passages: leave them out, or ask for those")
    if wish.chunk or given:
        return embedder.cutting(Cutting(wish.max_tokens, wish.overlap or 0))
    return there.cutting if there and wish.chunk is None else None


def _other_passages(there: VectorTable, wanted: Cutting | None) -> str | None:
    if there.cutting == wanted:
        return None
    if there.cutting is None:
        return "has one vector for each row"
    return (
        f"has a vector for each passage of {there.cutting.max_tokens} tokens, "
        f"{there.cutting.overlap} of them shared"
    )


def _compare(made: Plan, wish: Wish) -> Difference:
    table = made.table()
    if made.is_new or made.replaces:
        return everything(table, wish.where, is_new=True)
    # VACUUM renumbers rows without a note of it, where they have no lasting number.
    watch = made.watch()
    by_notes = made.source.is_stable and not wish.where and not wish.full
    if by_notes and watch.is_on(made.source):
        return noted(table, watch)
    return everything(table, wish.where, is_new=False)
