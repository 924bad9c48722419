"""A search where the model is not: words and letters are compared, and that is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlite_utils import Database

from sqlite_utils_muninn import Host, connect
from sqlite_utils_muninn.vectors.similar import NotEmbeddedError, similar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTES = ("the cat sleeps", "shares fell sharply", "knead the dough", "a sharp fall of share prices")


@pytest.fixture
def notes(run: Any, news: Path, sql: Any) -> Path:
    """A file with a table `notes`, embedded by the model `tiny`."""
    sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)")
    for note in NOTES:
        sql("INSERT INTO notes(note) VALUES (?)", note)
    assert run("embed", news, "notes", "note", "-m", "tiny", "-s").exit_code == 0
    return news


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A models directory in which there is no model."""
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


@pytest.fixture
def without(empty: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection to the notes that has no model."""
    conn = connect(notes, Host(models_directory=empty))
    yield conn
    conn.close()


def ids(found: Any) -> list[int]:
    return [match.rowid for match in found]


def test_the_command_falls_back_and_says_so(
    run: Any, notes: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUNINN_MODELS_DIR", str(empty))
    result = run("similar", notes, "notes", "sharp shares", "-n", 2)
    assert result.exit_code == 0
    assert [row["id"] for row in json.loads(result.stdout)] == [2, 4]
    assert "model 'tiny' is not loaded" in result.stderr
    assert "words and spelling are compared, not meaning" in result.stderr


def test_misspelt_words_are_found_by_their_letters(without: Any) -> None:
    with pytest.warns(UserWarning, match="not meaning"):
        found = similar(without, "notes", "sharply shraes fel", 1)
    assert (ids(found), found[0].by) == ([2], "letters")
    assert found[0].score == pytest.approx(1 - found[0].distance)


@pytest.mark.parametrize("version", ["FTS5", "FTS4"])
def test_full_text_comes_first(without: Any, version: str) -> None:
    Database(without, execute_plugins=False).table("notes").enable_fts(
        ["note"], fts_version=version, tokenize="porter"
    )
    said: list[str] = []
    found = similar(without, "notes", "falling dough, (sharply)", 4, say=said.append)
    assert {match.rowid: match.by for match in found[:3]} == {2: "words", 3: "words", 4: "words"}
    assert [match.score for match in found[:3]] == sorted(
        (match.score for match in found[:3]), reverse=True
    )
    assert len(said) == 1


@pytest.mark.parametrize("query", ["", "?!", '"', "a AND", "NEAR(", "\x00"])
def test_no_query_is_an_error_of_syntax(without: Any, query: str) -> None:
    Database(without, execute_plugins=False).table("notes").enable_fts(["note"])
    assert isinstance(similar(without, "notes", query, say=lambda _: None), list)


def test_a_table_of_its_own_texts_is_searched(without: Any, notes: Path, sql: Any) -> None:
    sql("CREATE VIRTUAL TABLE own USING hnsw_text(model='tiny')")
    sql("INSERT INTO own(rowid, content) VALUES (7, 'a raven'), (8, 'an owl')")
    assert ids(similar(without, "own", "ravens", say=lambda _: None)) == [7]


def test_with_no_model_at_all_every_text_is_searched(without: Any) -> None:
    said: list[str] = []
    found = similar(without, "articles", "body number 77", 1, say=said.append)
    assert ids(found) == [77]
    assert "no model is installed" in said[0]
    with pytest.raises(NotEmbeddedError, match="'nothing' is not embedded"):
        similar(without, "nothing", "x")


def test_a_model_that_fails_is_not_replaced(
    run: Any, notes: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file must be seen, not searched around."""
    (empty / "tiny.gguf").write_bytes(b"GGUF\3\0\0\0 and no more")
    monkeypatch.setenv("MUNINN_MODELS_DIR", str(empty))
    result = run("similar", notes, "notes", "shares")
    assert (result.exit_code, "tiny.gguf" in result.stderr) == (1, True), result.output
