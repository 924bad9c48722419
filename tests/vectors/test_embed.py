"""Incremental embedding: what is done, what is left alone, and what an interrupt leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.similar import NotEmbeddedError, similar
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.state import state
from sqlite_utils_muninn.vectors.storage import source
from sqlite_utils_muninn.vectors.storage.schema import vector_tables
from sqlite_utils_muninn.vectors.texts.embed import Plan, Progress, Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

TEXTS = {i: f"text number {i} about thing{i % 7}" for i in range(1, 51)}


class Desk:
    """A database with a table of texts, and a model."""

    def __init__(self, connect: Connect, path: Path) -> None:
        self.model = Words()
        self.shelf = Shelf({"words": self.model})
        self.models = Models(Host(), self.shelf)
        self.connect, self.path = connect, path
        self.conn = self.open()
        self.conn.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body TEXT, year INTEGER)")
        rows = [(i, text, 2000 + i % 5) for i, text in TEXTS.items()]
        self.conn.executemany("INSERT INTO docs VALUES (?, ?, ?)", rows)

    def open(self) -> Any:
        conn = self.connect(self.path)
        conn.execute("PRAGMA synchronous = OFF")
        attach(conn, [text_module(Host(), self.shelf)])
        return conn

    def plan(self, *columns: str, table: str = "docs", model: str = "words", **more: Any) -> Plan:
        wish = Wish(table, columns or ("body",), model, **more)
        return plan(self.conn, wish, self.models)

    def embed(self, *columns: str, batch_size: int = 10, **more: Any) -> list[Progress]:
        return list(run(self.plan(*columns, **more), batch_size))

    def counts(self, **more: Any) -> tuple[int, ...]:
        made = self.plan(**more).difference
        return len(made.new), len(made.changed), len(made.vanished), made.unchanged

    def embedded(self, table: str = "docs_vectors") -> dict[int, str]:
        return dict(self.conn.execute(f'SELECT rowid, content FROM "{table}" WHERE vector NOTNULL'))


@pytest.fixture
def desk(connect: Connect, path: Path) -> Desk:
    return Desk(connect, path)


def test_a_table_is_embedded_and_searched(desk: Desk) -> None:
    assert desk.counts() == (50, 0, 0, 0)
    last = desk.embed()[-1]
    assert (last.done, last.total) == (50, 50)
    assert desk.embedded() == TEXTS
    assert [len(batch) for batch in desk.model.batches] == [10] * 5
    matches = similar(desk.conn, "docs", "thing3", 3)
    assert all(match.rowid % 7 == 3 for match in matches)
    assert 1 >= matches[0].score >= matches[2].score > 0
    assert matches[0].text == TEXTS[matches[0].rowid]


def test_planning_changes_nothing(desk: Desk) -> None:
    before = desk.conn.total_changes
    desk.plan()
    assert desk.conn.total_changes == before
    assert desk.model.texts == []
    assert vector_tables(desk.conn) == []


def test_again_only_what_is_new_or_changed(desk: Desk) -> None:
    desk.embed()
    desk.model.batches.clear()
    assert desk.counts() == (0, 0, 0, 50)
    desk.conn.execute("INSERT INTO docs VALUES (100, 'new one', 2000)")
    desk.conn.execute("UPDATE docs SET body = 'other words' WHERE id = 5")
    desk.conn.execute("UPDATE docs SET year = 1 WHERE id = 6")
    desk.conn.execute("DELETE FROM docs WHERE id IN (7, 8)")
    desk.conn.execute("UPDATE docs SET body = NULL WHERE id = 9")
    assert desk.counts() == (1, 1, 3, 46)
    last = desk.embed()[-1]
    assert sorted(desk.model.texts) == ["new one", "other words"]
    assert (last.done, last.deleted) == (2, 3)
    assert desk.counts() == (0, 0, 0, 48)
    expected = {**TEXTS, 100: "new one", 5: "other words"}
    for gone in (7, 8, 9):
        del expected[gone]
    assert desk.embedded() == expected
    desk.conn.execute("INSERT INTO docs_vectors(docs_vectors) VALUES ('integrity-check')")


def test_an_interrupted_run_goes_on_where_it_stopped(desk: Desk) -> None:
    for stopped_after in (2, 1):
        steps = run(desk.plan(), 10)
        for _ in range(stopped_after + 1):  # the first step is before the first batch
            next(steps)
        steps.close()
        desk.conn.close()
        desk.conn = desk.open()
    assert desk.counts() == (20, 0, 0, 30)
    desk.embed()
    assert sorted(desk.model.texts) == sorted(TEXTS.values())  # none twice
    assert desk.embedded() == TEXTS


def test_a_failing_model_keeps_the_batches_before(desk: Desk, sqlite: Any) -> None:
    desk.conn.execute("UPDATE docs SET body = 'cannot be embedded' WHERE id = 35")
    with pytest.raises(ValueError, match="the model failed"):
        desk.embed()
    assert not desk.conn.in_transaction
    assert desk.counts() == (20, 0, 0, 30)


def test_rows_changed_while_the_model_works_wait_for_the_next_run(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = desk.open()
    report = desk.model.embed_report

    def edited_meanwhile(*args: Any, **kwargs: Any) -> Any:
        other.execute("UPDATE docs SET body = 'edited' WHERE id = 3")
        other.execute("DELETE FROM docs WHERE id = 4")
        return report(*args, **kwargs)

    monkeypatch.setattr(desk.model, "embed_report", edited_meanwhile)
    last = desk.embed(batch_size=50)[-1]
    assert last.moved_on == 2
    monkeypatch.undo()
    assert desk.counts() == (1, 0, 0, 48)
    desk.embed()
    assert desk.embedded()[3] == "edited"


def test_where_embeds_a_part_and_leaves_the_rest(desk: Desk) -> None:
    desk.embed(where="year = 2001")
    assert set(desk.embedded()) == {i for i in TEXTS if i % 5 == 1}
    desk.embed(where="year = 2002 OR id = 1")
    assert set(desk.embedded()) == {i for i in TEXTS if i % 5 in (1, 2)}
    assert desk.counts(where="year = 2001") == (0, 0, 0, 10)


def test_several_columns_are_joined(desk: Desk) -> None:
    desk.embed("body", "year")
    assert desk.embedded()[1] == f"{TEXTS[1]}\n2001"


def test_other_models_columns_and_dimensions_want_force(desk: Desk) -> None:
    desk.embed()
    desk.shelf.models["more"] = Words(sha256="b" * 64)
    for more, message in (
        ({"model": "more"}, "was made with another model file"),
        ({"dimensions": 8}, "has 256 dimensions, not 8"),
    ):
        with pytest.raises(ValueError, match=f"'docs_vectors' {message}.*; --force"):
            desk.plan(**more)
        assert desk.counts(force=True, **more) == (50, 0, 0, 0)
        desk.embed(force=True, **more)
        assert desk.counts(**more) == (0, 0, 0, 50)
        desk.embed(force=True)
    with pytest.raises(ValueError, match="holds vectors of other columns"):
        desk.plan("year")
    desk.embed("year", name="years")
    assert [t.name for t in vector_tables(desk.conn)] == ["docs_vectors", "years"]


def test_a_forced_run_that_is_interrupted_goes_on_without_force(desk: Desk) -> None:
    desk.embed()
    desk.shelf.models["more"] = Words(sha256="b" * 64)
    steps = run(desk.plan(model="more", force=True), 10)
    next(steps)
    next(steps)
    steps.close()
    assert desk.counts(model="more") == (40, 0, 0, 10)


def test_truncated_texts_are_counted(desk: Desk) -> None:
    desk.conn.execute("UPDATE docs SET body = 'a b c d e f g h i j' WHERE id IN (3, 30)")
    assert desk.embed()[-1].truncated == 2
    sql = "SELECT rowid FROM docs_vectors WHERE truncated"
    assert desk.conn.execute(sql).fetchall() == [(3,), (30,)]


def test_tables_without_integer_keys(desk: Desk) -> None:
    desk.conn.execute("CREATE TABLE notes(code TEXT, part INTEGER, note, PRIMARY KEY (code, part))")
    desk.conn.executemany(
        "INSERT INTO notes VALUES (?, ?, ?)", [("a", 1, "ant"), ("b", 2, "bee"), ("c", 3, "cat")]
    )
    made = desk.plan("note", table="notes")
    assert made.warning
    assert "VACUUM" in made.warning
    assert desk.plan().warning is None
    list(run(made))
    assert similar(desk.conn, "notes", "bee", 1)[0].text == "bee"


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"table": "nope"}, "no such table: nope"),
        ({"columns": ("nope",)}, "no column 'nope' in table 'docs', it has: id, body, year"),
        ({"columns": ()}, "name at least one column"),
        ({"model": "nope"}, "model 'nope' is not loaded"),
        ({"name": "taken"}, "there is a table 'taken' already"),
        ({"dimensions": 999}, "dim must be 1 to 256"),
        ({"table": "seen"}, "'seen' is a view"),
    ],
)
def test_wishes_that_cannot_be_granted(desk: Desk, wish: Any, message: str) -> None:
    desk.conn.execute("CREATE TABLE taken(a)")
    desk.conn.execute("CREATE VIEW seen AS SELECT * FROM docs")
    with pytest.raises(ValueError, match=message):
        plan(
            desk.conn,
            Wish(**{"table": "docs", "columns": ("body",), "model": "words", **wish}),
            desk.models,
        )


def test_an_open_transaction_is_not_committed_for_the_user(desk: Desk) -> None:
    desk.conn.execute("BEGIN")
    with pytest.raises(ValueError, match="end the open transaction first"):
        desk.embed()


def test_blobs_are_named(desk: Desk) -> None:
    desk.conn.execute("UPDATE docs SET body = x'0102' WHERE id = 4")
    with pytest.raises(ValueError, match="row 4: column 'body' holds a blob"):
        desk.plan()


def test_many_rows_are_read_in_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 7)
    desk.embed()
    assert desk.embedded() == TEXTS


def test_a_table_that_is_not_embedded(desk: Desk) -> None:
    with pytest.raises(NotEmbeddedError, match="'docs' is not embedded: sqlite-utils embed"):
        similar(desk.conn, "docs", "x")
    desk.embed()
    with pytest.raises(NotEmbeddedError, match=r"'v2' holds no vectors.*: docs_vectors"):
        similar(desk.conn, "docs", "x", vectors="v2")


def test_similar_leaves_out_what_is_gone(desk: Desk) -> None:
    desk.embed()
    desk.conn.execute("DELETE FROM docs WHERE id <> 3 AND id <> 10")
    assert {m.rowid for m in similar(desk.conn, "docs", "thing3", 5)} == {3, 10}


def test_vector_tables_are_known_without_the_plugin(desk: Desk, sqlite: Any) -> None:
    desk.embed()
    name = 'odd "name" using hnsw_text('
    quoted = '"' + name.replace('"', '""') + '"'
    desk.conn.execute(f"CREATE VIRTUAL TABLE {quoted} USING hnsw_index(dimensions=5, metric=l2)")
    desk.conn.execute('CREATE TABLE "plain using hnsw_text"(a)')
    plain = sqlite.connect(str(desk.path))
    first, second = vector_tables(plain)
    plain.close()
    assert (first.name, first.source, first.columns) == ("docs_vectors", "docs", ("body",))
    assert (first.model, first.dimensions, first.kind) == ("words", 256, "hnsw_text")
    assert (second.name, second.kind, second.source) == (name, "hnsw_index", None)


# ---- Rows that --where leaves out ----


def left(desk: Desk) -> tuple[int | None, int | None, str | None]:
    """Rows that wait, rows that are left out, and by which condition."""
    (table,) = vector_tables(desk.conn)
    found = state(desk.conn, table)
    return found.waiting, found.left_out, found.where


def test_rows_that_are_left_out_do_not_wait(desk: Desk) -> None:
    """The fault: what --where left out on purpose was told as rows without a vector."""
    desk.embed(where="year = 2001")
    assert left(desk) == (0, 40, "year = 2001")
    desk.embed()
    assert left(desk) == (0, 0, None)


def test_rows_that_were_added_wait_until_a_run_leaves_them_out(desk: Desk) -> None:
    desk.embed(where="year = 2001")
    desk.conn.execute("INSERT INTO docs VALUES (100, 'in', 2001), (101, 'out', 2002)")
    desk.conn.execute("UPDATE docs SET body = 'changed' WHERE id IN (1, 2)")
    assert left(desk) == (4, 39, "year = 2001"), "nobody has looked at them: 100, 101, 1 and 2"
    desk.embed(where="year = 2001")
    assert left(desk) == (0, 41, "year = 2001")
    assert 100 in desk.embedded()
    desk.conn.execute("UPDATE docs SET body = 'changed again', year = 2002 WHERE id = 1")
    desk.embed(where="year = 2001")
    assert left(desk) == (1, 41, "year = 2001"), "1 has a vector of a text that it has no more"


def test_a_run_that_was_stopped_leaves_nothing_out(desk: Desk) -> None:
    """The fault: what it had not come to would look as if it was left out on purpose."""
    next(run(desk.plan(where="year <> 2001"), 10))
    assert left(desk) == (50, 0, None)
    desk.embed(where="year <> 2001")
    assert left(desk) == (0, 10, "year <> 2001")
    for _ in run(desk.plan(where="year = 2001 AND id > 0"), 5):
        break
    assert left(desk) == (10, 0, None)


def test_rows_left_out_of_a_table_whose_rowids_may_change(desk: Desk) -> None:
    desk.conn.execute("CREATE TABLE loose AS SELECT body, year FROM docs")
    list(run(desk.plan(table="loose", where="year = 2001"), 10))
    desk.conn.execute("INSERT INTO loose VALUES ('new', 2002)")
    assert left(desk) == (1, 40, "year = 2001")


def test_a_condition_of_the_file_is_never_run(desk: Desk) -> None:
    """The fault: whoever wrote the file would have his SQL run by whoever looks at it."""
    desk.embed(where="year = 2001")
    ran: list[int] = []
    desk.conn.create_function("trap", 0, lambda: ran.append(1))
    desk.conn.execute("UPDATE docs_vectors_config SET value = 'trap()' WHERE key = 'where'")
    assert left(desk) == (0, 40, "trap()")
    desk.embed()
    desk.embed(where="id = 1")
    assert ran == []


def test_what_is_left_out_is_known_after_a_rebuild_and_a_rename(desk: Desk) -> None:
    desk.embed(where="year = 2001")
    desk.conn.execute("INSERT INTO docs_vectors(docs_vectors) VALUES ('rebuild')")
    desk.conn.execute("INSERT INTO docs_vectors(docs_vectors) VALUES ('integrity-check')")
    assert left(desk) == (0, 40, "year = 2001")
    desk.conn.execute("ALTER TABLE docs_vectors RENAME TO v")
    desk.conn.execute("ALTER TABLE docs RENAME TO papers")
    assert left(desk) == (0, 40, "year = 2001")
    desk.embed(table="papers", name="v", where="year = 2002")
    assert left(desk) == (0, 30, "year = 2002")
    desk.embed("body", "year", table="papers", name="v", force=True, where="id < 3")
    assert left(desk) == (0, 48, "id < 3")
