"""Texts that wait for their vectors: embedded in batches, and yet never missed by anybody."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.tables import deferring
from sqlite_utils_muninn.vectors.texts import deferred

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect


@pytest.fixture
def conn(open_text: Connect) -> Any:
    conn = open_text()
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words')")
    conn.execute("CREATE TABLE texts(id INTEGER PRIMARY KEY, body TEXT)")
    conn.executemany("INSERT INTO texts VALUES (?, ?)", ((i, f"text {i}") for i in range(1, 101)))
    return conn


def found(conn: Any, text: str, count: int = 1000) -> list[int]:
    sql = "SELECT rowid FROM docs WHERE content MATCH ? AND k = ?"
    return [row[0] for row in conn.execute(sql, (text, count))]


def sizes(model: Words) -> list[int]:
    """Texts in each call of the model so far; the next question is asked afresh."""
    counted = [len(batch) for batch in model.batches]
    model.batches.clear()
    return counted


def check(conn: Any, expected: dict[int, str], model: Words) -> None:
    """The table holds these texts, each with the vector of that text, and nothing else."""
    rows = conn.execute("SELECT rowid, content, vector FROM docs").fetchall()
    assert {id_: text for id_, text, _ in rows} == expected
    for _, text, vector in rows:
        assert vector == model.embed_report([text]).vectors[0].tobytes()
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")
    assert sorted(found(conn, "text")) == sorted(expected)


def test_one_statement_is_one_batch(conn: Any, model: Words) -> None:
    conn.execute("INSERT INTO docs(rowid, content) SELECT id, body FROM texts")
    assert sizes(model) == [100]
    check(conn, {i: f"text {i}" for i in range(1, 101)}, model)


def test_batches_have_a_limit(conn: Any, model: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (deferred, deferring):
        monkeypatch.setattr(place, "BATCH", 40)
    conn.execute("INSERT INTO docs(rowid, content) SELECT id, body FROM texts")
    assert sizes(model) == [40, 40, 20]
    check(conn, {i: f"text {i}" for i in range(1, 101)}, model)


def test_single_inserts_of_a_transaction_are_one_batch(conn: Any, model: Words) -> None:
    conn.execute("BEGIN")
    sql = "INSERT INTO docs(rowid, content) VALUES (?, ?)"
    conn.executemany(sql, ((i, f"text {i}") for i in range(50)))
    assert sizes(model) == []
    conn.execute("COMMIT")
    assert sizes(model) == [50]
    conn.execute("INSERT INTO docs(rowid, content) VALUES (99, 'text 99')")
    assert sizes(model) == [1]
    check(conn, {i: f"text {i}" for i in [*range(50), 99]}, model)


def test_a_search_in_the_transaction_sees_what_was_just_written(conn: Any, model: Words) -> None:
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'red fox'), (2, 'blue hen')")
    assert found(conn, "fox", 1) == [1]
    conn.execute("UPDATE docs SET content = 'blue fox' WHERE rowid = 2")
    conn.execute("UPDATE docs SET content = 'green cow' WHERE rowid = 1")
    assert found(conn, "fox", 1) == [2]
    conn.execute("DELETE FROM docs WHERE rowid = 2")
    assert conn.execute("SELECT count(*), sum(truncated) FROM docs").fetchall() == [(1, 0)]
    conn.execute("COMMIT")
    check(conn, {1: "green cow"}, model)


def test_what_needs_no_vector_makes_none(conn: Any, model: Words) -> None:
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'red fox')")
    conn.execute("INSERT INTO docs(content) VALUES (NULL)")
    assert conn.execute("SELECT rowid, content FROM docs").fetchall() == [(1, "red fox"), (2, None)]
    assert conn.execute("SELECT count(*) FROM docs WHERE content LIKE 'red%'").fetchone() == (1,)
    conn.execute("ROLLBACK")
    assert sizes(model) == []


def test_last_insert_rowid_is_the_users(conn: Any) -> None:
    conn.execute("INSERT INTO docs(rowid, content) SELECT id + 500, body FROM texts")
    assert conn.execute("SELECT last_insert_rowid()").fetchone() == (600,)
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (7, 'seven')")
    found(conn, "seven")
    assert conn.execute("SELECT last_insert_rowid()").fetchone() == (7,)
    conn.execute("INSERT INTO docs(rowid, content) VALUES (8, 'eight')")
    conn.execute("COMMIT")
    assert conn.execute("SELECT last_insert_rowid()").fetchone() == (8,)


def test_a_row_that_fails_among_many_takes_the_others_along(conn: Any, sqlite: Any) -> None:
    conn.execute("INSERT INTO docs(rowid, content) VALUES (50, 'here before')")
    for begin, end in (("", ""), ("BEGIN", "COMMIT")):
        conn.execute(begin)
        with pytest.raises(sqlite.IntegrityError, match="UNIQUE"):
            conn.execute("INSERT INTO docs(rowid, content) SELECT id, body FROM texts")
        assert conn.execute("SELECT rowid FROM docs").fetchall() == [(50,)]
        conn.execute(end)
    assert found(conn, "here") == [50]


def test_or_ignore_or_replace_or_fail(conn: Any, model: Words, sqlite: Any) -> None:
    rows = "VALUES (1, 'one'), (2, 'two'), (1, 'uno'), (3, 'three')"
    conn.execute(f"INSERT OR IGNORE INTO docs(rowid, content) {rows}")
    check(conn, {1: "one", 2: "two", 3: "three"}, model)
    conn.execute(f"INSERT OR REPLACE INTO docs(rowid, content) {rows}")
    check(conn, {1: "uno", 2: "two", 3: "three"}, model)
    conn.execute("DELETE FROM docs")
    with pytest.raises(sqlite.IntegrityError):
        conn.execute(f"INSERT OR FAIL INTO docs(rowid, content) {rows}")
    check(conn, {1: "one", 2: "two"}, model)


@pytest.mark.parametrize("searched", [False, True])
def test_savepoints_within_what_waits(conn: Any, model: Words, searched: bool) -> None:
    """Rows that waited at a savepoint, that got their vectors within it, and that were undone."""
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'text two')")
    conn.execute("UPDATE docs SET content = 'text uno' WHERE rowid = 1")
    conn.execute("SAVEPOINT b")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (3, 'text three'), (4, 'text four')")
    if searched:
        assert sorted(found(conn, "text")) == [1, 2, 3, 4]
    conn.execute("ROLLBACK TO b")
    if searched:
        assert sorted(found(conn, "text")) == [1, 2]
    conn.execute("INSERT INTO docs(rowid, content) VALUES (4, 'text quattro')")
    conn.execute("RELEASE b")
    conn.execute("ROLLBACK TO a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (5, 'text five')")
    conn.execute("COMMIT")
    check(conn, {1: "text one", 5: "text five"}, model)


def test_savepoints_that_are_the_transaction(conn: Any, model: Words) -> None:
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("RELEASE a")
    assert not conn.in_transaction
    check(conn, {1: "text one"}, model)
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'text two')")
    conn.execute("ROLLBACK TO a")
    conn.execute("RELEASE a")
    check(conn, {1: "text one"}, model)


def test_a_dropped_table_comes_back_whole(conn: Any, model: Words) -> None:
    """After ROLLBACK TO, SQLite does not tell a table that was dropped of the commit."""
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'text two')")
    conn.execute("DROP TABLE docs")
    conn.execute("ROLLBACK TO a")
    conn.execute("COMMIT")
    check(conn, {1: "text one"}, model)


def test_a_table_made_and_undone_waits_for_nothing(conn: Any, model: Words) -> None:
    conn.execute("BEGIN")
    conn.execute("SAVEPOINT a")
    conn.execute("CREATE VIRTUAL TABLE other USING hnsw_text(model='words')")
    conn.execute("INSERT INTO other(content) VALUES ('one'), ('two')")
    conn.execute("ROLLBACK TO a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("COMMIT")
    check(conn, {1: "text one"}, model)


def test_renamed_while_rows_wait(conn: Any, model: Words) -> None:
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("ALTER TABLE docs RENAME TO other")
    conn.execute("INSERT INTO other(rowid, content) VALUES (2, 'text two')")
    conn.execute("CREATE TABLE more(x)")
    conn.execute("ALTER TABLE other RENAME TO papers")
    conn.execute("INSERT INTO papers(rowid, content) VALUES (3, 'text three')")
    conn.execute("SAVEPOINT a")
    conn.execute("ALTER TABLE papers RENAME TO scrolls")
    conn.execute("ROLLBACK TO a")
    conn.execute("COMMIT")
    conn.execute("ALTER TABLE papers RENAME TO docs")
    check(conn, {1: "text one", 2: "text two", 3: "text three"}, model)


def test_a_new_rowid_takes_the_vector_along(conn: Any, model: Words) -> None:
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one'), (2, 'text two')")
    sizes(model)
    conn.execute("UPDATE docs SET rowid = rowid + 10")
    assert sizes(model) == []
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (3, 'text three')")
    conn.execute("UPDATE docs SET rowid = 4 WHERE rowid = 3")
    conn.execute("COMMIT")
    assert sizes(model) == [1]
    check(conn, {11: "text one", 12: "text two", 4: "text three"}, model)


# ---- When the model fails ----


def test_a_failure_in_a_transaction_is_said_by_what_asks_for_vectors(
    conn: Any, model: Words, sqlite: Any
) -> None:
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'text two')")
    conn.execute("SAVEPOINT a")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (3, 'cannot be embedded'), (4, 'text')")
    with pytest.raises(sqlite.OperationalError, match="the model failed"):
        found(conn, "text")
    assert conn.execute("SELECT count(*) FROM docs").fetchone() == (4,)
    conn.execute("ROLLBACK TO a")
    assert sorted(found(conn, "text")) == [1, 2]
    conn.execute("COMMIT")
    check(conn, {1: "text one", 2: "text two"}, model)


def test_a_failing_commit_takes_all_of_it_back(conn: Any, model: Words, sqlite: Any) -> None:
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    conn.execute("BEGIN")
    conn.execute("UPDATE docs SET content = 'text uno'")
    conn.execute("INSERT INTO texts VALUES (500, 'with it')")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'cannot be embedded')")
    conn.execute("SAVEPOINT a")  # cannot say it, and does not keep the user from going on
    with pytest.raises(sqlite.OperationalError, match="the model failed"):
        conn.execute("COMMIT")
    assert not conn.in_transaction
    assert conn.execute("SELECT count(*) FROM texts WHERE id = 500").fetchone() == (0,)
    check(conn, {1: "text one"}, model)


def test_a_batch_that_fails_within_a_statement_fails_that_statement_alone(
    conn: Any, model: Words, sqlite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (deferred, deferring):
        monkeypatch.setattr(place, "BATCH", 20)
    conn.execute("UPDATE texts SET body = 'cannot be embedded' WHERE id = 30")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1000, 'text')")
    with pytest.raises(sqlite.OperationalError, match="the model failed"):
        conn.execute("INSERT INTO docs(rowid, content) SELECT id, body FROM texts")
    assert conn.in_transaction
    conn.execute("COMMIT")
    check(conn, {1000: "text"}, model)


def test_a_model_that_is_missing_fails_the_statement(
    connect: Connect, conn: Any, path: Path, sqlite: Any
) -> None:
    other = connect(path)
    attach(other, [text_module(Host(), Shelf({}))])
    other.execute("BEGIN")
    with pytest.raises(sqlite.OperationalError, match="model 'words' is not loaded"):
        other.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text')")
    other.execute("INSERT INTO docs(rowid, content) VALUES (2, NULL)")
    other.execute("COMMIT")
    assert conn.execute("SELECT rowid, content FROM docs").fetchall() == [(2, None)]


def test_an_interrupt_at_the_commit(conn: Any, model: Words, sqlite: Any) -> None:
    """What was being embedded is as if it had never been written."""
    embed = model.embed_report

    def interrupted(texts: Any, **how: Any) -> Any:
        conn.interrupt()
        return embed(texts, **how)

    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text')")
    model.embed_report = interrupted  # type: ignore[method-assign]
    with pytest.raises(sqlite.OperationalError, match=r"^interrupted$"):
        conn.execute("COMMIT")
    del model.embed_report
    assert not conn.in_transaction
    check(conn, {}, model)


# ---- Other connections ----


def test_nobody_else_sees_a_text_without_its_vector(
    conn: Any, model: Words, open_text: Connect
) -> None:
    conn.execute("PRAGMA journal_mode = WAL")
    other = open_text()
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    assert found(other, "text") == []
    assert other.execute("SELECT count(*) FROM docs").fetchone() == (0,)
    conn.execute("COMMIT")
    check(other, {1: "text one"}, model)


def test_external_content_waits_too(conn: Any, model: Words) -> None:
    conn.execute(
        "CREATE VIRTUAL TABLE v USING hnsw_text(model=words, content=texts, content_column=body)"
    )
    conn.execute("INSERT INTO v(rowid) SELECT id FROM texts")
    assert sizes(model) == [100]
    (notes,) = conn.execute(
        "SELECT name FROM sqlite_master WHERE name LIKE '%pending' AND type = 'table'"
    ).fetchone()
    assert conn.execute(f"SELECT count(*) FROM {notes}").fetchone() == (0,)
    conn.execute("UPDATE texts SET body = 'new ' || id WHERE id <= 3")
    conn.execute("INSERT OR REPLACE INTO v(rowid) SELECT id FROM texts")
    assert model.batches == [["new 1", "new 2", "new 3"]]
    assert conn.execute(f"SELECT count(*) FROM {notes}").fetchone() == (0,)
    sql = "SELECT rowid FROM v WHERE content MATCH 'new' AND k = 3"
    assert sorted(conn.execute(sql).fetchall()) == [(1,), (2,), (3,)]


def test_a_row_is_moved_without_the_model(connect: Connect, conn: Any, path: Path) -> None:
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    other = connect(path)
    attach(other, [text_module(Host(), Shelf({}))])
    other.execute("UPDATE docs SET rowid = 7")
    other.execute("UPDATE docs SET content = 'text one'")
    other.execute("INSERT OR REPLACE INTO docs(rowid, content) VALUES (7, 'text one')")
    assert found(conn, "one", 1) == [7]


def test_ctrl_c_at_the_commit(conn: Any, model: Words) -> None:
    """It is Ctrl-C for the program, and the transaction is undone."""

    def interrupted(texts: Any, **how: Any) -> Any:
        raise KeyboardInterrupt

    def commit() -> None:
        try:
            conn.execute("COMMIT")
        finally:
            time.sleep(0.1)  # it comes when the statement is over

    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text')")
    model.embed_report = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        commit()
    del model.embed_report
    assert not conn.in_transaction
    check(conn, {}, model)


def test_a_commit_that_others_hold_up_can_be_tried_again(
    conn: Any, model: Words, open_text: Connect, sqlite: Any
) -> None:
    """Without WAL a reader keeps a commit waiting: texts are embedded once all the same."""
    other = open_text(timeout=0)
    conn.execute("PRAGMA busy_timeout = 0")
    conn.execute("BEGIN")
    conn.execute("INSERT INTO docs(rowid, content) VALUES (1, 'text one')")
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM docs").fetchone()
    with pytest.raises(sqlite.OperationalError, match="locked"):
        conn.execute("COMMIT")
    assert conn.in_transaction
    conn.execute("INSERT INTO docs(rowid, content) VALUES (2, 'text two')")
    other.execute("COMMIT")
    conn.execute("COMMIT")
    assert sizes(model) == [1, 1]
    check(other, {1: "text one", 2: "text two"}, model)
