"""sqlite-utils muninn index: what is true of a vector table, and mending it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn import connect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def embedded(run: Any, news: Path) -> Path:
    result = run("embed", news, "articles", "title", "-m", "tiny", "-s")
    assert result.exit_code == 0, result.output
    return news


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """Two tables of random vectors: one for a scan, one for a graph."""
    path = tmp_path / "points.db"
    conn = connect(path)
    random = np.random.default_rng(1)
    for name, count, size in (("few", 50, 8), ("many", 2_100, 1_000)):
        conn.execute(
            f"CREATE VIRTUAL TABLE {name} USING hnsw_index(dimensions={size}, metric=cosine)"
        )
        rows = random.standard_normal((count, size), dtype=np.float32)
        conn.executemany(
            f"INSERT INTO {name}(rowid, vector) VALUES (?, ?)",
            ((i, row.tobytes()) for i, row in enumerate(rows)),
        )
    conn.commit()
    conn.close()
    return path


def shown(run: Any, *arguments: Any) -> list[dict[str, Any]]:
    result = run("muninn", "index", *arguments)
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.output)
    return rows


def test_an_embedded_table(run: Any, embedded: Path, sql: Any) -> None:
    (row,) = shown(run, embedded, "articles")
    assert row["memory"] > 1200 * 32 * 4
    assert row["log"] > 1200
    assert {**row, "memory": 0, "log": 0} == {
        "table": "articles_vectors",
        "kind": "hnsw_text",
        "source": "articles",
        "model": "tiny",
        "rows": 1200,
        "vectors": 1200,
        "dimensions": 32,
        "metric": "cosine",
        "engine": "exact scan",
        "memory": 0,
        "log": 0,
        "saved": None,
        "truncated": 0,
        "waiting": 0,
        "left_out": 0,
        "where": None,
        "recall": None,
    }
    sql("UPDATE articles SET title = 'other' WHERE id < 4")
    sql("UPDATE articles SET body = 'other'")
    sql("INSERT INTO articles VALUES (5000, 'new', NULL)")
    sql("DELETE FROM articles WHERE id = 9")
    assert shown(run, embedded, "articles_vectors")[0]["waiting"] == 4
    sql("DROP TABLE articles")
    (row,) = shown(run, embedded, "articles_vectors", "--recall", 5)
    assert (row["rows"], row["waiting"], row["memory"], row["recall"]) == (1200, None, None, None)


def test_engines_and_recall(run: Any, points: Path) -> None:
    few, many = shown(run, points, "--recall", 20)
    assert (few["engine"], few["recall"], few["rows"]) == ("exact scan", 1.0, 50)
    assert (many["engine"], many["waiting"]) == ("neighbour graph", None)
    assert 0.3 < many["recall"] <= 1.0  # random points are the hardest case
    assert many["memory"] > 2_100 * 1_000


def test_output_options(run: Any, points: Path) -> None:
    table = run("muninn", "index", points, "few", "-t").output
    assert table.splitlines()[0].split()[:3] == ["table", "kind", "source"]
    rows = run("muninn", "index", points, "--csv", "--no-headers").output.splitlines()
    assert [row.split(",")[0] for row in rows] == ["few", "many"]


def test_optimize_shortens_the_log(run: Any, embedded: Path) -> None:
    (row,) = shown(run, embedded, "articles", "--optimize", "--check")
    assert row["log"] == 1


def test_damage_is_found_and_mended(run: Any, embedded: Path, sql: Any) -> None:
    """The fault: a table that was well was checked, and nothing said so."""
    (row,) = shown(run, embedded, "articles", "--check")
    assert row["integrity_check"] == "ok"
    assert "integrity_check" not in shown(run, embedded, "articles")[0]
    sql("DELETE FROM articles_vectors_log WHERE seq = 5")
    result = run("muninn", "index", embedded, "articles", "--check")
    assert result.exit_code == 1
    assert "articles_vectors_log has gaps" in result.output
    assert shown(run, embedded, "articles", "--rebuild", "--check")[0]["rows"] == 1200


def test_each_damaged_table_is_named(run: Any, points: Path) -> None:
    """The fault: the first one ended the check."""
    conn = connect(points)
    with conn:
        conn.execute("DELETE FROM few_log WHERE seq = 5")
        conn.execute("DELETE FROM many_log WHERE seq = 5")
    conn.close()
    result = run("muninn", "index", points, "--check")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [("few_log" in line, "many_log" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


def test_a_log_that_is_empty_is_said(run: Any, points: Path) -> None:
    conn = connect(points)
    with conn:
        conn.execute("DELETE FROM few_log")
    conn.close()
    result = run("muninn", "index", points, "few")
    assert result.exit_code == 1
    assert result.output == "Error: hnsw_index: few_log is empty\n"


@pytest.mark.parametrize("suffix", ["config", "rows", "nodes", "edges", "log"])
def test_a_table_that_lost_one_of_its_own_is_named_and_mended(
    run: Any, embedded: Path, sql: Any, suffix: str
) -> None:
    """The fault: without its config it was no vector table, and none was there to be mended."""
    sql(f"DROP TABLE articles_vectors_{suffix}")
    for arguments in ((), ("articles", "--check"), ("articles_vectors", "--check")):
        result = run("muninn", "index", embedded, *arguments)
        assert result.exit_code == 1
        said = f"Error: hnsw_text: articles_vectors_{suffix} is missing: 'rebuild' makes it anew"
        assert result.output.startswith(said)
        assert result.output.count("\n") == 1
    if suffix == "config":
        result = run("embed", embedded, "articles", "title", "-m", "tiny", "-s")
        assert "'articles_vectors' is damaged: sqlite-utils muninn index PATH" in result.output
    (row,) = shown(run, embedded, "articles", "--rebuild", "--check")
    assert (row["rows"], row["integrity_check"]) == (1200, "ok")
    lost = 1200 if suffix == "nodes" else 0
    assert (row["vectors"], row["waiting"]) == (1200 - lost, lost)
    result = run("embed", embedded, "articles", "title", "-m", "tiny", "-s")
    assert result.exit_code == 0, result.output
    assert shown(run, embedded, "articles")[0]["waiting"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "has no vector tables: sqlite-utils embed PATH TABLE COLUMN"),
        (("articles",), "'articles' is not a vector table and not embedded; there are: none"),
    ],
)
def test_nothing_to_show(run: Any, news: Path, arguments: Any, message: str) -> None:
    result = run("muninn", "index", news, *arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_optimize_saves_the_graph_of_a_large_table(run: Any, points: Path) -> None:
    few, many = shown(run, points, "--optimize", "--check")
    assert (few["saved"], many["saved"]) == (None, 0)
    assert many["memory"] < 1_500 * many["rows"]  # 1,000 dimensions
