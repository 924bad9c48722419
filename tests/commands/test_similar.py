"""sqlite-utils similar: rows of the source table by meaning, in sqlite-utils' formats."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def embedded(run: Any, news: Path) -> Path:
    result = run("embed", news, "articles", "title", "body", "-m", "tiny", "-s")
    assert result.exit_code == 0, result.output
    return news


def test_rows_come_with_their_score_best_first(run: Any, embedded: Path) -> None:
    rows = json.loads(run("similar", embedded, "articles", "body number 7").output)
    assert len(rows) == 10
    assert list(rows[0]) == ["score", "id", "title", "body"]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)


def test_the_order_is_that_of_sql(run: Any, embedded: Path, sql: Any) -> None:
    rows = json.loads(run("similar", embedded, "articles", "some words", "-n", 5).output)
    expected = sql("SELECT rowid FROM articles_vectors WHERE content MATCH 'some words' LIMIT 5")
    assert [(row["id"],) for row in rows] == expected


def test_rows_of_a_vector_table_have_their_number(run: Any, news: Path, sql: Any) -> None:
    """The fault: texts of its own came without rowid, and with "distance": null."""
    sql("CREATE VIRTUAL TABLE own USING hnsw_text(model=tiny, +year INT)")
    sql("INSERT INTO own(rowid, content, year) VALUES (7, 'bread', 1999)")
    (row,) = json.loads(run("similar", news, "OWN", "bread").output)
    assert row == {"score": 1.0, "rowid": 7, "content": "bread", "year": 1999}
    (row,) = json.loads(run("similar", news, "own", "bread", "-c", "year").output)
    assert row == {"score": 1.0, "year": 1999}


def test_output_options_are_those_of_sqlite_utils(run: Any, embedded: Path) -> None:
    def output(*options: str) -> str:
        result = run("similar", embedded, "articles", "x", "-n", 2, "-c", "id", *options)
        assert result.exit_code == 0, result.output
        return result.output

    expected = json.loads(output())
    assert [json.loads(line) for line in output("--nl").splitlines()] == expected
    assert next(csv.reader(io.StringIO(output("--csv")))) == ["score", "id"]
    assert output("--tsv").startswith("score\tid\n")
    assert json.loads(output("--arrays")) == [list(row.values()) for row in expected]
    assert "score" in output("--table")
    assert output("--fmt", "github").startswith("|")


def test_nothing_is_like_an_empty_query(run: Any, embedded: Path) -> None:
    result = run("similar", embedded, "articles", " ")
    assert result.exit_code == 2
    assert "Invalid value for QUERY: it is empty" in result.output


def test_a_table_that_is_not_embedded_says_what_to_do(run: Any, news: Path) -> None:
    result = run("similar", news, "articles", "x")
    assert (result.exit_code, result.output) == (
        1,
        "Error: table 'articles' is not embedded: sqlite-utils embed PATH articles COLUMN\n",
    )


def test_rows_deleted_since_are_left_out(run: Any, embedded: Path, sql: Any) -> None:
    first = json.loads(run("similar", embedded, "articles", "x", "-n", 3).output)
    sql("DELETE FROM articles WHERE id = ?", first[0]["id"])
    rows = json.loads(run("similar", embedded, "articles", "x", "-n", 2).output)
    assert rows == first[1:]


def test_the_model_finds_meaning(
    run: Any, news: Path, sql: Any, minilm_path: Path, tmp_path: Path
) -> None:
    sql("CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)")
    for note in ("the cat sleeps", "shares fell sharply", "knead the dough"):
        sql("INSERT INTO notes(note) VALUES (?)", note)
    run("muninn", "models", "add", "mini", minilm_path)
    run("embed", news, "notes", "note", "-m", "mini", "-s")
    for query, expected in (("pets", 1), ("stock market", 2), ("baking bread", 3)):
        rows = json.loads(run("similar", news, "notes", query, "-n", 1).output)
        assert rows[0]["id"] == expected, query


def test_a_model_file_is_named_by_the_user(run: Any, news: Path, tmp_path: Path) -> None:
    """The fault: what embed --model x.gguf had made could not be searched on the command line."""
    from tests.tiny_gguf import Bert

    file, moved = Bert(3).write(tmp_path / "x.gguf"), tmp_path / "moved.gguf"
    made = run("embed", news, "articles", "title", "body", "-m", file, "-s")
    assert made.exit_code == 0, made.output
    asked = ("similar", news, "articles", "body number 7", "-n", 1)
    refused = run(*asked)
    assert (refused.exit_code, "--model FILE" in refused.output) == (1, True)
    moved.write_bytes(file.read_bytes())  # the bytes count, not the place
    for named in (file, moved):
        found = run(*asked, "-m", named)
        assert found.exit_code == 0, found.output
        assert json.loads(found.output)[0]["score"] > 0
    assert run(*asked, "-m", Bert(4).write(tmp_path / "other.gguf")).exit_code == 1
    # Nor does a database say what embed opens.
    again = run("embed", news, "articles", "title", "body", "-s")
    assert (again.exit_code, "name it yourself, with --model" in again.output) == (1, True)
    assert run("embed", news, "articles", "title", "body", "-m", file, "-s").exit_code == 0
    assert run(*asked, "-m", tmp_path / "none.gguf").exit_code == 1
