"""sqlite-utils muninn import: what other programs made, from files as they make them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import string
import struct
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import connect
from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.vectors.sqlite_vec import load_sqlite_vec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def blob(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return tmp_path / "new.db"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return tmp_path / "old.db"


@pytest.fixture
def ask(new: Path) -> Callable[..., list[Any]]:
    """Runs SQL on the new file."""

    def execute(sql: str, *parameters: Any) -> list[Any]:
        with closing(connect(new, isolation_level=None)) as conn:
            return conn.execute(sql, parameters).fetchall()

    return execute


# ---- sqlite-muninn ----

# As sqlite-muninn 0.6.0 makes them; the module of that name is not at hand when they are made.
MUNINN = """
CREATE TABLE "{t}_config" (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE "{t}_nodes" (  id INTEGER PRIMARY KEY,  vector BLOB NOT NULL,  level INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE "{t}_edges" (  source_id INTEGER NOT NULL,  target_id INTEGER NOT NULL,
  level INTEGER NOT NULL,  distance REAL NOT NULL,  PRIMARY KEY (source_id, level, target_id))
  WITHOUT ROWID;
CREATE INDEX "{t}_edges_rev" ON "{t}_edges"(target_id, level);
INSERT INTO "{t}_config" VALUES ('dimensions','2'),('metric','{metric}'),('m','8'),
  ('ef_construction','50'),('entry_point','1'),('max_level','1');
PRAGMA writable_schema = ON;
INSERT INTO sqlite_master VALUES('table', '{name}', '{name}', 0,
  'CREATE VIRTUAL TABLE {name} USING hnsw_index(dimensions=2, metric=''l2'', m=8)');
"""


def muninn_file(path: Path, rows: int, metric: int = 0, name: str = "my_vecs") -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(MUNINN.format(t="my_vecs", name=name, metric=metric))
        conn.executemany(
            "INSERT INTO my_vecs_nodes VALUES (?, ?, 0, ?)",
            ((2 * i - 5, blob(i, 1), i % 10 == 3) for i in range(rows)),
        )
        conn.commit()


def test_a_table_of_sqlite_muninn(run: Any, new: Path, old: Path, ask: Any) -> None:
    muninn_file(old, 2500)
    before = hashlib.sha256(old.read_bytes()).digest()
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert result.output == "v: imported 2,250 rows\n"
    assert hashlib.sha256(old.read_bytes()).digest() == before
    sql = "SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 2"
    assert ask(sql, blob(100, 1)) == [(195, 0.0), (193, 1.0)]
    assert ask("SELECT count(*) FROM v WHERE rowid = 1") == [(0,)]  # it was deleted
    (made,) = ask("SELECT sql FROM sqlite_master WHERE name = 'v'")[0]
    assert made.endswith("(dimensions=2, metric=l2, m=8, ef_construction=50)")
    again = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert again.output == "v: imported 0 rows, 2,250 were there already\n"


@pytest.mark.parametrize(("number", "name"), [(0, "l2"), (1, "cosine"), (2, "inner_product")])
def test_metrics_of_sqlite_muninn(
    run: Any, new: Path, old: Path, ask: Any, number: int, name: str
) -> None:
    muninn_file(old, 5, number)
    run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs", "-s")
    assert ask("SELECT value FROM v_config WHERE key = 'metric'") == [(name,)]


def test_an_interrupted_import_goes_on(
    run: Any, new: Path, old: Path, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlite_utils_muninn.vectors.imports import run as importing

    muninn_file(old, 3000)
    monkeypatch.setattr(importing, "BATCH", 400)
    store, left = importing._store, [4]

    def stopped(*arguments: Any, **options: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        store(*arguments, **options)

    monkeypatch.setattr(importing, "_store", stopped)
    assert run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs").exit_code == 1
    assert ask("SELECT count(*) FROM v") == [(1400,)]  # blocks of 1,000, batches of 400
    monkeypatch.setattr(importing, "_store", store)
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert result.output == "v: imported 1,300 rows, 1,400 were there already\n"
    ask("INSERT INTO v(v) VALUES ('integrity-check')")


@pytest.mark.parametrize("fault", [ValueError("it cannot be read"), KeyboardInterrupt()])
def test_an_import_of_nothing_leaves_no_new_file(
    run: Any, new: Path, old: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """The fault: a mistyped name, or Ctrl-C, left an empty database behind."""
    from sqlite_utils_muninn.vectors.imports import run as importing

    muninn_file(old, 10)
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "no_vecs")
    assert (result.exit_code, new.exists()) == (1, False)
    assert run("muninn", "import", "llm", new, "v", old).exit_code == 1
    assert not new.exists()

    def stopped(*arguments: Any, **options: Any) -> None:
        raise fault

    monkeypatch.setattr(importing, "_store", stopped)  # the table is made by then
    assert run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs").exit_code == 1
    assert not new.exists()
    assert old.exists()


def test_a_failed_import_deletes_no_file_that_was_there(run: Any, new: Path, old: Path) -> None:
    muninn_file(old, 10)
    new.write_bytes(b"")
    assert run("muninn", "import", "sqlite-muninn", new, "v", old, "no_vecs").exit_code == 1
    assert new.exists()
    new.write_bytes(b"no database, but somebody's" * 100)
    assert run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs").exit_code == 1
    assert new.stat().st_size == 2700


def test_replace_imports_anew(run: Any, new: Path, old: Path, ask: Any) -> None:
    muninn_file(old, 3)
    run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    with closing(sqlite3.connect(old)) as conn:
        conn.execute("UPDATE my_vecs_nodes SET vector = ? WHERE id = -5", (blob(9, 9),))
        conn.commit()
    run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert ask("SELECT vector FROM v WHERE rowid = -5") == [(blob(0, 1),)]
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs", "--replace")
    assert result.output == "v: imported 3 rows\n"
    assert ask("SELECT vector FROM v WHERE rowid = -5") == [(blob(9, 9),)]


def test_what_is_no_vector_is_left_out_and_said(run: Any, new: Path, old: Path, ask: Any) -> None:
    muninn_file(old, 3)
    with closing(sqlite3.connect(old)) as conn:
        conn.execute("UPDATE my_vecs_nodes SET vector = ? WHERE id = -5", (blob(float("nan"), 1),))
        conn.execute("UPDATE my_vecs_nodes SET vector = x'00' WHERE id = -3")
        conn.commit()
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert result.output == "v: imported 1 row, 2 left out that have no usable vector\n"


def test_within_one_file_and_after_a_rename(run: Any, old: Path) -> None:
    """Their shadow tables keep the old name when the table is renamed."""
    muninn_file(old, 4, name="renamed")
    for source in ("renamed", "my_vecs"):
        result = run("muninn", "import", "sqlite-muninn", old, f"v_{source}", old, source)
        assert result.output == f"v_{source}: imported 3 rows\n"


# ---- sqlite-vec ----


def vec_file(path: Path, statements: list[tuple[str, Any]]) -> None:
    """A file that sqlite-vec itself writes."""
    with closing(connect(path, isolation_level=None)) as conn:
        load_sqlite_vec(attach(conn))
        conn.execute("PRAGMA synchronous = OFF")
        for sql, rows in statements:
            conn.executemany(sql, rows) if rows else conn.execute(sql)


DOCS = """
CREATE VIRTUAL TABLE docs USING vec0(
  user_id integer partition key, doc_id integer primary key, -- a comment, and a comma
  embedding float[2] distance_metric=cosine, year integer, genre text, rating float, ok boolean,
  +contents text, +picture blob, title float32[3], small int8[4], chunk_size=16)
"""
INSERT = (
    "INSERT INTO docs(user_id, doc_id, embedding, year, genre, rating, ok, contents, picture, "
    "title, small) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, vec_int8(x'01020304'))"
)


def doc(i: int) -> tuple[Any, ...]:
    genre = "é" * (i % 20)  # shorter and longer than the 12 bytes that are kept in place
    return (i % 3, 3 * i - 7, blob(i, 1), -i, genre, i / 4, i % 2, f"text {i}", b"\0" * i)


@pytest.fixture
def docs(old: Path) -> Path:
    rows = [(*doc(i), blob(i, i, 2)) for i in range(100)]
    gone = [(doc(i)[1],) for i in (0, 17, 18, 99)]
    vec_file(old, [(DOCS, None), (INSERT, rows), ("DELETE FROM docs WHERE doc_id = ?", gone)])
    return old


def test_a_vec0_table_with_all_its_columns(run: Any, docs: Path, new: Path, ask: Any) -> None:
    result = run("muninn", "import", "sqlite-vec", new, "v", docs, "docs", "--column", "embedding")
    assert result.output == "v: imported 96 rows\n", result.output
    columns = "user_id, rowid, vector, year, genre, rating, ok, contents, picture"
    expected = [doc(i) for i in range(100) if i not in (0, 17, 18, 99)]
    assert ask(f"SELECT {columns} FROM v ORDER BY rowid") == expected
    sql = "SELECT rowid, year FROM v WHERE vector MATCH ? AND k = 2 AND user_id = 2 AND ok = 1"
    nearest = [i for i in range(99, 0, -1) if i % 3 == 2 and i % 2 and i not in (17, 99)][:2]
    assert ask(sql, blob(99, 1)) == [(3 * i - 7, -i) for i in nearest]
    result = run("muninn", "import", "sqlite-vec", new, "t", docs, "docs", "--column", "title")
    assert ask("SELECT vector FROM t WHERE rowid = 8") == [(blob(5, 5, 2),)]


def test_keys_of_text_and_names_that_are_taken(run: Any, old: Path, new: Path, ask: Any) -> None:
    vec_file(
        old,
        [
            ("CREATE VIRTUAL TABLE t USING vec0(id text primary key, v float[2], content text)", 0),
            ("INSERT INTO t VALUES (?, ?, ?)", [("a", "[1, 2]", "A"), ("b", "[3, 4]", "B")]),
        ],
    )
    run("muninn", "import", "sqlite-vec", new, "v", old, "t")
    assert ask("SELECT rowid, id_, vector, content_ FROM v") == [
        (1, "a", blob(1, 2), "A"),
        (2, "b", blob(3, 4), "B"),
    ]


def test_a_vec0_table_that_was_renamed(run: Any, docs: Path, new: Path, ask: Any) -> None:
    with closing(connect(docs, isolation_level=None)) as conn:
        load_sqlite_vec(attach(conn))
        conn.execute("ALTER TABLE docs RENAME TO papers")
    run("muninn", "import", "sqlite-vec", new, "v", docs, "papers", "--column", "title")
    assert ask("SELECT count(*) FROM v") == [(96,)]


# ---- llm ----

# As llm 0.36 makes them.
LLM = """
CREATE TABLE "collections" ("id" INTEGER PRIMARY KEY, "name" TEXT, "model" TEXT);
CREATE UNIQUE INDEX "idx_collections_name" ON "collections" ("name");
CREATE TABLE "embeddings" ("collection_id" INTEGER REFERENCES "collections"("id"), "id" TEXT,
  "embedding" BLOB, "content" TEXT, "content_blob" BLOB, "content_hash" BLOB, "metadata" TEXT,
  "updated" INTEGER, PRIMARY KEY ("collection_id", "id"));
INSERT INTO collections VALUES (1, 'phrases', 'demo'), (2, 'others', 'demo');
INSERT INTO embeddings(collection_id, id, embedding) VALUES (2, 'x', x'0000803f');
"""


@pytest.fixture
def phrases(old: Path, run: Any) -> list[tuple[Any, ...]]:
    """A collection whose vectors are those of the model `tiny`, not of length 1."""
    with closing(connect(":memory:")) as conn:
        sql = "SELECT muninn_embed('tiny', ?)"
        texts = {f"key/{x}": f"search the {x} graph" for x in string.ascii_lowercase}
        rows = []
        for key, text in texts.items():
            (vector,) = conn.execute(sql, (text,)).fetchone()
            longer = blob(*(3 * x for x in struct.unpack(f"<{len(vector) // 4}f", vector)))
            rows.append((1, key, longer, text, json.dumps({"n": key})))
    rows.append((1, "no text", rows[0][2], None, None))
    with closing(sqlite3.connect(old)) as conn:
        conn.executescript(LLM)
        conn.executemany(
            "INSERT INTO embeddings(collection_id, id, embedding, content, metadata) "
            "VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        conn.commit()
    return rows


def test_a_collection_of_llm(run: Any, phrases: Any, old: Path, new: Path, ask: Any) -> None:
    result = run("muninn", "import", "llm", new, "notes", old, "phrases")
    assert result.output == "notes: imported 27 rows\n", result.output
    expected = sorted((key, text, more) for _, key, _, text, more in phrases)
    assert ask("SELECT key, content, metadata FROM notes ORDER BY key") == expected
    sql = (
        "SELECT key FROM notes_vectors JOIN notes ON notes.id = notes_vectors.rowid "
        "WHERE vector MATCH ? AND k = 1 ORDER BY distance"
    )
    assert ask(sql, phrases[7][2]) == [("key/h",)]
    again = run("muninn", "import", "llm", new, "notes", old, "phrases")
    assert again.output == "notes: imported 0 rows, 27 were there already\n"


def test_a_collection_that_a_model_here_searches(
    run: Any, phrases: Any, old: Path, new: Path, ask: Any
) -> None:
    result = run("muninn", "import", "llm", new, "notes", old, "phrases", "-m", "tiny")
    assert result.output == "notes: imported 27 rows\n", result.output
    found = run("similar", new, "notes", "search the m graph", "-n", "1", "-c", "key")
    assert json.loads(found.output)[0]["key"] == "key/m"
    embedded = run("embed", new, "notes", "content", "-m", "tiny")
    assert "nothing to do, 26 rows embedded already" in embedded.output
    result = run("muninn", "import", "llm", new, "more", old, "phrases", "-m", "other")
    assert result.exit_code == 1
    assert "are not those of model 'other': a text's two have a cosine of" in result.output
    assert ask("SELECT name FROM sqlite_master WHERE name LIKE 'more%'") == []


def test_large_tables_end_with_a_saved_index(
    run: Any, phrases: Any, old: Path, new: Path, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite_utils_muninn.vectors.index.index.SCANNED_FLOATS", 100)
    assert run("muninn", "import", "llm", new, "notes", old, "phrases").exit_code == 0
    assert ask("SELECT count(*) > 0 FROM notes_vectors_edges") == [(1,)]
    assert ask("SELECT count(*) FROM notes_vectors WHERE vector MATCH ? AND k = 5", phrases[0][2])


def test_a_file_of_llm_itself(run: Any, old: Path, new: Path, ask: Any) -> None:
    """Made by the real program, where it is installed."""
    llm = pytest.importorskip("llm", reason="llm is not installed")
    import sqlite_utils

    class Model(llm.EmbeddingModel):
        model_id = "letters"

        def embed_batch(self, items: Any) -> Any:
            return ([float(item.count(letter)) for letter in "aeiou"] for item in items)

    made = llm.Collection("c", sqlite_utils.Database(old), model=Model())
    made.embed("one", "an aardvark", metadata={"a": 1}, store=True)
    made.embed_multi([("two", "ooh"), ("three", "eel")], store=True)
    assert run("muninn", "import", "llm", new, "notes", old).exit_code == 0
    rows = ask(
        "SELECT key, content, metadata, vector FROM notes JOIN notes_vectors v ON v.rowid = id"
    )
    assert sorted(rows)[0] == ("one", "an aardvark", '{"a": 1}', blob(4, 0, 0, 0, 0))


# ---- What cannot be imported ----


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("sqlite-muninn", ("plain",), "'plain' is no table of sqlite-muninn: the file has none"),
        ("sqlite-vec", ("plain",), "'plain' is no vec0 table: there are docs"),
        ("sqlite-vec", ("docs",), "hold float vectors: embedding, title; choose one with --column"),
        ("sqlite-vec", ("docs", "--column", "small"), "embedding, title; not 'small'"),
        ("llm", (), "this is no file of llm's embeddings: it has no collections"),
    ],
)
def test_what_cannot_be_imported_says_why(
    run: Any, docs: Path, new: Path, kind: str, arguments: tuple[str, ...], message: str
) -> None:
    with closing(sqlite3.connect(docs)) as conn:
        conn.execute("CREATE TABLE plain(x)")
    result = run("muninn", "import", kind, new, "v", docs, *arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_metrics_that_are_not_known_here(run: Any, old: Path, new: Path, ask: Any) -> None:
    vec_file(old, [("CREATE VIRTUAL TABLE t USING vec0(v float[2] distance_metric=L1)", None)])
    result = run("muninn", "import", "sqlite-vec", new, "v", old, "t")
    assert "has the metric 'l1', which is not known here" in result.output
    run("muninn", "import", "sqlite-vec", new, "v", old, "t", "--metric", "l2")
    assert ask("SELECT value FROM v_config WHERE key = 'metric'") == [("l2",)]


def test_a_table_that_is_there_and_another_one(run: Any, old: Path, new: Path, ask: Any) -> None:
    muninn_file(old, 5)
    ask("CREATE TABLE taken(x)")
    ask("CREATE VIRTUAL TABLE v USING hnsw_index(dimensions=3)")
    result = run("muninn", "import", "sqlite-muninn", new, "taken", old, "my_vecs")
    assert "there is a table 'taken' already, of another kind" in result.output
    result = run("muninn", "import", "sqlite-muninn", new, "v", old, "my_vecs")
    assert "'v' is there already, and is not one of 2 dimensions, metric l2" in result.output


def test_collections_to_choose_from(run: Any, phrases: Any, old: Path, new: Path) -> None:
    result = run("muninn", "import", "llm", new, "notes", old)
    assert "collections of this file: others, phrases; name one" in result.output
    result = run("muninn", "import", "llm", new, "notes", old, "phases")
    assert "collections of this file: others, phrases; not 'phases'" in result.output


@pytest.mark.parametrize(
    "value",
    [
        "'text'",
        *(
            pytest.param(value, marks=pytest.mark.long)
            for value in ("NULL", "x'00'", "17", "1e300", "zeroblob(100)")
        ),
    ],
)
def test_whatever_a_source_holds_is_no_crash(
    run: Any, docs: Path, new: Path, value: str, tmp_path: Path
) -> None:
    """A value of any type in any column of the tables behind: an error, or rows left out."""
    notes = tmp_path / "llm.db"
    with closing(sqlite3.connect(notes)) as conn:
        conn.executescript(LLM)
    vecs = tmp_path / "muninn.db"
    muninn_file(vecs, 5)
    for kind, path, source in (
        ("sqlite-vec", docs, ("docs", "--column", "title")),
        ("sqlite-muninn", vecs, ("my_vecs",)),
        ("llm", notes, ("others",)),
    ):
        with closing(sqlite3.connect(path)) as conn:
            sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
            names = [row[0] for row in conn.execute(sql) if "sqlite_" not in row[0]]
            columns = {n: [r[1] for r in conn.execute(f"PRAGMA table_info({n})")] for n in names}
        for table, column in ((t, c) for t in names for c in columns[t]):
            copy = tmp_path / "copy.db"
            copy.write_bytes(path.read_bytes())
            with closing(sqlite3.connect(copy)) as conn, suppress(sqlite3.Error):
                conn.execute(f'UPDATE OR IGNORE "{table}" SET "{column}" = {value}')
                conn.commit()
            result = run("muninn", "import", kind, new, "v", copy, *source)
            assert result.exception is None or isinstance(result.exception, SystemExit), (
                table,
                column,
                result.output,
            )
            new.unlink(missing_ok=True)


def test_damaged_sources_are_refused(run: Any, docs: Path, new: Path) -> None:
    for damage in (
        "UPDATE docs_vector_chunks00 SET vectors = x'00'",
        "UPDATE docs_chunks SET rowids = x'000000'",
        "UPDATE docs_metadatachunks00 SET data = 'text'",
        "DROP TABLE docs_auxiliary",
    ):
        with closing(sqlite3.connect(docs)) as conn:
            conn.execute(damage)
            conn.commit()
        result = run("muninn", "import", "sqlite-vec", new, "v", docs, "docs", "--column", "title")
        name = "title" if "00 SET vectors" not in damage else "embedding"
        result = run("muninn", "import", "sqlite-vec", new, name, docs, "docs", "--column", name)
        assert result.exit_code == 1
        assert "damaged" in result.output or "no such table" in result.output
