"""What an hnsw_text table that is damaged gets back from texts and vectors, without its model.

A vector is of the text that its row has now in two cases. Own texts are written in the transaction
that writes their vector. Of another table's rows, triggers note every one that changes, and the
note goes when the row has the vector of its text. So where v_rows lost a row, its hash can be made
anew. Whatever is not sure of that counts as new: it is embedded again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ...bridge import quote
from ..options import TEXT, Cutting
from ..storage.pending import Watch, watched_tables
from ..storage.schema import vector_tables
from ..storage.source import BLOCK
from ..texts import embedder
from ..texts.embedder import Embedder, Fingerprint
from .belonging import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ..blob import Ids
    from ..storage.source import Source
    from .text import HnswText

_SAMPLE = 1_000  # texts that are compared with their hashes

# ---- Settings ----


def model_and_cutting(table: HnswText) -> tuple[Fingerprint, Cutting | None]:
    """What v_config says, or said, of the model and of how texts are split.

    Raises ValueError where that is lost and the model that made the vectors is not here.
    """
    storage = table.storage
    config = storage.config() if storage.columns_of("config") else {}
    mark = _mark(table, config)
    wanted = table.text_options.cutting
    if wanted is None:
        return mark, None
    if wanted.max_tokens is not None:
        return mark, wanted
    known = Cutting.read({**config, "overlap": wanted.overlap})
    if known:
        return mark, known
    model = _model(table)
    return mark, Embedder(model, mark, table.models.host, table.db.check).cutting(wanted)


def _mark(table: HnswText, config: Mapping[str, Any]) -> Fingerprint:
    """The model that the hashes of texts are of; else what v_config says."""
    size = table.text_options.dimensions
    if size is None and table.storage.columns_of("nodes"):
        size = table.storage.usual_size()
    try:
        said = Fingerprint.read({**config, **({"dimensions": size} if size else {})})
    except ValueError:
        return _learned(table, size)
    if not _is_of(table, said):
        with suppress(ValueError):
            return _learned(table, size)
    return said


def _learned(table: HnswText, size: int | None) -> Fingerprint:
    """The model that the CREATE statement names, if it made the vectors. Raises ValueError."""
    model, options, name = _model(table), table.text_options, table.storage.table
    mark = Fingerprint.of(model, options.model, size)
    if not _is_of(table, mark):
        raise ValueError(
            f"{TEXT}: {name}_config does not say which model made the vectors, and nothing shows "
            f"that it was {options.model!r} as it is here: load the one that did, or DROP TABLE "
            f"{quote(name)} and embed again"
        )
    embedder.remember(table.db, model)
    return mark


def _model(table: HnswText) -> Any:
    """The model that the CREATE statement names. Raises ValueError where it is not here."""
    options, name = table.text_options, table.storage.table
    try:
        return embedder.declared(table.db, table.models, options.model)
    except (ValueError, OSError, ImportError) as error:
        reason = str(error).removeprefix(f"{TEXT}: ")
        raise ValueError(
            f"{TEXT}: {name}_config does not say which model made the vectors, and to find out "
            f"the model must be here: {reason}"
        ) from None


def _is_of(table: HnswText, mark: Fingerprint) -> bool:
    """Whether texts still have the hashes that they were given with a model."""
    storage, columns = table.storage, {c.name for c in table.storage.columns_of("rows")}
    if not storage.columns_of("nodes") or not storage.count_of("nodes"):
        return True
    if "hash" not in columns:
        return False
    ids = storage.ids("hash NOT NULL", count=_SAMPLE)
    texts, hashes = _texts(table, ids), storage.rows(ids, ["hash"])
    texts = {id_: text for id_, text in texts.items() if isinstance(text, str)}
    return any(table.hash(texts.get(id_), mark) == hashes[id_][0] for id_ in ids.tolist())


def _texts(table: HnswText, ids: Ids) -> Mapping[int, str | None]:
    if not table.text_options.content:
        return table.texts(ids)
    source = _source(table, lost_id(table))
    return source.texts(table.db.execute, ids.tolist()) if source else {}


def lost_id(table: HnswText) -> str | None:
    """The id of notes on the other table that no vector table in the file has."""
    content = table.text_options.content
    if content is None:
        return None
    db, schema = table.db, table.storage.schema
    known = {other.id for other in vector_tables(db, schema)}
    watched = watched_tables(db.execute, schema)
    lost = {id_: name for id_, name in watched.items() if id_ not in known}
    named = [id_ for id_, name in lost.items() if name.casefold() == content.casefold()]
    # The other table may have been renamed: then its triggers are all that tells.
    return next(iter(named), None) or (next(iter(lost)) if len(lost) == 1 else None)


def _source(table: HnswText, id_: str | None) -> Source | None:
    """The table whose texts are embedded, if it is there."""
    content = table.text_options.content
    if content is None:
        return None
    watched = watched_tables(table.db.execute, table.storage.schema)
    try:
        return table.described(watched.get(id_, content) if id_ else content)
    except ValueError:
        return None


# ---- Rows ----


def mend_rows(table: HnswText) -> None:
    """Give each text its row, and each row its text; all tables are there."""
    if table.text_options.content is None:
        _mend_own(table)
        return
    source = _source(table, table.storage.id)
    if source:
        _mend_from(table, source)


def _mend_own(table: HnswText) -> None:
    storage, db = table.storage, table.db
    rows, content = storage.name("rows"), storage.name("content")
    (lost,) = db.columns(
        f"SELECT id FROM {content} WHERE id NOT IN (SELECT id FROM {rows})", (), ("integer",)
    )
    for id_ in storage.ids(_TEXT_IS_LOST.format(content)).tolist():
        table.layout.clear(id_)
    db.execute(f"INSERT OR IGNORE INTO {content}(id) SELECT id FROM {rows}")
    db.execute(f"INSERT OR IGNORE INTO {rows}(id) SELECT id FROM {content}")
    _give_hashes(table, lost.tolist())


def _mend_from(table: HnswText, source: Source) -> None:
    storage = table.storage
    watch = Watch(table.db.execute, storage.schema, storage.id)
    is_on = watch.is_on(source)
    # VACUUM renumbers rows without a note, where they have no lasting number.
    if is_on and source.is_stable:
        lost = table.layout.whole().keys() - set(storage.ids().tolist()) - set(watch.ids())
        there = source.ids(table.db.execute)
        for id_ in sorted(lost & there):
            storage.insert_row(id_, {})
        _give_hashes(table, sorted(lost & there))
    if not is_on:
        watch.turn_on(source, storage.name("rows"))


def _give_hashes(table: HnswText, rows: Iterable[int]) -> None:
    """Let rows that are in v_rows again have their vectors, as far as those are there."""
    mark, whole = table.fingerprint(), table.layout.whole()
    ids = [id_ for id_ in rows if id_ in whole]
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        for id_, text in table.texts(np.array(block, np.int64)).items():
            if isinstance(text, str):
                # Whether the model read all of the text is not known.
                values = {"hash": table.hash(text, mark), "truncated": None, **whole[id_]}
                table.storage.set_values(id_, values)


# ---- Finding damage ----

_TEXT_IS_LOST = (
    "id NOT IN (SELECT id FROM {0}) "
    "OR hash NOT NULL AND id NOT IN (SELECT id FROM {0} WHERE typeof(content) = 'text')"
)


def problems(table: HnswText) -> Iterator[str]:
    """What is wrong with the texts of a table that has all its tables, one sentence each."""
    yield from _config_problems(table)
    if table.text_options.content is None:
        yield from _own_problems(table)
        return
    source = _source(table, table.storage.id)
    if source and Watch(table.db.execute, table.storage.schema, table.storage.id).lacks_notes():
        yield (
            f"the notes of what changes in {source.table} are missing, and it cannot be written: "
            "'rebuild' makes them anew"
        )


def _config_problems(table: HnswText) -> Iterator[str]:
    config, name = table.storage.config(), f"{table.storage.table}_config"
    try:
        mark = Fingerprint.read(config)
    except ValueError:
        yield f"{name} does not say which model made the vectors"
    else:
        # Another table's texts may all have changed.
        if table.text_options.content is None and not _is_of(table, mark):
            yield f"{name} names another model than the texts were embedded with"
    if table.text_options.cutting and Cutting.read(config) is None:
        yield f"{name} does not say how texts are cut"


def _own_problems(table: HnswText) -> Iterator[str]:
    storage, content = table.storage, f"{table.storage.table}_content"
    (without_row,) = table.db.columns(
        f"SELECT id FROM {storage.name('content')} "
        f"WHERE id NOT IN (SELECT id FROM {storage.name('rows')})",
        (),
        ("integer",),
    )
    if len(without_row):
        yield f"texts of {content} that have no row: {some(without_row.tolist())}"
    lost = storage.ids(_TEXT_IS_LOST.format(storage.name("content")))
    if len(lost):
        yield f"rows whose text is lost from {content}: {some(lost.tolist())}"
    waiting = without_vector(table)
    if len(waiting):
        yield f"texts without a vector: {some(waiting.tolist())}; 'rebuild' embeds them"


def without_vector(table: HnswText) -> Ids:
    """Rows of own texts that have none."""
    content = table.storage.name("content")
    has_text = f"id IN (SELECT id FROM {content} WHERE typeof(content) = 'text')"
    return table.storage.ids(f"hash IS NULL AND {has_text}")
