"""A table that is embedded and then written by programs that know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.vectors.storage.derived import derived_tables
from sqlite_utils_muninn.vectors.storage.pending import watched_tables
from sqlite_utils_muninn.vectors.storage.schema import text_tables
from sqlite_utils_muninn.vectors.storage.source import Source
from sqlite_utils_muninn.vectors.texts import difference

from .test_embed import TEXTS, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Connect


@pytest.fixture
def desk(connect: Connect, path: Path) -> Desk:
    desk = Desk(connect, path)
    desk.embed()
    desk.model.batches.clear()
    return desk


@pytest.fixture
def stranger(desk: Desk, sqlite: Any) -> Iterator[Any]:
    """A connection without the plugin."""
    conn = sqlite.connect(str(desk.path), isolation_level=None)
    yield conn
    conn.close()


def notes(desk: Desk) -> list[int]:
    sql = "SELECT name FROM sqlite_master WHERE name LIKE '%_pending' AND type = 'table'"
    names = desk.conn.execute(sql).fetchall()
    return [
        row[0]
        for (name,) in names
        for row in desk.conn.execute(f'SELECT id FROM "{name}" ORDER BY id')
    ]


def found(desk: Desk, text: str, count: int = 100, table: str = "docs_vectors") -> list[int]:
    sql = f"SELECT rowid FROM {table} WHERE content MATCH ? AND k = ?"
    return [row[0] for row in desk.conn.execute(sql, (text, count))]


def read_texts(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts rows whose text is read from here on."""
    read: list[int] = []
    text = Source.text

    def counted(self: Source, rowid: int, values: Any) -> str | None:
        read.append(rowid)
        return text(self, rowid, values)

    monkeypatch.setattr(Source, "text", counted)
    return read


def same_as_full(desk: Desk) -> tuple[int, ...]:
    """What is to be done, which a full comparison must say as well."""
    quick = desk.plan().difference
    full = desk.plan(full=True).difference
    assert (sorted(quick.new), sorted(quick.changed)) == (sorted(full.new), sorted(full.changed))
    assert (sorted(quick.vanished), quick.unchanged) == (sorted(full.vanished), full.unchanged)
    assert quick.without_text == full.without_text
    return len(quick.new), len(quick.changed), len(quick.vanished), quick.unchanged


def test_after_embedding_nothing_is_noted(desk: Desk) -> None:
    assert notes(desk) == []
    assert same_as_full(desk) == (0, 0, 0, 50)


def test_a_stranger_writes_freely_and_all_of_it_is_noted(desk: Desk, stranger: Any) -> None:
    stranger.execute("INSERT INTO docs VALUES (100, 'brand new', 1)")
    stranger.execute("UPDATE docs SET body = 'rewritten' WHERE id = 1")
    stranger.execute("UPDATE docs SET year = 3")
    stranger.execute("UPDATE docs SET id = 200 WHERE id = 2")
    stranger.execute("UPDATE docs SET rowid = 201 WHERE rowid = 3")
    stranger.execute("UPDATE docs SET body = NULL WHERE id = 4")
    stranger.execute("DELETE FROM docs WHERE id = 5")
    assert notes(desk) == [1, 2, 3, 4, 100, 200, 201]
    assert same_as_full(desk) == (3, 1, 4, 45)
    desk.embed()
    assert same_as_full(desk) == (0, 0, 0, 49)
    assert notes(desk) == []
    assert desk.embedded()[200] == TEXTS[2]


def test_a_changed_row_is_not_found_by_the_text_that_it_had(desk: Desk, stranger: Any) -> None:
    """The fault: a search ranks a row by words that are no longer in it."""
    stranger.execute("UPDATE docs SET body = 'thing3 of another kind' WHERE id = 10")
    stranger.execute("DELETE FROM docs WHERE id = 17")
    rows = found(desk, "number 10 thing3")
    assert not {10, 17} & set(rows)
    assert len(rows) == 48
    assert len(found(desk, "thing3", 5)) == 5
    desk.embed()
    assert 10 in found(desk, "another kind", 1)
    stranger.execute("UPDATE docs SET body = ?  WHERE id = 10", (TEXTS[10],))
    assert 10 not in found(desk, "another kind")
    desk.embed()
    assert 10 in found(desk, "thing3")


def test_a_row_that_is_as_it_was_embedded_stays_found(desk: Desk, stranger: Any) -> None:
    stranger.execute("UPDATE docs SET body = 'x' WHERE id = 10")
    assert 10 not in found(desk, "number 10")
    stranger.execute("UPDATE docs SET body = ? WHERE id = 10", (TEXTS[10],))
    assert 10 in found(desk, "number 10")
    assert notes(desk) == [10]
    assert same_as_full(desk) == (0, 0, 0, 50)
    desk.embed()
    assert notes(desk) == []
    assert desk.model.texts == ["number 10", "number 10"]  # the searches alone


def test_more_changed_rows_than_are_asked_for(desk: Desk, stranger: Any) -> None:
    stranger.execute("UPDATE docs SET body = 'x' || id WHERE id < 45")
    assert len(found(desk, "thing1 thing2 thing3", 5)) == 5
    assert set(found(desk, "thing1")) == set(range(45, 51))


def test_transactions_take_notes_back(desk: Desk, stranger: Any) -> None:
    stranger.execute("BEGIN")
    stranger.execute("UPDATE docs SET body = 'a' WHERE id = 1")
    stranger.execute("SAVEPOINT s")
    stranger.execute("UPDATE docs SET body = 'b' WHERE id = 2")
    stranger.execute("ROLLBACK TO s")
    stranger.execute("COMMIT")
    assert notes(desk) == [1]
    stranger.execute("BEGIN")
    stranger.execute("UPDATE docs SET body = 'c'")
    stranger.execute("ROLLBACK")
    assert notes(desk) == [1]
    assert 2 in found(desk, "number 2")
    assert same_as_full(desk) == (0, 1, 0, 49)


@pytest.mark.parametrize("recursive", [0, 1])
def test_replace_deletes_without_a_trigger(desk: Desk, stranger: Any, recursive: int) -> None:
    stranger.execute(f"PRAGMA recursive_triggers = {recursive}")
    stranger.execute("CREATE UNIQUE INDEX u ON docs(body)")
    stranger.execute("REPLACE INTO docs VALUES (1, 'one', 1)")
    stranger.execute("REPLACE INTO docs VALUES (300, ?, 1)", (TEXTS[7],))  # row 7 goes
    stranger.execute("UPDATE OR REPLACE docs SET body = ? WHERE id = 8", (TEXTS[9],))  # row 9 goes
    assert same_as_full(desk) == (1, 2, 2, 46)
    assert not {1, 7, 8, 9, 300} & set(found(desk, "text number"))
    desk.embed()
    assert same_as_full(desk) == (0, 0, 0, 49)


@pytest.mark.parametrize("conflict", ["ABORT", "FAIL", "ROLLBACK", "IGNORE", "REPLACE"])
def test_a_row_is_written_twice_whatever_the_conflict_clause(
    desk: Desk, stranger: Any, conflict: str
) -> None:
    """The fault: the user's conflict clause governs the trigger's statements as well."""
    for text in ("first", "second"):
        stranger.execute(f"UPDATE OR {conflict} docs SET body = ? WHERE id = 1", (text,))
    stranger.execute(f"INSERT OR {conflict} INTO docs VALUES (60, 'x', 1)")
    stranger.execute("INSERT INTO docs VALUES (60, 'y', 1) ON CONFLICT DO UPDATE SET body = 'y'")
    assert stranger.execute("SELECT body FROM docs WHERE id IN (1, 60)").fetchall() == [
        ("second",),
        ("y",),
    ]
    assert notes(desk) == [1, 60]


def test_notes_are_no_shadow_table(desk: Desk) -> None:
    """The fault: SQLITE_DBCONFIG_DEFENSIVE refuses writes to those, and so to the source."""
    listed = desk.conn.execute("PRAGMA table_list").fetchall()
    assert [row[2] for row in listed if row[1].endswith("_pending")] == ["table"]
    assert [row[2] for row in listed if row[1] == "docs_vectors_nodes"] == ["shadow"]


def test_only_what_was_noted_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: every run reads the whole table."""
    read = read_texts(desk, monkeypatch)
    desk.conn.execute("UPDATE docs SET body = 'x' WHERE id IN (3, 9)")
    assert desk.counts() == (0, 2, 0, 48)
    assert read == [3, 9]
    read.clear()
    assert desk.counts(full=True) == (0, 2, 0, 48)
    assert len(read) == 50


def test_many_notes_are_worked_off_in_blocks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "BLOCK", 7)
    desk.conn.execute("UPDATE docs SET body = body")
    desk.conn.execute("UPDATE docs SET body = 'x' WHERE id % 10 = 0")
    assert len(notes(desk)) == 50
    assert same_as_full(desk) == (0, 5, 0, 45)
    desk.embed()
    assert notes(desk) == []


def test_a_change_while_the_model_works_stays_noted(
    desk: Desk, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger.execute("UPDATE docs SET body = 'one' WHERE id = 1")
    report = desk.model.embed_report

    def edited_meanwhile(*args: Any, **kwargs: Any) -> Any:
        stranger.execute("UPDATE docs SET body = 'two' WHERE id = 1")
        return report(*args, **kwargs)

    monkeypatch.setattr(desk.model, "embed_report", edited_meanwhile)
    desk.embed()
    monkeypatch.undo()
    assert notes(desk) == [1]
    assert same_as_full(desk) == (0, 1, 0, 49)


def test_rows_outside_where_stay_noted(desk: Desk, stranger: Any) -> None:
    stranger.execute("UPDATE docs SET body = 'x' WHERE id IN (1, 2)")
    desk.embed(where="id = 1")
    assert notes(desk) == [2]
    assert same_as_full(desk) == (0, 1, 0, 49)


# ---- Other names, other tables ----


def test_a_source_that_is_renamed_is_followed(desk: Desk, stranger: Any) -> None:
    stranger.execute("ALTER TABLE docs RENAME TO \"my 'papers'\"")
    stranger.execute("ALTER TABLE \"my 'papers'\" RENAME COLUMN id TO number")
    stranger.execute("UPDATE \"my 'papers'\" SET body = 'rewritten' WHERE number = 10")
    assert notes(desk) == [10]
    assert len(found(desk, "thing3", 5)) == 5
    assert 10 not in found(desk, "thing3")
    (table,) = text_tables(desk.conn, "my 'papers'")
    assert table.name == "docs_vectors"
    derived = derived_tables(lambda sql: desk.conn.execute(sql).fetchall())
    assert set(derived.values()) == {"my 'papers'"}
    desk.embed(table="my 'papers'", name="docs_vectors")
    assert found(desk, "rewritten", 1) == [10]
    assert notes(desk) == []


def test_the_connection_that_renames_follows_too(desk: Desk) -> None:
    assert found(desk, "number 3", 1) == [3]
    desk.conn.execute("ALTER TABLE docs RENAME TO papers")
    assert found(desk, "number 3", 1) == [3]
    desk.conn.execute("CREATE TABLE docs(id INTEGER PRIMARY KEY, body)")
    assert found(desk, "number 3", 1) == [3]


def test_the_vector_table_is_renamed_and_notes_go_on(desk: Desk, stranger: Any) -> None:
    desk.conn.execute("ALTER TABLE docs_vectors RENAME TO v")
    stranger.execute("UPDATE docs SET body = 'x' WHERE id = 1")
    assert notes(desk) == [1]
    assert same_as_full_named(desk, "v") == (0, 1, 0, 49)


def same_as_full_named(desk: Desk, name: str) -> tuple[int, ...]:
    assert desk.counts(name=name) == desk.counts(name=name, full=True)
    return desk.counts(name=name)


def test_the_vector_table_goes_and_its_triggers_with_it(desk: Desk, stranger: Any) -> None:
    desk.conn.execute("DROP TABLE docs_vectors")
    left = stranger.execute("SELECT name FROM sqlite_master WHERE name LIKE '%muninn%'").fetchall()
    assert left == []
    stranger.execute("UPDATE docs SET body = 'x'")


def test_a_rolled_back_creation_leaves_no_trigger(desk: Desk) -> None:
    before = desk.conn.execute("SELECT name FROM sqlite_master").fetchall()
    desk.conn.execute("BEGIN")
    desk.conn.execute(
        "CREATE VIRTUAL TABLE w USING hnsw_text(model=words, content=docs, content_column=year)"
    )
    desk.conn.execute("ROLLBACK")
    assert desk.conn.execute("SELECT name FROM sqlite_master").fetchall() == before
    desk.conn.execute("UPDATE docs SET year = 0")


def test_a_source_that_goes_takes_its_triggers_and_may_come_back(desk: Desk, stranger: Any) -> None:
    """As sqlite-utils transform does: the triggers are gone, and changes were not noted."""
    stranger.executescript(
        "BEGIN; CREATE TABLE docs_new(id INTEGER PRIMARY KEY, body, year, more);"
        "INSERT INTO docs_new SELECT *, 1 FROM docs; UPDATE docs_new SET body = 'x' WHERE id = 10;"
        "DROP TABLE docs; ALTER TABLE docs_new RENAME TO docs; COMMIT;"
    )
    assert watched_tables(stranger.execute) == {}
    assert notes(desk) == []
    assert 10 not in found(desk, "thing3")
    assert len(found(desk, "thing3", 5)) == 5
    assert same_as_full(desk) == (0, 1, 0, 49)
    desk.embed()
    assert notes(desk) == []
    stranger.execute("UPDATE docs SET body = 'y' WHERE id = 11")
    assert notes(desk) == [11]


def test_a_trigger_that_was_tampered_with_is_not_believed(desk: Desk, stranger: Any) -> None:
    ((name,),) = stranger.execute("SELECT name FROM sqlite_master WHERE name LIKE '%_update'")
    stranger.execute(f"DROP TRIGGER {name}")
    stranger.execute(f"CREATE TRIGGER {name} AFTER UPDATE ON docs BEGIN SELECT 1; END")
    stranger.execute("UPDATE docs SET body = 'x' WHERE id = 10")
    assert notes(desk) == []
    assert desk.counts() == (0, 1, 0, 49)
    desk.embed()
    stranger.execute("UPDATE docs SET body = 'y' WHERE id = 10")
    assert notes(desk) == [10]


def test_generated_columns_are_noted(desk: Desk, stranger: Any) -> None:
    stranger.execute("ALTER TABLE docs ADD COLUMN loud AS (upper(body))")
    desk.embed("loud", name="loud")
    stranger.execute("UPDATE docs SET body = 'changed' WHERE id = 1")
    assert desk.plan("loud", name="loud").difference.changed == [1]


def test_tables_without_integer_keys_are_noted_and_compared(desk: Desk, stranger: Any) -> None:
    stranger.execute("CREATE TABLE notes(code TEXT PRIMARY KEY, rowid TEXT, note)")
    stranger.execute("INSERT INTO notes VALUES ('a', 'x', 'ant'), ('b', 'y', 'bee')")
    desk.embed("note", table="notes")
    stranger.execute("UPDATE notes SET note = 'cow' WHERE code = 'b'")
    assert notes(desk) == [2]
    assert found(desk, "bee", table="notes_vectors") == [1]
    assert desk.plan("note", table="notes").difference.changed == [2]
    desk.embed("note", table="notes")
    assert notes(desk) == []


def test_rows_written_through_sql_are_settled(desk: Desk) -> None:
    desk.conn.execute("UPDATE docs SET body = 'x' WHERE id IN (1, 2)")
    desk.conn.execute("INSERT OR REPLACE INTO docs_vectors(rowid) VALUES (1)")
    assert notes(desk) == [2]
    sql = "INSERT OR REPLACE INTO docs_vectors(rowid, content) VALUES (2, 'not what it says')"
    desk.conn.execute(sql)
    assert notes(desk) == [2]
    assert same_as_full(desk) == (0, 1, 0, 49)


def test_a_table_from_before_there_were_notes(desk: Desk, stranger: Any) -> None:
    sql = "SELECT type, name FROM sqlite_master WHERE name LIKE '%_pending' OR type = 'trigger'"
    for kind, name in sorted(stranger.execute(sql).fetchall(), reverse=True):
        stranger.execute(f"DROP {kind} {name}")
    stranger.execute("UPDATE docs SET body = 'x' WHERE id = 1")
    desk.conn.execute("INSERT OR REPLACE INTO docs_vectors(rowid) VALUES (1)")
    stranger.execute("UPDATE docs SET body = 'x' WHERE id = 2")
    assert same_as_full(desk) == (0, 1, 0, 49)
    desk.embed()
    assert notes(desk) == []
    stranger.execute("UPDATE docs SET body = 'z' WHERE id = 3")
    assert same_as_full(desk) == (0, 1, 0, 49)
