"""sqlite-utils muninn detach: a file for those who have not the plugin."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn import connect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def filled(run: Any, news: Path, sql: Any) -> Path:
    """An embedded table, texts of its own, vectors with metadata, and a full-text table."""
    result = run("embed", news, "articles", "title", "-m", "tiny", "-s")
    assert result.exit_code == 0, result.output
    sql("CREATE TABLE notes(code TEXT PRIMARY KEY, note TEXT)")
    sql("INSERT INTO notes VALUES ('a', 'ant'), ('b', 'bee')")
    run("embed", news, "notes", "note", "-m", "tiny", "-s")
    sql("CREATE VIRTUAL TABLE own USING hnsw_text(model=tiny)")
    sql("INSERT INTO own(rowid, content) VALUES (-5, 'bread'), (6, NULL)")
    sql('CREATE VIRTUAL TABLE points USING hnsw_index(dimensions=2, +"the name" TEXT, +year)')
    vector = np.array([1, 2], "<f4").tobytes()
    sql("INSERT INTO points(rowid, vector, \"the name\", year) VALUES (7, ?, 'x', 1999)", vector)
    sql("CREATE VIRTUAL TABLE words USING fts5(body)")
    return news


def plain(path: Path, statement: str) -> list[Any]:
    """Rows that a program without the plugin reads."""
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(statement).fetchall()


def test_the_copy_needs_no_plugin(run: Any, filled: Path, sql: Any, tmp_path: Path) -> None:
    out = tmp_path / "plain.db"
    before = filled.read_bytes()
    result = run("muninn", "detach", filled, out)
    assert result.exit_code == 0, result.output
    assert "articles_vectors: 1,200 rows" in result.output
    assert filled.read_bytes() == before
    virtual = plain(out, "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage = 0")
    assert virtual == [("words",)]
    left = plain(out, "SELECT name FROM sqlite_master WHERE name LIKE '%muninn%'")
    assert [name for (name,) in left if name.startswith("_muninn")] == []
    assert plain(out, "PRAGMA integrity_check") == [("ok",)]
    assert plain(out, "SELECT * FROM articles_vectors") == sql(
        "SELECT rowid, vector FROM articles_vectors ORDER BY rowid"
    )
    own = plain(out, "SELECT id, length(vector), content FROM own")
    assert own == [(-5, 128, "bread"), (6, None, None)]
    assert plain(out, "SELECT id, content FROM notes_vectors") == [(1, "ant"), (2, "bee")]
    vector = np.array([1, 2], "<f4").tobytes()
    assert plain(out, "SELECT * FROM points") == [(7, vector, "x", 1999)]
    about = 'SELECT "table", source, columns, model, rows FROM muninn_detached ORDER BY 1'
    assert plain(out, about) == [
        ("articles_vectors", "articles", "title", "tiny", 1200),
        ("notes_vectors", "notes", "note", "tiny", 2),
        ("own", None, None, "tiny", 2),
        ("points", None, None, None, 1),
    ]
    with closing(sqlite3.connect(out)) as conn:
        conn.execute("UPDATE articles SET title = 'written' WHERE id = 1")


def test_passages_and_metadata_are_plain_too(
    run: Any, news: Path, sql: Any, tmp_path: Path
) -> None:
    long = "A first sentence of eight words is this. Then comes another one of that kind."
    sql("UPDATE articles SET body = ? WHERE id = 7", long)
    result = run("embed", news, "articles", "body", "-m", "tiny", "-s", "--max-tokens", "16")
    assert result.exit_code == 0, result.output
    sql("CREATE VIRTUAL TABLE own USING hnsw_text(model=tiny, chunk=true, +year INT)")
    sql("INSERT INTO own(rowid, content, year) VALUES (3, ?, 1999)", long)
    sql("UPDATE articles SET body = 'changed' WHERE id = 8")
    out = tmp_path / "plain.db"
    result = run("muninn", "detach", news, out)
    assert result.exit_code == 0, result.output
    assert "articles_vectors: 1,199 rows" in result.output
    assert plain(out, "SELECT * FROM own") == [(3, long, 1999)]
    assert plain(out, "SELECT count(*), min(id), max(id) FROM articles_vectors") == [
        (1199, 1, 1200)
    ]
    rows = plain(
        out,
        'SELECT "start", "end", length(vector) FROM articles_vectors_passages '
        'WHERE "row" = 7 ORDER BY id',
    )
    assert len(rows) > 1
    assert (rows[0][0], rows[-1][1]) == (0, len(long))
    assert {size for *_, size in rows} == {128}
    assert plain(out, 'SELECT count(*) FROM articles_vectors_passages WHERE "row" = 8') == [(0,)]
    about = 'SELECT source, model, left_out FROM muninn_detached WHERE "table" = ?'
    names = [("articles_vectors",), ("articles_vectors_passages",)]
    with closing(sqlite3.connect(out)) as conn:
        found = [conn.execute(about, name).fetchone() for name in names]
    assert found == [("articles", "tiny", 1), ("articles_vectors", "tiny", 0)]


def test_the_copy_is_one_file_of_about_the_same_size(
    run: Any, filled: Path, sql: Any, tmp_path: Path
) -> None:
    sql("PRAGMA journal_mode = WAL")
    out = tmp_path / "plain.db"
    assert run("muninn", "detach", filled, out, "-s").output == ""
    assert sorted(tmp_path.glob("plain.db*")) == [out]
    assert plain(out, "PRAGMA journal_mode") == [("delete",)]
    assert out.stat().st_size < 1.3 * filled.stat().st_size


def test_old_vectors_are_not_copied(run: Any, filled: Path, sql: Any, tmp_path: Path) -> None:
    sql("UPDATE articles SET title = 'other' WHERE id IN (3, 4)")
    sql("DELETE FROM articles WHERE id = 5")
    out = tmp_path / "plain.db"
    run("muninn", "detach", filled, out)
    sql_text = "SELECT count(*), sum(id IN (3, 4, 5)) FROM articles_vectors"
    assert plain(out, sql_text) == [(1197, 0)]
    about = "SELECT rows, left_out FROM muninn_detached WHERE source = 'articles'"
    assert plain(out, about) == [(1197, 3)]


def test_a_writer_meanwhile_does_not_tear_the_copy(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: tables copied after the file, from another state of it."""
    from sqlite_utils_muninn.vectors import detach

    writer = connect(filled)
    writer.execute("PRAGMA journal_mode = WAL")
    copy = detach._make_plain

    def written_meanwhile(*arguments: Any) -> Any:
        with writer:
            writer.execute("DELETE FROM points")
            writer.execute("DELETE FROM own")
        return copy(*arguments)

    monkeypatch.setattr(detach, "_make_plain", written_meanwhile)
    out = tmp_path / "plain.db"
    with closing(connect(filled)) as conn:
        counts, others = detach.detach(conn, out, connect)
    writer.close()
    assert (counts["points"], counts["own"], others) == (1, 2, [])
    assert plain(out, "SELECT count(*) FROM points") == [(1,)]


def test_failures_leave_nothing(run: Any, filled: Path, sql: Any, tmp_path: Path) -> None:
    out = tmp_path / "plain.db"
    out.write_text("mine")
    result = run("muninn", "detach", filled, out)
    assert result.exit_code == 1
    assert f"{out} is there already" in result.output
    assert out.read_text() == "mine"
    out.unlink()
    sql("DROP TABLE articles")
    result = run("muninn", "detach", filled, out)
    assert "belong to nothing (no such table: articles): drop it first" in result.output
    sql("DROP TABLE articles_vectors")
    sql("DELETE FROM points_config")
    result = run("muninn", "detach", filled, out)
    assert result.exit_code == 1
    assert "table 'points' is damaged and cannot be copied" in result.output
    assert not list(tmp_path.glob("plain.db*"))


def test_a_copy_can_be_copied_again(run: Any, filled: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "plain.db", tmp_path / "again.db"
    assert run("muninn", "detach", filled, first).exit_code == 0
    result = run("muninn", "detach", first, again)
    assert result.exit_code == 0, result.output
    told = 'SELECT "table", rows FROM muninn_detached ORDER BY 1'
    assert plain(again, told) == plain(first, told)
    nowhere = run("muninn", "detach", filled, tmp_path / "no" / "plain.db")
    assert "there is no directory" in nowhere.output


def test_a_file_without_vectors_is_copied(run: Any, news: Path, tmp_path: Path) -> None:
    out = tmp_path / "plain.db"
    result = run("muninn", "detach", news, out)
    assert "no vector tables" in result.output
    assert plain(out, "SELECT count(*) FROM articles") == [(1200,)]
