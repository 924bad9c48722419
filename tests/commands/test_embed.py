"""sqlite-utils embed: only what needs it, however the last run ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import connect

if TYPE_CHECKING:
    from pathlib import Path


def embedded(sql: Any, table: str = "articles_vectors") -> int:
    return sql(f"SELECT count(*) FROM {table}")[0][0]


def test_first_and_second_run(run: Any, news: Path, sql: Any) -> None:
    first = run("embed", news, "articles", "title", "body", "-m", "tiny")
    assert first.exit_code == 0, first.output
    assert "articles_vectors: embedded 1,200 rows in" in first.output
    assert "rows/s" in first.output
    assert embedded(sql) == 1200
    again = run("embed", news, "articles", "title", "body", "-m", "tiny")
    assert again.output.strip() == "articles_vectors: nothing to do, 1,200 rows embedded already"


def test_vectors_are_those_of_the_text(run: Any, news: Path, sql: Any) -> None:
    run("embed", news, "articles", "title", "body", "-m", "tiny", "-s")
    stored, expected = sql(
        "SELECT vector, muninn_embed('tiny', 'title 7' || char(10) || 'body number 7', 'document') "
        "FROM articles_vectors WHERE rowid = 7"
    )[0]
    (distance,) = sql(
        "SELECT distance FROM articles_vectors WHERE vector MATCH ? AND k = 1", expected
    )[0]
    assert len(stored) == len(expected) == 4 * 32
    assert abs(distance) < 1e-4


def test_only_new_and_changed_rows_are_embedded_and_vanished_ones_dropped(
    run: Any, news: Path, sql: Any
) -> None:
    run("embed", news, "articles", "body", "-m", "tiny", "-s")
    sql("INSERT INTO articles VALUES (5000, 'new', 'a new body')")
    sql("UPDATE articles SET body = 'changed' WHERE id IN (3, 4)")
    sql("UPDATE articles SET title = 'another title' WHERE id = 5")
    sql("UPDATE articles SET body = NULL WHERE id = 6")
    sql("DELETE FROM articles WHERE id > 100 AND id < 111")
    plan = run("embed", news, "articles", "body", "-m", "tiny", "--dry-run")
    assert plan.output.strip() == (
        "articles_vectors: would embed 1 new and 2 changed rows, drop 11, keep 1,187; "
        "1 without text"
    )
    before = dict(sql("SELECT rowid, vector FROM articles_vectors"))
    done = run("embed", news, "articles", "body", "-m", "tiny")
    assert "embedded 3 rows" in done.output
    assert "dropped 11 rows that are gone" in done.output
    after = dict(sql("SELECT rowid, vector FROM articles_vectors"))
    assert after.keys() == (before.keys() - set(range(101, 111)) - {6}) | {5000}
    assert {id_ for id_ in after if after[id_] != before.get(id_)} == {3, 4, 5000}


def test_where_limits_a_run_and_forgets_nothing(run: Any, news: Path, sql: Any) -> None:
    run("embed", news, "articles", "body", "-m", "tiny", "-s", "--where", "id <= 10")
    assert embedded(sql) == 10
    run("embed", news, "articles", "body", "-m", "tiny", "-s", "--where", "id = 1200")
    assert embedded(sql) == 11


def test_rows_that_where_left_out_are_told(run: Any, news: Path, sql: Any) -> None:
    """The fault: they were told as waiting, for ever."""
    run("embed", news, "articles", "body", "-m", "tiny", "-s", "--where", "id <= 10")
    (row,) = json.loads(run("muninn", "index", news).output)
    assert (row["waiting"], row["left_out"], row["where"]) == (0, 1190, "id <= 10")
    said = run("embed", news, "articles", "body", "--dry-run").output
    assert "would embed 1,190 new" in said, "without --where all are embedded"


def test_dry_run_writes_nothing(run: Any, news: Path, sql: Any) -> None:
    before = sql("SELECT name FROM sqlite_master")
    result = run("embed", news, "articles", "body", "-m", "tiny", "--dry-run")
    assert "would embed 1,200 new and 0 changed rows" in result.output
    assert sql("SELECT name FROM sqlite_master") == before


def test_name_and_dimensions(run: Any, news: Path, sql: Any) -> None:
    options = ("--name", "short", "--dimensions", "8", "-m", "tiny", "-s")
    assert run("embed", news, "articles", "body", *options).exit_code == 0
    assert sql("SELECT length(vector) FROM short LIMIT 1") == [(32,)]


def test_another_model_needs_force(run: Any, news: Path, sql: Any) -> None:
    run("embed", news, "articles", "body", "-m", "tiny", "-s")
    refused = run("embed", news, "articles", "body", "-m", "other")
    assert refused.exit_code == 1
    assert "was made with another model file (tiny); --force embeds everything anew" in (
        refused.output
    )
    assert run("embed", news, "articles", "body", "-m", "other", "--force", "-s").exit_code == 0
    assert embedded(sql) == 1200
    assert sql("SELECT value FROM articles_vectors_config WHERE key = 'model'") == [("other",)]


def test_silent_says_nothing(run: Any, news: Path) -> None:
    assert run("embed", news, "articles", "body", "-m", "tiny", "-s").output == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "x"), "no such table: nowhere"),
        (("articles", "x"), "no column 'x' in table 'articles', it has: id, title, body"),
        (("articles", "body", "-m", "huge"), "model 'huge' is not loaded. Loaded: "),
        (("articles", "body", "--dimensions", "33"), "dim must be 1 to 32"),
        (("articles", "body", "--where", "nope = 1"), "no such column: "),
        (("articles", "body", "--name", "articles"), "there is a table 'articles' already"),
        (("keyless", "x"), "'keyless' is a WITHOUT ROWID table"),
        (("shown", "x"), "'shown' is a view"),
        (("blobs", "b"), "column 'b' holds a blob"),
    ],
)
def test_what_cannot_be_embedded_says_why(
    run: Any, news: Path, sql: Any, arguments: tuple[str, ...], message: str
) -> None:
    sql("CREATE TABLE keyless (x TEXT PRIMARY KEY) WITHOUT ROWID")
    sql("CREATE VIEW shown AS SELECT body AS x FROM articles")
    sql("CREATE TABLE blobs (id INTEGER PRIMARY KEY, b)")
    sql("INSERT INTO blobs VALUES (1, x'00')")
    model = () if "-m" in arguments else ("-m", "tiny")
    result = run("embed", news, *arguments, *model)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert "Traceback" not in result.output
    tables = {name for (name,) in sql("SELECT name FROM sqlite_master WHERE name LIKE '%vectors%'")}
    assert tables == set()


def test_a_file_that_is_no_database(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    result = run("embed", path, "t", "x", "-m", "tiny")
    assert (result.exit_code, result.output) == (1, f"Error: {path}: file is not a database\n")


@pytest.mark.parametrize("key", ["name TEXT PRIMARY KEY", "name TEXT, PRIMARY KEY (name, body)"])
def test_tables_with_other_keys_are_embedded_with_a_warning(
    run: Any, news: Path, sql: Any, key: str
) -> None:
    columns = "body TEXT, " + key if "KEY (" in key else f"{key}, body TEXT"
    sql(f"CREATE TABLE people ({columns})")
    sql("INSERT INTO people (name, body) VALUES ('ann', 'an astronomer'), ('bob', 'a baker')")
    result = run("embed", news, "people", "body", "-m", "tiny")
    assert result.exit_code == 0, result.output
    assert "has no INTEGER PRIMARY KEY: VACUUM may renumber its rows" in result.output
    assert embedded(sql, "people_vectors") == 2


@pytest.mark.parametrize("words", [("embed", "{}", "articles"), ("muninn", "index", "{}")])
def test_a_table_of_another_version_is_called_so(
    run: Any, news: Path, sql: Any, words: tuple[str, ...]
) -> None:
    """The fault: "no such table: main.articles_vectors_rows"."""
    run("embed", news, "articles", "body", "-m", "tiny")
    sql("ALTER TABLE articles_vectors_rows RENAME TO articles_vectors_as_it_was")
    sql("UPDATE articles_vectors_config SET value = '2' WHERE key = 'format'")
    result = run(*(word.format(news) for word in words))
    assert result.exit_code == 1
    assert "'articles_vectors' was made by another version of this program" in result.output


def test_an_interrupted_run_goes_on_where_it_stopped(
    run: Any, news: Path, sql: Any, installed: Path
) -> None:
    """Ctrl-C in the real program: what was committed stays, and the next run does the rest."""
    conn = connect(news)
    conn.execute("INSERT INTO articles SELECT id + 2000, title, body || ' more' FROM articles")
    conn.execute("INSERT INTO articles SELECT id + 4000, title, body || ' more' FROM articles")
    conn.commit()
    conn.close()
    program = [sys.executable, "-m", "sqlite_utils", "embed", str(news), "articles", "title"]
    process = subprocess.Popen(
        [*program, "-m", "tiny", "--batch-size", "20"],
        env={**os.environ, "MUNINN_MODELS_DIR": str(installed), "MUNINN_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    done = 0
    until = time.monotonic() + 60
    while done < 100 and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
        tables = sql("SELECT count(*) FROM sqlite_master WHERE name = 'articles_vectors_nodes'")
        done = sql("SELECT count(*) FROM articles_vectors_nodes")[0][0] if tables[0][0] else 0
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    stopped = embedded(sql)
    assert 100 <= stopped < 4800, errors
    assert "rows; run it again to go on" in errors
    result = run("embed", news, "articles", "title", "-m", "tiny")
    assert f"embedded {4800 - stopped:,} rows" in result.output
    assert embedded(sql) == 4800


def test_a_table_that_keeps_its_texts_gets_another_model(run: Any, news: Path, sql: Any) -> None:
    sql("CREATE VIRTUAL TABLE notes USING hnsw_text(model=tiny, +year INT)")
    sql("INSERT INTO notes(rowid, content, year) SELECT id, body, 2000 FROM articles")
    assert run("embed", news, "notes").output == (
        "notes: nothing to do, 1,200 rows embedded already\n"
    )
    refused = run("embed", news, "notes", "-m", "other")
    assert "'notes' was made with another model file (tiny); --force embeds" in refused.output
    plan = run("embed", news, "notes", "-m", "other", "--force", "--dry-run")
    assert plan.output.startswith("notes: would embed 1,200 new and 0 changed rows")
    result = run("embed", news, "notes", "-m", "other", "--force")
    assert "notes: embedded 1,200 rows in" in result.output
    assert sql("SELECT value FROM notes_config WHERE key = 'model'") == [("other",)]
    assert sql("SELECT count(*), sum(year) FROM notes") == [(1200, 1200 * 2000)]


def test_the_passage_that_was_found_is_shown(run: Any, news: Path, sql: Any) -> None:
    query = "Remember the raven, remember the raven, remember."
    body = f"Search the graph, search the graph, search. {query} " * 2
    sql("UPDATE articles SET body = ? WHERE id = 7", body)
    run("embed", news, "articles", "body", "-m", "tiny", "-s", "--max-tokens", "16")
    found = json.loads(run("similar", news, "articles", query, "-n", "1", "-c", "id").output)
    assert found == [{"score": 1.0, "passage": query, "id": 7}]


def test_without_a_model_named_the_tables_own_is_used(run: Any, news: Path, sql: Any) -> None:
    run("embed", news, "articles", "body", "-m", "tiny", "-s")
    sql("INSERT INTO articles VALUES (5000, 'new', 'a new body')")
    assert "embedded 1 row in" in run("embed", news, "articles", "body").output


def test_columns_that_are_embedded_need_not_be_named_again(run: Any, news: Path, sql: Any) -> None:
    assert "name at least one column to embed" in run("embed", news, "articles").output
    run("embed", news, "articles", "title", "body", "-m", "tiny", "--name", "meaning", "-s")
    sql("INSERT INTO articles VALUES (5000, 'new', 'a new body'), (5001, 'x', 'y')")
    assert "meaning: embedded 2 rows in" in run("embed", news, "articles").output
    result = run("embed", news, "meaning", "-m", "other", "--force")
    assert "meaning: embedded 1,202 rows in" in result.output
    run("embed", news, "articles", "body", "-m", "tiny", "-s")
    assert "name at least one column to embed" in run("embed", news, "articles").output
