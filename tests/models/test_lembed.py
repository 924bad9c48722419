"""Statements written for sqlite-lembed 0.0.1a8 run; what it answers with abort() is an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REGISTER = "INSERT INTO temp.lembed_models(name, model) VALUES (?, lembed_model_from_file(?))"


@pytest.fixture
def lembed(conn: Any, minilm_path: Path) -> Any:
    conn.execute(REGISTER, ("default", str(minilm_path)))
    return conn


def one(conn: Any, sql: str, *parameters: Any) -> Any:
    return conn.execute(sql, parameters).fetchone()[0]


def test_lembed(lembed: Any, minilm_path: Path) -> None:
    """The model's own pooling. Its own test wants -0.092: that is the last token alone."""
    lembed.execute(REGISTER, ("aaa", str(minilm_path)))
    named = one(lembed, "SELECT lembed('aaa', 'alex garcia')")
    assert one(lembed, "SELECT lembed('alex garcia')") == named
    assert np.frombuffer(named, "<f4")[0] == pytest.approx(-0.015266, abs=1e-3)


def test_no_default_model(conn: Any, sqlite: Any) -> None:
    said = "No default model has been registered yet with lembed_models"
    with pytest.raises(sqlite.OperationalError, match=said):
        one(conn, "SELECT lembed('alex garcia')")


def test_a_model_without_a_name_is_the_default(conn: Any, minilm_path: Path) -> None:
    """As llamafile's statements have it; the fault was "name must be a text"."""
    conn.execute("INSERT INTO temp.lembed_models(model) VALUES (?)", (str(minilm_path),))
    assert one(conn, "SELECT length(lembed('alex garcia'))") == 4 * 384


def test_a_trigger_opens_no_file(conn: Any, sqlite: Any, minilm_path: Path) -> None:
    """A database may come from anybody; the fault would be that it names files to open."""
    conn.executescript(
        "CREATE TABLE t (path); CREATE TRIGGER opens AFTER INSERT ON t BEGIN "
        "INSERT INTO lembed_models(model) VALUES (new.path); END"
    )
    with pytest.raises(sqlite.OperationalError, match="unsafe use of virtual table"):
        conn.execute("INSERT INTO t VALUES (?)", (str(minilm_path),))


def test_unknown_model(lembed: Any, sqlite: Any) -> None:
    with pytest.raises(sqlite.OperationalError, match="lembed: model 'aaaaaaaaa' is not loaded"):
        one(lembed, "SELECT lembed('aaaaaaaaa', 'alex garcia')")


def test_one_registry_stands_behind_both_tables(lembed: Any, minilm_path: Path) -> None:
    assert one(lembed, "SELECT length(muninn_embed('default', 'x'))") == 4 * 384
    lembed.execute(
        "INSERT INTO temp.muninn_models(name, model) SELECT 'm', muninn_embed_model(?)",
        (str(minilm_path),),
    )
    assert one(lembed, "SELECT length(lembed('m', 'x'))") == 4 * 384
    rows = lembed.execute("SELECT name FROM temp.lembed_models").fetchall()
    assert rows == [("default",), ("m",)]
    lembed.execute("DELETE FROM temp.lembed_models WHERE name = 'm'")
    assert lembed.execute("SELECT name FROM temp.muninn_models").fetchall() == [("default",)]


def test_both_tables_in_one_transaction(lembed: Any, minilm_path: Path) -> None:
    path = str(minilm_path)
    muninn = "INSERT INTO temp.muninn_models(name, model) SELECT ?, muninn_embed_model(?)"
    lembed.execute("BEGIN")
    lembed.execute(REGISTER, ("a", path))
    lembed.execute(muninn, ("b", path))
    lembed.execute("ROLLBACK")
    assert lembed.execute("SELECT name FROM temp.muninn_models").fetchall() == [("default",)]


def test_options(conn: Any, minilm_path: Path) -> None:
    conn.execute(
        """
        INSERT INTO temp.lembed_models(name, model, model_options, context_options)
        SELECT 'default', lembed_model_from_file(?),
               lembed_model_options('n_gpu_layers', 99),
               lembed_context_options('n_ctx', 64, 'seed', 1)
        """,
        (str(minilm_path),),
    )
    assert one(conn, "SELECT n_ctx FROM muninn_models") == 64


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("lembed_model_options('n_ctx', 1)", "unknown option 'n_ctx'"),
        ("lembed_model_options('n_gpu_layers')", "pairs of key and value"),
        ("lembed_context_options('n_ctx', 'x')", "n_ctx must be an integer"),
        ("lembed_context_options(5, 5)", "unknown option 5"),
    ],
)
def test_options_that_are_none(conn: Any, sqlite: Any, call: str, said: str) -> None:
    with pytest.raises(sqlite.OperationalError, match=said):
        one(conn, f"SELECT {call}")


@pytest.mark.parametrize(
    "values",
    [
        "'path.gguf', NULL, NULL",
        "lembed_model_from_file('x.gguf'), 'x', NULL",
        "lembed_model_from_file('x.gguf'), lembed_context_options(), NULL",
        "lembed_model_from_file('x.gguf'), NULL, NULL",
    ],
)
def test_models_that_are_none(conn: Any, sqlite: Any, values: str) -> None:
    columns = "name, model, model_options, context_options"
    with pytest.raises(sqlite.OperationalError, match=r"must be the result|failed to load"):
        conn.execute(f"INSERT INTO temp.lembed_models({columns}) VALUES ('x', {values})")
    assert conn.execute("SELECT * FROM temp.lembed_models").fetchall() == []


def test_size(lembed: Any) -> None:
    sql = "SELECT lembed_model_size(model) FROM temp.lembed_models"
    assert 40_000_000 < one(lembed, sql) < 50_000_000


def test_tokens(lembed: Any, sqlite: Any) -> None:
    assert one(lembed, "SELECT lembed_tokenize_json('default', 'alex garcia')") == (
        "[101,4074,7439,102]"
    )
    sql = "SELECT lembed_token_to_piece('default', ?)"
    assert [one(lembed, sql, token) for token in (4074, 102)] == [" alex", None]
    assert isinstance(one(lembed, "SELECT lembed_token_score('default', 4074)"), float)
    for call in ("lembed_token_score", "lembed_token_to_piece"):
        for token in (-1, 30522, 1 << 40):
            with pytest.raises(sqlite.OperationalError, match=f"{call}: token must be 0 to 30521"):
                one(lembed, f"SELECT {call}('default', ?)", token)


def test_chunks(lembed: Any, sqlite: Any) -> None:
    source = "alex garcia simon willison 1 2 3 4     5 " + "incomprehensibilities" * 9
    sql = "SELECT contents, token_count FROM lembed_chunks(?, ?)"
    for size in (1, 5, 100):
        rows = lembed.execute(sql, (source, size)).fetchall()
        assert "".join(row[0] for row in rows) == source
        for contents, count in rows:
            tokens = json.loads(one(lembed, "SELECT lembed_tokenize_json('default', ?)", contents))
            assert count == len(tokens) - 2
            assert count <= size or len(contents) == 1
    assert lembed.execute(sql, ("", 5)).fetchall() == []
    with pytest.raises(sqlite.OperationalError, match="chunk_size must be 1 or more, got 0"):
        lembed.execute(sql, (source, 0)).fetchall()


def test_stays_away_where_sqlite_lembed_is(
    sqlite: Any, minilm_path: Path, connect: Callable[..., Any]
) -> None:
    """The real extension is known by lembed_version(); ours does not have it."""
    from sqlite_utils_muninn.bridge import attach
    from sqlite_utils_muninn.models import sql
    from sqlite_utils_muninn.settings import Host

    conn = sqlite.connect(":memory:")
    conn.create_function("lembed_version", 0, lambda: "v0.0.1-alpha.8")
    attach(conn, sql.surface(Host()))
    with pytest.raises(sqlite.OperationalError, match="no such function: lembed"):
        conn.execute("SELECT lembed('x')")
    assert one(conn, "SELECT muninn_token_count(NULL, NULL)") is None
    conn.close()
