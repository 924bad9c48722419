"""The SQL of models: names, embeddings, tokens, and what the host forbids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.interruption import interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REGISTER = "INSERT INTO temp.muninn_models(name, model) SELECT ?, muninn_embed_model(?)"


@pytest.fixture
def minilm(conn: Any, minilm_path: Path) -> Any:
    """A connection on which SQL has registered MiniLM."""
    conn.execute(REGISTER, ("MiniLM", str(minilm_path)))
    return conn


def one(conn: Any, sql: str, *parameters: Any) -> Any:
    return conn.execute(sql, parameters).fetchone()[0]


def vector(blob: bytes) -> np.ndarray:
    return np.frombuffer(blob, "<f4")


def names(conn: Any) -> list[str]:
    return [row[0] for row in conn.execute("SELECT name FROM temp.muninn_models")]


# ---- temp.muninn_models


def test_a_registered_model_says_what_it_is(minilm: Any, minilm_path: Path) -> None:
    sql = "SELECT * FROM temp.muninn_models"
    cursor = minilm.execute(sql)
    row = dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))
    assert row.pop("loaded") in (0, 1)
    assert row == {
        "name": "MiniLM",
        "dim": 384,
        "path": str(minilm_path),
        "architecture": "bert",
        "quantization": "F16",
        "pooling": "mean",
        "n_ctx": 512,
        "bytes": minilm_path.stat().st_size,
        "sha256": "7e01259cec4346ed6884939d130b8b103472ab310dc296a60cf1349d90e5541a",
    }
    one(minilm, "SELECT muninn_embed('MiniLM', 'now it is')")
    assert one(minilm, "SELECT loaded FROM muninn_models WHERE name = 'MiniLM'") == 1
    assert minilm.execute("SELECT * FROM muninn_models WHERE name = 'x'").fetchall() == []


def test_a_name_is_given_once(minilm: Any, sqlite: Any, minilm_path: Path) -> None:
    with pytest.raises(sqlite.OperationalError, match="model 'MiniLM' is already loaded"):
        minilm.execute(REGISTER, ("MiniLM", str(minilm_path)))
    values = ("MiniLM", str(minilm_path))
    minilm.execute(REGISTER.replace("INSERT", "INSERT OR IGNORE"), values)
    assert names(minilm) == ["MiniLM"]
    replace = REGISTER.replace("INSERT", "INSERT OR REPLACE").replace("(?)", "(?, 64)")
    minilm.execute(replace, values)
    assert minilm.execute("SELECT name, n_ctx FROM muninn_models").fetchall() == [("MiniLM", 64)]


def test_delete(minilm: Any, sqlite: Any) -> None:
    minilm.execute("DELETE FROM temp.muninn_models WHERE name = 'MiniLM'")
    assert names(minilm) == []
    with pytest.raises(sqlite.OperationalError, match="'MiniLM' is not loaded"):
        one(minilm, "SELECT muninn_embed('MiniLM', 'x')")


def test_update_is_refused(minilm: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match="inserted and deleted, not updated"):
        minilm.execute("UPDATE temp.muninn_models SET name = 'other'")


def test_transactions(minilm: Any, minilm_path: Path) -> None:
    minilm.execute("BEGIN")
    minilm.execute(REGISTER, ("a", str(minilm_path)))
    minilm.execute("SAVEPOINT s")
    minilm.execute(REGISTER, ("b", str(minilm_path)))
    minilm.execute("DELETE FROM temp.muninn_models WHERE name = 'MiniLM'")
    assert names(minilm) == ["a", "b"]
    minilm.execute("ROLLBACK TO s")
    assert names(minilm) == ["MiniLM", "a"]
    minilm.execute("ROLLBACK")
    assert names(minilm) == ["MiniLM"]
    minilm.execute("BEGIN")
    minilm.execute(REGISTER, ("a", str(minilm_path)))
    minilm.execute("COMMIT")
    assert names(minilm) == ["MiniLM", "a"]


def test_a_statement_that_fails_registers_nothing(minilm: Any, minilm_path: Path) -> None:
    both = "INSERT INTO temp.muninn_models(name, model) SELECT value, muninn_embed_model(?) "
    with pytest.raises(Exception, match="already loaded"):
        minilm.execute(both + 'FROM json_each(\'["a", "MiniLM"]\')', (str(minilm_path),))
    assert names(minilm) == ["MiniLM"]


def test_names_of_sql_belong_to_the_connection(
    minilm: Any, connect: Callable[..., Any], minilm_path: Path
) -> None:
    other = connect(models={"hosted": str(minilm_path)})
    assert names(other) == ["hosted"]
    assert one(other, "SELECT length(muninn_embed('hosted', 'x'))") == 4 * 384


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("'a path'", "result of muninn_embed_model"),
        ("NULL", "result of muninn_embed_model"),
        ("x'00'", "result of muninn_embed_model"),
        ("lembed_model_from_file('x')", "result of muninn_embed_model"),
    ],
)
def test_what_is_no_model(conn: Any, sqlite: Any, model: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        conn.execute(f"INSERT INTO temp.muninn_models(name, model) VALUES ('x', {model})")
    assert names(conn) == []


@pytest.mark.parametrize("name", [None, "", 5, b"x"])
def test_what_is_no_name(conn: Any, sqlite: Any, minilm_path: Path, name: object) -> None:
    with pytest.raises(sqlite.OperationalError, match="name must be a text"):
        conn.execute(REGISTER, (name, str(minilm_path)))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no/such/file.gguf", "failed to load /no/such/file.gguf: No such file"),
        ("no-such-model", "No model is named 'no-such-model'"),
        (__file__, "failed to load .*test_sql.py: not a GGUF file"),
        ("/", "No model is named '/'"),
    ],
)
def test_files_that_cannot_be_loaded(conn: Any, sqlite: Any, path: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        one(conn, "SELECT muninn_embed_model(?)", path)


def test_n_ctx_must_make_sense(conn: Any, sqlite: Any, minilm_path: Path) -> None:
    with pytest.raises(
        sqlite.OperationalError, match="muninn_embed_model: n_ctx must be 8 or more"
    ):
        one(conn, "SELECT muninn_embed_model(?, 0)", str(minilm_path))


# ---- Embeddings


def test_meaning(minilm: Any) -> None:
    sql = "SELECT muninn_embed('MiniLM', ?)"
    bread, loaf, stocks = (
        vector(one(minilm, sql, text))
        for text in ("How do I bake bread?", "A recipe for a loaf", "The stock market fell today")
    )
    assert len(bread) == 384
    assert np.linalg.norm(bread) == pytest.approx(1, abs=1e-5)
    assert bread @ loaf > 0.4
    assert bread @ stocks < 0.1


def test_null_in_null_out(minilm: Any) -> None:
    for sql in (
        "SELECT muninn_embed(NULL, 'x')",
        "SELECT muninn_embed('MiniLM', NULL)",
        "SELECT muninn_embed('no model', NULL)",
        "SELECT muninn_tokenize('MiniLM', NULL)",
        "SELECT muninn_token_count('MiniLM', NULL)",
        "SELECT muninn_model_dim(NULL)",
        "SELECT lembed(NULL)",
        "SELECT lembed('MiniLM', NULL)",
    ):
        assert one(minilm, sql) is None, sql


def test_optional_arguments(minilm: Any) -> None:
    plain = one(minilm, "SELECT muninn_embed('MiniLM', 'x')")
    assert one(minilm, "SELECT muninn_embed('MiniLM', 'x', 'document')") == plain
    assert one(minilm, "SELECT muninn_embed('MiniLM', 'x', NULL, NULL)") == plain
    cut = vector(one(minilm, "SELECT muninn_embed('MiniLM', 'x', NULL, 64)"))
    whole = vector(plain)[:64]
    assert np.allclose(cut, whole / np.linalg.norm(whole), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "muninn_embed('MiniLN', 'x')",
            "^muninn_embed: model 'MiniLN' is not loaded. Loaded: MiniLM$",
        ),
        (
            "muninn_embed('MiniLM', x'00')",
            "muninn_embed: argument 'text' must be text, got blob of 1",
        ),
        ("muninn_embed('MiniLM', 'x', 'who')", "muninn_embed: role must be 'query' or 'document'"),
        ("muninn_embed('MiniLM', 'x', NULL, 385)", "muninn_embed: dimensions must be 1 to 384"),
        ("muninn_embed('MiniLM', 'x', NULL, 'a')", "'dimensions' must be an integer, got text 'a'"),
        ("muninn_model_dim('x')", "muninn_model_dim: model 'x' is not loaded"),
        ("muninn_tokenize('x', 'y')", "muninn_tokenize: model 'x' is not loaded"),
    ],
)
def test_wrong_arguments(minilm: Any, sqlite: Any, call: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        one(minilm, f"SELECT {call}")


def test_batch(minilm: Any) -> None:
    texts = ["a river", None, "", "the same river", "x " * 900]
    sql = "SELECT idx, embedding FROM muninn_embed_batch('MiniLM', ?)"
    rows = minilm.execute(sql, (json.dumps(texts),)).fetchall()
    assert [row[0] for row in rows] == [0, 1, 2, 3, 4]
    for text, (_, blob) in zip(texts, rows, strict=True):
        single = one(minilm, "SELECT muninn_embed('MiniLM', ?)", text)
        assert (blob is None) == (single is None)
        if blob:
            assert np.abs(vector(blob) - vector(single)).max() < 1e-3
    assert minilm.execute(sql, ("[]",)).fetchall() == []
    hidden = (
        "SELECT count(*) FROM muninn_embed_batch WHERE model = 'MiniLM' AND texts_json = '[\"a\"]'"
    )
    assert one(minilm, hidden) == 1


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("{", "it is not JSON"),
        ("{}", "got a JSON object"),
        ('"x"', "got a JSON string"),
        ('["x", 5]', "item 1 is a JSON number"),
        ("[" * 100_000, "nested too deeply|not JSON"),
    ],
)
def test_batches_that_are_none(minilm: Any, sqlite: Any, texts: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        minilm.execute("SELECT * FROM muninn_embed_batch('MiniLM', ?)", (texts,)).fetchall()


def test_tokens(minilm: Any) -> None:
    assert one(minilm, "SELECT muninn_model_dim('MiniLM')") == 384
    assert one(minilm, "SELECT muninn_tokenize('MiniLM', 'playing guitars')") == (
        "[101,2652,7334,102]"
    )
    pieces = one(minilm, "SELECT muninn_tokenize_text('MiniLM', 'playing guitars')")
    assert json.loads(pieces) == ["[CLS]", " playing", " guitars", "[SEP]"]
    assert one(minilm, "SELECT muninn_token_count('MiniLM', 'playing guitars')") == 4
    sql = "SELECT value FROM json_each(muninn_tokenize('MiniLM', 'playing'))"
    assert minilm.execute(sql).fetchall() == [(101,), (2652,), (102,)]
    assert one(minilm, "SELECT json_array(muninn_tokenize('MiniLM', ''))") == "[[101,102]]"


def test_views_and_triggers_may_embed_but_name_no_file(minilm: Any, sqlite: Any) -> None:
    minilm.executescript(
        """
        CREATE TABLE docs(body, vector);
        CREATE TRIGGER embeds AFTER INSERT ON docs BEGIN
            UPDATE docs SET vector = muninn_embed('MiniLM', new.body) WHERE rowid = new.rowid;
        END;
        CREATE VIEW files AS SELECT muninn_embed_model('/etc/passwd') AS model;
        """
    )
    minilm.execute("INSERT INTO docs(body) VALUES ('a river')")
    assert one(minilm, "SELECT length(vector) FROM docs") == 4 * 384
    with pytest.raises(sqlite.OperationalError, match="unsafe use"):
        one(minilm, "SELECT model FROM files")


def test_a_path_is_a_model_where_the_host_allows(conn: Any, minilm_path: Path) -> None:
    assert one(conn, "SELECT length(muninn_embed(?, 'x'))", str(minilm_path)) == 4 * 384


def test_installed_models_need_no_registration(
    connect: Callable[..., Any], minilm_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "all-MiniLM-L6-v2.f16.gguf").symlink_to(minilm_path)
    conn = connect(models_directory=tmp_path)
    for name in ("all-MiniLM-L6-v2", "MiniLM", "minilm"):
        assert one(conn, "SELECT length(muninn_embed(?, 'x'))", name) == 4 * 384


def test_a_known_model_that_is_not_here_says_how_to_get_it(conn: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match=r"models pull nomic-embed-text-v1.5"):
        one(conn, "SELECT muninn_embed('nomic', 'x')")


# ---- Time, threads


def test_interrupt_stops_a_batch(minilm: Any, sqlite: Any) -> None:
    texts = json.dumps(["a text of some words " * 10] * 5000)
    sql = "SELECT * FROM muninn_embed_batch('MiniLM', begun(?))"
    with (
        interrupted(minilm, 0.4) as interruption,
        pytest.raises(sqlite.OperationalError, match=r"^interrupted$"),
    ):
        minilm.execute(sql, (texts,)).fetchall()
    assert interruption.cpu_seconds < 2  # all of it takes more than 50
    assert one(minilm, "SELECT length(muninn_embed('MiniLM', 'x'))") == 4 * 384


def test_a_progress_handler_stops_a_batch(minilm: Any, sqlite: Any) -> None:
    """Datasette's time limit is one, and SQLite does not run it inside a function."""
    texts = json.dumps(["a text of some words " * 10] * 5000)
    deadline = time.monotonic() + 0.3
    minilm.set_progress_handler(lambda: time.monotonic() > deadline, 50)
    with pytest.raises(sqlite.OperationalError, match=r"^interrupted$"):
        minilm.execute("SELECT * FROM muninn_embed_batch('MiniLM', ?)", (texts,)).fetchall()
    minilm.set_progress_handler(None, 50)


def test_sixteen_connections_in_sixteen_threads(
    connect: Callable[..., Any], minilm_path: Path
) -> None:
    conns = [connect(models={"m": str(minilm_path)}) for _ in range(16)]
    texts = [f"text number {number} about rivers" for number in range(16)]
    expected = [one(conns[0], "SELECT muninn_embed('m', ?)", text) for text in texts]
    found: list[list[bytes]] = [[] for _ in conns]

    def ask(number: int) -> None:
        for _ in range(4):
            found[number].append(one(conns[number], "SELECT muninn_embed('m', ?)", texts[number]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for right, answers in zip(expected, found, strict=True):
        assert len(answers) == 4
        for answer in answers:
            assert np.abs(vector(answer) - vector(right)).max() < 1e-3


def test_read_only_databases(
    connect: Callable[..., Any], tmp_path: Path, minilm_path: Path
) -> None:
    path = tmp_path / "data.db"
    connect(path).execute("CREATE TABLE t(x)")
    for options in ("mode=ro", "immutable=1"):
        conn = connect(f"file:{path}?{options}", uri=True)
        conn.execute(REGISTER, ("m", str(minilm_path)))
        assert names(conn) == ["m"]
        assert one(conn, "SELECT length(muninn_embed('m', 'x'))") == 4 * 384


# ---- What the host forbids


def test_a_public_host(connect: Callable[..., Any], sqlite: Any, minilm_path: Path) -> None:
    conn = connect(public=True, models={"m": str(minilm_path)})
    assert one(conn, "SELECT length(muninn_embed('m', 'x'))") == 4 * 384
    for sql in (
        "SELECT muninn_embed_model('x.gguf')",
        "INSERT INTO temp.muninn_models(name, model) VALUES ('a', 'b')",
        "DELETE FROM temp.muninn_models",
        "SELECT lembed_model_from_file('x.gguf')",
    ):
        with pytest.raises(sqlite.OperationalError, match="on this connection"):
            conn.execute(sql).fetchall()
    with pytest.raises(sqlite.OperationalError, match=r"is not loaded. Loaded: m$"):
        one(conn, "SELECT muninn_embed(?, 'x')", str(minilm_path))
    assert conn.execute("SELECT name, dim, path FROM muninn_models").fetchall() == [
        ("m", 384, None)
    ]


def test_errors_of_a_public_host_name_no_file(
    connect: Callable[..., Any], sqlite: Any, tmp_path: Path
) -> None:
    conn = connect(public=True, models={"m": str(tmp_path / "gone.gguf")})
    with pytest.raises(
        sqlite.OperationalError, match=r"^muninn_embed: model 'm' cannot be loaded$"
    ):
        one(conn, "SELECT muninn_embed('m', 'x')")
    assert conn.execute("SELECT * FROM muninn_models").fetchall() == [("m", *[None] * 9)]


def test_names_of_the_host_stay(
    connect: Callable[..., Any], sqlite: Any, minilm_path: Path
) -> None:
    conn = connect(models={"m": str(minilm_path)})
    with pytest.raises(sqlite.OperationalError, match="host registered cannot be deleted"):
        conn.execute("DELETE FROM temp.muninn_models WHERE name = 'm'")
    with pytest.raises(sqlite.OperationalError, match="already loaded"):
        conn.execute(REGISTER, ("m", str(minilm_path)))
    conn.execute(
        REGISTER.replace("INSERT", "INSERT OR REPLACE"),
        ("m", str(minilm_path)),
    )
    assert names(conn) == ["m"]
    conn.execute("DELETE FROM temp.muninn_models WHERE name = 'm'")
    assert names(conn) == ["m"]


def test_limits(connect: Callable[..., Any], sqlite: Any, minilm_path: Path) -> None:
    conn = connect(models={"m": str(minilm_path)}, max_text=20, max_rows=3, max_seconds=0.3)
    with pytest.raises(
        sqlite.OperationalError, match="muninn_embed: text has 21 characters, at most"
    ):
        one(conn, "SELECT muninn_embed('m', ?)", "x" * 21)
    for call in ("tokenize", "tokenize_text", "token_count"):
        with pytest.raises(sqlite.OperationalError, match=f"muninn_{call}: text has 21 char"):
            one(conn, f"SELECT muninn_{call}('m', ?)", "x" * 21)
    batch = "SELECT count(*) FROM muninn_embed_batch('m', ?)"
    assert one(conn, batch, json.dumps(["x"] * 3)) == 3
    with pytest.raises(sqlite.OperationalError, match="4 rows asked for, at most 3"):
        one(conn, batch, json.dumps(["x"] * 4))
    with pytest.raises(sqlite.OperationalError, match="text has 21 characters"):
        one(conn, batch, json.dumps(["x" * 21]))
    slow = connect(models={"m": str(minilm_path)}, max_seconds=0.3)
    with pytest.raises(sqlite.OperationalError, match=r"stopped after 0.3 seconds"):
        one(slow, batch, json.dumps(["some words " * 30] * 3000))


# ---- Without llama-cpp-python


def test_without_llama_everything_registers_and_says_what_to_install(
    minilm_path: Path, tmp_path: Path
) -> None:
    program = """
        import sqlite3, sys
        sys.modules["llama_cpp"] = None  # what an import of a missing package finds
        from pathlib import Path
        from sqlite_utils_muninn import loading
        from sqlite_utils_muninn.settings import Host
        loading.ROOMS = ("models",)
        conn = sqlite3.connect(":memory:")
        loading.load(conn, Host(models={"m": sys.argv[1]}, models_directory=Path(sys.argv[2])))
        print(conn.execute("SELECT name, dim FROM muninn_models").fetchall())
        for sql in ("embed('m', ?)", "token_count('m', ?)", "embed_model(?)"):
            try:
                conn.execute(f"SELECT muninn_{sql}", sys.argv[1:2]).fetchall()
            except sqlite3.OperationalError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(minilm_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "MUNINN_ENCODER": "llama.cpp",  # as where the CPU or the model wants it
        },
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "[('m', 384)]"
    assert len(lines) == 4
    assert all("pip install 'datasette-muninn[llama]'" in line for line in lines[1:])
