"""chunk=true: a long text has a vector for each passage, and its best one counts."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.storage.derived import derived_tables

from .embedders import Shelf, Words
from .test_embed import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

CREATE = "CREATE VIRTUAL TABLE {} USING hnsw_text(model=words, chunk=true, max_tokens=16{})"
FOX = "The quick brown fox jumps over the lazy dog."
HEN = "A hen lays one egg every morning in spring."
COW = "Cows give milk and eat grass on the meadow."
TAX = "Income tax is due at the end of april."
BOOK = " ".join(
    [FOX, HEN, COW, TAX]
)  # four passages of 16 words or fewer: two sentences do not fit


@pytest.fixture
def model() -> Words:
    return Words(context=16, dimensions=512)


@pytest.fixture
def docs(open_text: Connect) -> Any:
    conn = open_text()
    conn.execute(CREATE.format("docs", ""))
    rows = [(1, BOOK), (2, HEN), (3, None), (4, ""), (5, "Nothing of it. " + TAX)]
    conn.executemany("INSERT INTO docs(rowid, content) VALUES (?, ?)", rows)
    return conn


def search(conn: Any, text: str, more: str = "AND k = 9", what: str = "rowid") -> list[Any]:
    rows = conn.execute(f"SELECT {what} FROM docs WHERE content MATCH ? {more}", (text,)).fetchall()
    return [row[0] for row in rows] if what == "rowid" else rows


def passages(conn: Any, row: int) -> list[tuple[int, int]]:
    sql = 'SELECT "start", "end" FROM docs_passages WHERE "row" = ? ORDER BY id'
    return conn.execute(sql, (row,)).fetchall()


def test_each_sentence_of_a_long_text_is_found(docs: Any, model: Words) -> None:
    assert [BOOK[slice(*span)] for span in passages(docs, 1)] == [FOX, HEN, COW, TAX]
    for text in (FOX, COW):
        rows = search(docs, text, "AND k = 1", "rowid, distance, chunk, content")
        assert rows == [(1, pytest.approx(0, abs=1e-6), text, BOOK)]
    assert search(docs, HEN, "LIMIT 2", "rowid, round(distance, 5), chunk") == [
        (1, 0.0, HEN),
        (2, 0.0, HEN),
    ]
    assert docs.execute("SELECT sum(truncated) FROM docs").fetchone() == (0,)


def test_a_row_comes_once_however_many_of_its_passages_are_near(docs: Any) -> None:
    docs.execute("INSERT INTO docs(rowid, content) VALUES (6, ?)", (f"{FOX} {FOX} {FOX} {FOX}",))
    everything = search(docs, "fox hen tax")
    assert sorted(everything) == [1, 2, 4, 5, 6]
    for count in range(1, 6):
        assert search(docs, "fox hen tax", f"AND k = {count}") == everything[:count]
        assert search(docs, "fox hen tax", f"LIMIT {count}") == everything[:count]
    assert search(docs, "fox hen tax", "ORDER BY distance") == everything
    assert search(docs, "fox hen tax", "ORDER BY distance LIMIT 2 OFFSET 2") == everything[2:4]


def test_filters_and_bounds_are_on_the_best_passage(docs: Any) -> None:
    assert search(docs, HEN, "AND k = 9 AND rowid IN (1, 5)") == [1, 5]
    assert search(docs, HEN, "AND rowid = 5 LIMIT 3") == [5]
    assert search(docs, HEN, "AND distance < 0.01") == [1, 2]
    # Row 1 has passages that are far from a hen. It is not far.
    far = search(docs, HEN, "AND distance > 0.01")
    assert sorted(far) == [4, 5]
    assert search(docs, HEN, "AND distance > 0.01 LIMIT 1") == far[:1]


def test_metadata_narrows_before_rows_are_counted(open_text: Connect) -> None:
    conn = open_text()
    conn.execute(CREATE.format("docs", ", +year INTEGER, +lang TEXT"))
    rows = [(i, BOOK if i % 3 == 0 else HEN, 2000 + i % 10, "de") for i in range(1, 61)]
    conn.executemany("INSERT INTO docs(rowid, content, year, lang) VALUES (?, ?, ?, ?)", rows)
    assert search(conn, FOX, "AND k = 2 AND year = 2003") == [3, 33]
    assert search(conn, FOX, "AND year IN (2003, 2006) AND lang = 'de' LIMIT 4") == [3, 6, 33, 36]
    assert search(conn, FOX, "AND k = 5 AND lang = 'en'") == []
    conn.execute("UPDATE docs SET lang = 'en' WHERE rowid = 33")
    assert search(conn, FOX, "AND k = 5 AND lang = 'en'", "rowid, year, lang") == [(33, 2003, "en")]
    conn.execute("UPDATE docs SET rowid = 1000 WHERE rowid = 33")
    assert search(conn, FOX, "AND k = 5 AND lang = 'en'", "rowid, year") == [(1000, 2003)]


def test_updates_and_deletes_leave_no_passage_behind(docs: Any, model: Words) -> None:
    model.batches.clear()
    docs.execute("UPDATE docs SET content = content")
    docs.execute("UPDATE docs SET rowid = 10 WHERE rowid = 1")
    assert model.texts == []
    assert [BOOK[slice(*span)] for span in passages(docs, 10)] == [FOX, HEN, COW, TAX]
    docs.execute("UPDATE docs SET content = ? WHERE rowid = 10", (f"{FOX} {COW}",))
    assert model.texts == [FOX, COW]
    assert len(passages(docs, 10)) == 2
    assert search(docs, HEN, "AND k = 1") == [2]
    docs.execute("UPDATE docs SET content = NULL WHERE rowid = 10")
    docs.execute("DELETE FROM docs WHERE rowid = 2")
    docs.execute("INSERT OR REPLACE INTO docs(rowid, content) VALUES (5, ?)", (COW,))
    rows = docs.execute('SELECT "row", count(*) FROM docs_passages GROUP BY 1').fetchall()
    assert rows == [(4, 1), (5, 1)]
    docs.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")
    assert docs.execute("SELECT count(*) FROM docs_nodes").fetchone() == (2,)
    assert sorted(search(docs, "egg")) == [4, 5]


def test_rollback_takes_passages_back(docs: Any) -> None:
    before = docs.execute("SELECT * FROM docs_passages").fetchall()
    docs.execute("BEGIN")
    docs.execute("INSERT INTO docs(rowid, content) VALUES (7, ?)", (BOOK,))
    docs.execute("UPDATE docs SET content = ? WHERE rowid = 1", (COW,))
    assert search(docs, FOX, "AND k = 1") == [7]
    docs.execute("ROLLBACK")
    assert docs.execute("SELECT * FROM docs_passages").fetchall() == before
    assert search(docs, FOX, "AND k = 1") == [1]


def test_the_vector_of_a_row_is_that_of_its_best_passage(docs: Any, model: Words) -> None:
    first, milk = (model.embed_report([text]).vectors[0].tobytes() for text in (FOX, COW))
    assert docs.execute("SELECT vector FROM docs WHERE rowid = 1").fetchone() == (first,)
    assert search(docs, COW, "AND k = 1", "vector") == [(milk,)]
    sql = "SELECT rowid FROM docs WHERE vector MATCH ? AND k = 1"
    assert docs.execute(sql, (milk,)).fetchall() == [(1,)]


def test_a_vector_that_is_given_stands_for_all_of_the_text(docs: Any, model: Words) -> None:
    vector = model.embed_report(["zebra"]).vectors[0].tobytes()
    sql = "INSERT INTO docs(rowid, content, vector) VALUES (9, ?, ?)"
    docs.execute(sql, (BOOK, vector))
    assert search(docs, "zebra", "AND k = 1", "rowid, chunk") == [(9, BOOK)]


def test_options(open_text: Connect, sqlite: Any, model: Words) -> None:
    conn = open_text()
    with pytest.raises(sqlite.OperationalError, match="max_tokens must be 16 to 16, which model"):
        conn.execute("CREATE VIRTUAL TABLE d USING hnsw_text(model=words, chunk=1, max_tokens=17)")
    model.context = 400
    conn.execute("CREATE VIRTUAL TABLE d USING hnsw_text(model=words, chunk=yes, overlap=20)")
    config = dict(conn.execute("SELECT key, value FROM d_config"))
    assert (config["max_tokens"], config["overlap"]) == (256, 20)
    conn.execute("INSERT INTO d(content) VALUES (?)", ((FOX + " ") * 100,))
    spans = conn.execute('SELECT "start", "end" FROM d_passages ORDER BY id').fetchall()
    assert len(spans) > 3
    overlaps = [a[1] - b[0] for a, b in itertools.pairwise(spans)]
    assert all(len(FOX) <= overlap < 3 * len(FOX) for overlap in overlaps)


def test_rename_drop_and_rebuild(docs: Any) -> None:
    docs.execute("ALTER TABLE docs RENAME TO papers")
    docs.execute("INSERT INTO papers(papers) VALUES ('rebuild')")
    docs.execute("INSERT INTO papers(papers) VALUES ('optimize')")
    docs.execute("INSERT INTO papers(papers) VALUES ('integrity-check')")
    sql = "SELECT rowid FROM papers WHERE content MATCH ? AND k = 1"
    assert docs.execute(sql, (COW,)).fetchall() == [(1,)]
    docs.execute("DROP TABLE papers")
    sql = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
    assert docs.execute(sql).fetchall() == []


def test_external_content_in_passages(open_text: Connect, model: Words) -> None:
    conn = open_text()
    conn.execute("CREATE TABLE books(id INTEGER PRIMARY KEY, body TEXT)")
    conn.execute("INSERT INTO books VALUES (1, ?), (2, ?), (3, NULL)", (BOOK, HEN))
    conn.execute(CREATE.format("docs", ", content=books, content_column=body"))
    conn.execute("INSERT INTO docs(rowid) SELECT id FROM books")
    assert search(conn, COW, "AND k = 1", "rowid, chunk") == [(1, COW)]
    conn.execute("UPDATE books SET body = ? WHERE id = 1", (FOX,))
    assert search(conn, COW) == [2]  # until it is embedded again, it is not found
    conn.execute("INSERT OR REPLACE INTO docs(rowid) VALUES (1)")
    assert search(conn, FOX, "LIMIT 1") == [1]
    conn.execute("DELETE FROM books WHERE id = 2")
    assert search(conn, HEN) == [1]


def test_without_the_model_texts_still_read(docs: Any, connect: Connect, path: Path) -> None:
    conn = connect(path)
    attach(conn, [text_module(Host(), Shelf({}))])
    assert conn.execute("SELECT count(*), max(rowid) FROM docs").fetchone() == (5, 5)
    assert conn.execute("SELECT content FROM docs WHERE rowid = 2").fetchone() == (HEN,)
    vector = conn.execute("SELECT vector FROM docs WHERE rowid = 2").fetchone()
    found = conn.execute("SELECT rowid, chunk FROM docs WHERE vector MATCH ? AND k = 2", vector)
    assert found.fetchall() == [(1, HEN), (2, HEN)]
    with pytest.raises(Exception, match="model 'words' is not loaded"):
        search(conn, HEN)
    conn.execute("DELETE FROM docs WHERE rowid = 1")
    conn.execute("INSERT INTO docs(docs) VALUES ('rebuild')")
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_damage_is_found_and_mended(docs: Any, sqlite: Any) -> None:
    """A vector that is lost, a passage of no row, a row that claims passages of another."""
    for damage, words in (
        ("DELETE FROM docs_nodes WHERE id = 2", "rows of docs_passages without a vector: 2"),
        ("DELETE FROM docs_passages WHERE id = 3", "vectors without a row in docs_passages"),
        ('UPDATE docs_passages SET "row" = 77 WHERE id = 2', "passages of no row"),
        ("UPDATE docs_rows SET passages = 1 WHERE id = 1", "do not have the passages"),
    ):
        docs.execute("BEGIN")
        docs.execute(damage)
        with pytest.raises(sqlite.DatabaseError, match=words):
            docs.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")
        docs.execute("INSERT INTO docs(docs) VALUES ('rebuild')")
        docs.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")
        assert search(docs, HEN, "AND k = 2", "rowid, chunk") == [(1, HEN), (2, HEN)]
        docs.execute("ROLLBACK")


def test_spans_that_a_file_claims_do_no_harm(docs: Any) -> None:
    docs.execute('UPDATE docs_passages SET "start" = -5, "end" = 1000000000000 WHERE id = 1')
    docs.execute("UPDATE docs_passages SET \"start\" = 'x' WHERE id = 2")
    docs.execute("UPDATE docs_rows SET passages = 9223372036854775807 WHERE id = 2")
    rows = search(docs, HEN, "AND k = 9", "rowid, chunk")
    assert json.dumps(rows)
    docs.execute("DELETE FROM docs WHERE rowid = 2")
    docs.execute("UPDATE docs SET content = 'new' WHERE rowid = 1")


def test_rows_are_embedded_in_passages_and_again_only_where_they_changed(
    connect: Connect, path: Path
) -> None:
    desk = Desk(connect, path)
    desk.model.context = 16
    desk.conn.execute("UPDATE docs SET body = ? WHERE id % 2", (BOOK,))
    with pytest.raises(ValueError, match="overlap must be 0 to 8"):
        desk.plan(chunk=True, overlap=9)
    with pytest.raises(ValueError, match="are of passages"):
        desk.plan(chunk=False, overlap=3)
    last = desk.embed(chunk=True)[-1]
    assert (last.done, last.truncated) == (50, 0)
    sql = "SELECT rowid, chunk FROM docs_vectors WHERE content MATCH ? AND k = 1"
    assert desk.conn.execute(sql, (COW,)).fetchall() == [(1, COW)]
    ((count,),) = desk.conn.execute("SELECT count(*) FROM docs_vectors_passages")
    assert count == 25 * 4 + 25
    desk.model.batches.clear()
    desk.conn.execute("UPDATE docs SET body = ? WHERE id = 2", (f"{TAX} {FOX}",))
    assert desk.counts() == (0, 1, 0, 49)  # nothing is said of passages: they stay
    desk.embed()
    assert desk.model.texts == [TAX, FOX]
    desk.conn.execute("INSERT INTO docs_vectors(docs_vectors) VALUES ('integrity-check')")
    with pytest.raises(ValueError, match="has a vector for each passage of 16 tokens, 0 of them"):
        desk.plan(chunk=False)
    desk.embed(chunk=False, force=True)
    assert desk.conn.execute("SELECT sum(truncated) FROM docs_vectors").fetchone() == (26,)
    with pytest.raises(ValueError, match="has one vector for each row; --force embeds everything"):
        desk.plan(chunk=True)


def test_who_may_not_read_the_texts_may_not_read_passages(open_text: Connect) -> None:
    conn = open_text()
    conn.execute(CREATE.format("docs", ""))
    conn.execute("CREATE TABLE books(id INTEGER PRIMARY KEY, body TEXT)")
    conn.execute(CREATE.format("v", ", content=books, content_column=body"))
    derived = derived_tables(lambda *given: conn.execute(*given).fetchall())
    assert derived["docs_passages"] == derived["docs_content"] == "docs"
    assert derived["v_passages"] == derived["v"] == "books"
    kinds = {row[1]: row[2] for row in conn.execute("PRAGMA table_list")}
    assert kinds["docs_passages"] == kinds["v_passages"] == "shadow"


def test_a_real_model_finds_the_one_sentence_that_answers(
    connect: Connect, minilm_path: Path
) -> None:
    from sqlite_utils_muninn import load

    conn = connect()
    load(conn, Host(models={"MiniLM": str(minilm_path)}, threads=1))
    filler = "The committee met again and nothing of interest was said about the budget. "
    text = filler * 60 + "Whales sleep with one half of the brain at a time. " + filler * 20
    for table, more in (("whole", ""), ("docs", ", chunk=true, max_tokens=64")):
        conn.execute(f"CREATE VIRTUAL TABLE {table} USING hnsw_text(model='MiniLM'{more})")
        conn.execute(
            f"INSERT INTO {table}(rowid, content) VALUES (1, ?), (2, 'Birds sing in spring.')",
            (text,),
        )
    query = "how do marine mammals rest?"
    sql = "SELECT rowid FROM whole WHERE content MATCH ? AND k = 1"
    assert conn.execute(sql, (query,)).fetchall() == [(2,)]
    assert conn.execute("SELECT rowid FROM whole WHERE truncated").fetchall() == [(1,)]
    ((row, passage, cut),) = search(conn, query, "AND k = 1", "rowid, chunk, truncated")
    assert (row, cut) == (1, 0)
    assert "Whales sleep" in passage
    sizes = [end - start for start, end in passages(conn, 1)]
    assert max(sizes) < 500
