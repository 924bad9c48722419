"""hnsw_text through SQL: texts in, texts found by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import text_module

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Connect

SEARCH = "SELECT rowid FROM {} WHERE content MATCH ? {}"


@pytest.fixture
def docs(open_text: Connect) -> Any:
    conn = open_text(":memory:")
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words')")
    conn.execute(
        "INSERT INTO docs(rowid, content) VALUES "
        "(1, 'the quick brown fox'), (2, 'a slow turtle'), (3, NULL), (4, 'brown bread')"
    )
    return conn


def found(conn: Any, text: str | None, table: str = "docs", more: str = "AND k = 9") -> list[int]:
    return [row[0] for row in conn.execute(SEARCH.format(table, more), (text,))]


# ---- Own content ----


def test_texts_are_found_by_meaning(docs: Any) -> None:
    assert found(docs, "quick fox", more="LIMIT 1") == [1]
    assert found(docs, "brown", more="AND k = 2") == [4, 1]
    sql = (
        "SELECT rowid, content, distance < 0.6 FROM docs WHERE content MATCH 'slow turtle' LIMIT 1"
    )
    assert docs.execute(sql).fetchall() == [(2, "a slow turtle", 1)]
    assert found(docs, None) == []


def test_null_has_no_vector_and_is_a_row_all_the_same(docs: Any) -> None:
    assert sorted(found(docs, "bread")) == [1, 2, 4]
    assert docs.execute("SELECT count(*) FROM docs").fetchone() == (4,)
    sql = "SELECT content, vector FROM docs WHERE rowid = 3"
    assert docs.execute(sql).fetchone() == (None, None)
    docs.execute("UPDATE docs SET content = 'bread and butter' WHERE rowid = 3")
    assert found(docs, "butter", more="LIMIT 1") == [3]
    docs.execute("UPDATE docs SET content = NULL WHERE rowid = 3")
    assert sorted(found(docs, "butter")) == [1, 2, 4]
    docs.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_updates_embed_only_what_changed(docs: Any, model: Words) -> None:
    model.batches.clear()
    docs.execute("UPDATE docs SET content = content")
    docs.execute("UPDATE docs SET content = 'a slow turtle' WHERE rowid = 2")
    docs.execute("INSERT OR REPLACE INTO docs(rowid, content) VALUES (1, 'the quick brown fox')")
    docs.execute("UPDATE docs SET rowid = 20 WHERE rowid = 2")
    assert model.texts == []
    docs.execute("UPDATE docs SET content = content || ' soup' WHERE rowid = 20")
    assert model.texts == ["a slow turtle soup"]
    assert found(docs, "soup", more="LIMIT 1") == [20]


def test_a_row_takes_the_place_of_one_with_the_same_text(docs: Any) -> None:
    # The row that goes was taken for the one that comes, which was then written without a text.
    docs.execute("INSERT INTO docs(rowid, content) VALUES (20, 'a slow turtle')")
    docs.execute("UPDATE OR REPLACE docs SET rowid = 20 WHERE rowid = 2")
    sql = "SELECT rowid FROM docs WHERE content = 'a slow turtle'"
    assert docs.execute(sql).fetchall() == [(20,)]
    assert found(docs, "turtle", more="LIMIT 1") == [20]
    docs.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_a_taken_rowid_costs_no_embedding(docs: Any, model: Words, sqlite: Any) -> None:
    model.batches.clear()
    with pytest.raises(sqlite.IntegrityError, match=r"UNIQUE constraint failed: docs\.rowid"):
        docs.execute("INSERT INTO docs(rowid, content) VALUES (1, 'new')")
    docs.execute("INSERT OR IGNORE INTO docs(rowid, content) VALUES (1, 'new')")
    assert model.texts == []


def test_rollback_takes_text_and_vector_back(docs: Any) -> None:
    docs.execute("BEGIN")
    docs.execute("UPDATE docs SET content = 'jam' WHERE rowid = 1")
    docs.execute("DELETE FROM docs WHERE rowid = 4")
    assert found(docs, "brown jam") == [1, 2]
    docs.execute("ROLLBACK")
    assert found(docs, "brown") == [4, 1, 2]


def test_a_text_that_fails_fails_its_statement(docs: Any, sqlite: Any) -> None:
    before = docs.execute("SELECT rowid, content, vector FROM docs").fetchall()
    with pytest.raises(sqlite.OperationalError, match="the model failed"):
        docs.execute(
            "INSERT INTO docs(rowid, content) VALUES (8, 'fine'), (9, 'cannot be embedded')"
        )
    with pytest.raises(sqlite.OperationalError, match="the model failed"):
        docs.execute("UPDATE docs SET content = 'cannot be embedded' WHERE rowid = 1")
    assert docs.execute("SELECT rowid, content, vector FROM docs").fetchall() == before


def test_long_texts_are_cut_and_said_to_be(docs: Any) -> None:
    docs.execute("INSERT INTO docs(rowid, content) VALUES (9, 'a b c d e f g h i j')")
    sql = "SELECT rowid, truncated FROM docs WHERE content IS NOT NULL"
    assert docs.execute(sql).fetchall() == [(1, 0), (2, 0), (4, 0), (9, 1)]
    assert docs.execute("SELECT sum(truncated) FROM docs").fetchone() == (1,)


def test_numbers_are_texts_and_blobs_are_not(docs: Any, sqlite: Any) -> None:
    docs.execute("INSERT INTO docs(rowid, content) VALUES (5, 2024)")
    assert found(docs, "2024", more="LIMIT 1") == [5]
    with pytest.raises(sqlite.OperationalError, match="content must be text, got a blob of 2"):
        docs.execute("INSERT INTO docs(content) VALUES (x'0000')")
    with pytest.raises(sqlite.OperationalError, match="MATCH wants text, got a blob of 2"):
        found(docs, b"00")  # type: ignore[arg-type]


def test_vectors_can_be_brought_and_searched_with(docs: Any, model: Words) -> None:
    vector = model.embed_report(["turtle"]).vectors[0].tobytes()
    sql = "INSERT INTO docs(rowid, content, vector) VALUES (5, 'tortoise', ?)"
    docs.execute(sql, (vector,))
    assert found(docs, "turtle", more="LIMIT 1") == [5]
    sql = "SELECT rowid FROM docs WHERE vector MATCH ? AND k = 2"
    assert docs.execute(sql, (vector,)).fetchall() == [(5,), (2,)]


def test_prefixes_are_the_models(open_text: Connect, model: Words) -> None:
    model.query_prefix, model.document_prefix = "query: ", "document: "
    conn = open_text(":memory:")
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words')")
    model.query_prefix = "changed: "
    conn.execute("INSERT INTO docs(content) VALUES ('fox')")
    found(conn, "wolf")
    assert model.texts == ["document: fox", "query: wolf"]


def test_dim_cuts_vectors(open_text: Connect, sqlite: Any) -> None:
    conn = open_text(":memory:")
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words', dim=8)")
    conn.execute("INSERT INTO docs(content) VALUES ('fox')")
    assert conn.execute("SELECT length(vector) FROM docs").fetchone() == (32,)
    with pytest.raises(sqlite.OperationalError, match="dim must be 1 to 256 for model 'words'"):
        conn.execute("CREATE VIRTUAL TABLE d2 USING hnsw_text(model='words', dim=257)")


def test_rename_and_drop(docs: Any) -> None:
    docs.execute('ALTER TABLE docs RENAME TO "my docs"')
    assert found(docs, "fox", '"my docs"', "LIMIT 1") == [1]
    docs.execute("INSERT INTO \"my docs\"(content) VALUES ('red wine')")
    docs.execute('INSERT INTO "my docs"("my docs") VALUES (\'rebuild\')')
    assert found(docs, "wine", '"my docs"', "LIMIT 1") == [5]
    docs.execute('DROP TABLE "my docs"')
    sql = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"
    assert docs.execute(sql).fetchall() == []


# ---- The model ----


def test_without_the_model_texts_still_read(
    open_text: Connect, path: Path, sqlite: Any, model: Words
) -> None:
    conn = open_text(path)
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words')")
    conn.execute("INSERT INTO docs(content) VALUES ('fox'), ('hen')")
    conn.close()
    conn = open_text(path, Shelf({"other": Words()}))
    assert conn.execute("SELECT rowid, content FROM docs").fetchall() == [(1, "fox"), (2, "hen")]
    assert conn.execute("SELECT count(*) FROM docs").fetchone() == (2,)
    vector = model.embed_report(["hen"]).vectors[0].tobytes()
    sql = "SELECT content FROM docs WHERE vector MATCH ? LIMIT 1"
    assert conn.execute(sql, (vector,)).fetchall() == [("hen",)]
    message = "hnsw_text: model 'words' is not loaded. Loaded: other"
    for sql in (
        "INSERT INTO docs(content) VALUES ('cow')",
        "SELECT * FROM docs WHERE content MATCH 'x'",
    ):
        with pytest.raises(sqlite.OperationalError, match=message):
            conn.execute(sql).fetchall()
    conn.execute("DELETE FROM docs WHERE rowid = 1")
    conn.execute("DROP TABLE docs")


def test_another_file_of_the_same_name_is_refused(
    open_text: Connect, path: Path, sqlite: Any
) -> None:
    conn = open_text(path)
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='words')")
    conn.execute("INSERT INTO docs(content) VALUES ('fox')")
    conn = open_text(path, Shelf({"words": Words(sha256="b" * 64)}))
    message = r"made with another file of model 'words' \(sha256 aaaaaaaaaaaaaaaa.*re-embed with"
    with pytest.raises(sqlite.OperationalError, match=message):
        found(conn, "fox")


def test_a_path_that_a_file_names_is_not_opened(
    open_text: Connect, path: Path, sqlite: Any
) -> None:
    asked = []

    class Opens(Shelf):
        def __call__(self, db: Any, host: Host, name: str, caller: str) -> Words:
            asked.append(name)
            return Words()

    conn = open_text(path, Opens({}))
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='/models/x.gguf')")
    conn.execute("INSERT INTO docs(content) VALUES ('fox')")
    assert asked == ["/models/x.gguf"]  # the user named it
    conn = open_text(path, Opens({}))
    asked.clear()
    with pytest.raises(
        sqlite.OperationalError, match=r"was made with the model file '/models/x\.gguf'"
    ):
        found(conn, "fox")
    assert asked == []  # the file names it


def test_the_host_may_know_the_model_by_another_name(open_text: Connect, path: Path) -> None:
    model = Words()
    conn = open_text(path, Shelf({"/models/x.gguf": model}))
    conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='/models/x.gguf')")
    conn.execute("INSERT INTO docs(content) VALUES ('fox')")
    conn.close()
    conn = open_text(path)
    host = Host(models={"words": "/models/x.gguf"})
    attach(conn, [text_module(host, Shelf({"words": model}))])
    assert found(conn, "fox") == [1]


def test_creating_needs_the_model(open_text: Connect, sqlite: Any) -> None:
    conn = open_text(":memory:")
    with pytest.raises(
        sqlite.OperationalError, match=r"model 'wrods' is not loaded\. Loaded: words"
    ):
        conn.execute("CREATE VIRTUAL TABLE docs USING hnsw_text(model='wrods')")


# ---- External content ----


@pytest.fixture
def articles(open_text: Connect) -> Any:
    conn = open_text(":memory:")
    conn.execute("CREATE TABLE articles(id INTEGER PRIMARY KEY, title TEXT, body TEXT, year)")
    conn.execute(
        "INSERT INTO articles VALUES (1, 'fox', 'quick and brown', 1), (2, 'turtle', NULL, 2), "
        "(3, NULL, NULL, 3), (4, 'bread', 'brown too', 4)"
    )
    conn.execute(
        "CREATE VIRTUAL TABLE a USING hnsw_text(model='words', content='articles', "
        "content_column='title', content_column='body')"
    )
    conn.execute("INSERT INTO a(rowid) SELECT id FROM articles")
    return conn


def test_external_content_is_read_where_it_lives(articles: Any, model: Words) -> None:
    assert model.texts == ["fox\nquick and brown", "turtle", "bread\nbrown too"]
    assert found(articles, "brown", "a", "LIMIT 2") == [4, 1]
    rows = articles.execute("SELECT rowid, content FROM a").fetchall()
    assert rows[1:3] == [(2, "turtle"), (3, None)]
    names = [row[0] for row in articles.execute("SELECT name FROM sqlite_master")]
    assert "a_content" not in names


def test_rows_whose_source_is_gone_drop_out(articles: Any) -> None:
    articles.execute("DELETE FROM articles WHERE id = 4")
    assert found(articles, "brown", "a", "AND k = 1") == [1]
    assert found(articles, "brown", "a", "LIMIT 5") == [1, 2]
    assert found(articles, "brown", "a", "AND rowid IN (4, 2) AND k = 1") == [2]
    articles.execute("DELETE FROM articles")
    assert found(articles, "brown", "a", "AND k = 1") == []
    assert found(articles, "brown", "a", "") == []


def test_search_joins_the_source(articles: Any) -> None:
    sql = """
        SELECT articles.year, a.distance FROM a JOIN articles ON articles.id = a.rowid
        WHERE a.content MATCH 'brown bread' AND k = 2 ORDER BY a.distance
    """
    assert [row[0] for row in articles.execute(sql)] == [4, 1]


def test_external_content_needs_a_row_to_point_at(articles: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match="table 'articles' has no row 9"):
        articles.execute("INSERT INTO a(rowid) VALUES (9)")
    with pytest.raises(sqlite.OperationalError, match="give the rowid that the text has"):
        articles.execute("INSERT INTO a(content) VALUES ('x')")


def test_renumbered_rows_are_not_mistaken_for_others(open_text: Connect, path: Path) -> None:
    # VACUUM renumbers a table without INTEGER PRIMARY KEY: 3 of 6 rows get another's number.
    conn = open_text(path)
    conn.execute("CREATE TABLE notes(code TEXT PRIMARY KEY, note TEXT)")
    texts = ["ant", "bee", "cat", "dog", "eel", "fly"]
    conn.executemany("INSERT INTO notes VALUES (?, ?)", [(t[0], t) for t in texts])
    conn.execute(
        "CREATE VIRTUAL TABLE n USING hnsw_text(model='words', content=notes, content_column=note)"
    )
    conn.execute("INSERT INTO n(rowid) SELECT rowid FROM notes")
    conn.execute("DELETE FROM notes WHERE code IN ('a', 'b')")
    conn.execute("DROP TABLE IF EXISTS x")
    conn.execute("CREATE TABLE moved AS SELECT * FROM notes")
    conn.execute("DELETE FROM notes")
    conn.execute("INSERT INTO notes SELECT * FROM moved")  # as VACUUM may number them
    rows = conn.execute("SELECT rowid, content FROM n WHERE content MATCH 'cat'").fetchall()
    assert rows == []
    conn.execute("INSERT OR REPLACE INTO n(rowid) SELECT rowid FROM notes")
    rows = conn.execute("SELECT content FROM n WHERE content MATCH 'cat' AND k = 9").fetchall()
    assert [row[0] for row in rows][:1] == ["cat"]
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ("CREATE VIEW s AS SELECT 1 AS body", "'s' is a view: its rows have no lasting number"),
        ("CREATE TABLE s(body PRIMARY KEY) WITHOUT ROWID", "'s' is a WITHOUT ROWID table"),
        ("CREATE TABLE s(text)", "no column 'body' in table 's', it has: text"),
        ("CREATE TABLE t(body)", "no such table: s"),
        ("CREATE TABLE s(body, rowid, _rowid_, oid)", "columns named rowid, _rowid_ and oid"),
    ],
)
def test_sources_that_cannot_be_embedded(
    open_text: Connect, sqlite: Any, create: str, message: str
) -> None:
    conn = open_text(":memory:")
    conn.execute(create)
    with pytest.raises(sqlite.OperationalError, match=message):
        conn.execute(
            "CREATE VIRTUAL TABLE v USING hnsw_text(model=words, content=s, content_column=body)"
        )


def test_odd_names_of_source_and_columns(open_text: Connect) -> None:
    conn = open_text(":memory:")
    conn.execute(
        'CREATE TABLE "my ""docs"""("row id" INTEGER PRIMARY KEY, rowid TEXT, "the text" TEXT)'
    )
    conn.execute("INSERT INTO \"my \"\"docs\"\"\" VALUES (7, 'x', 'fox'), (8, 'y', 'hen')")
    conn.execute(
        "CREATE VIRTUAL TABLE v USING hnsw_text(model=words, content='my \"docs\"', "
        "content_column='the text')"
    )
    conn.execute('INSERT INTO v(rowid) SELECT "row id" FROM "my ""docs"""')
    assert conn.execute(
        "SELECT rowid, content FROM v WHERE content MATCH 'hen' LIMIT 1"
    ).fetchall() == [(8, "hen")]


def test_with_a_real_model(connect: Connect, minilm_path: Path) -> None:
    from sqlite_utils_muninn import load

    conn = connect()
    load(conn, Host(models={"MiniLM": str(minilm_path)}))
    conn.execute(
        "CREATE VIRTUAL TABLE docs USING hnsw_text(model='MiniLM', dim=384, metric=cosine, "
        "max_elements=100000)"
    )
    conn.execute(
        "INSERT INTO docs(rowid, content) VALUES (1, 'The quick brown fox'), "
        "(2, 'Income tax is due in spring'), (3, 'Bread is baked from flour'), (4, '')"
    )
    assert found(conn, "fast animal", more="LIMIT 1") == [1]
    assert found(conn, "government taxation", more="LIMIT 1") == [2]
    conn.execute("INSERT INTO docs(rowid, content) VALUES (5, ?)", ("word " * 2000,))
    assert conn.execute("SELECT rowid FROM docs WHERE truncated").fetchall() == [(5,)]
