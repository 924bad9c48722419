"""docs/graphs.md: what it shows runs, and gives what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sqlite_utils_muninn import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "graphs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def shown() -> Iterator[tuple[str, str | None]]:
    """SQL of the page, and the rows that are shown for it."""
    for (kind, text), (after, rows) in zip(BLOCKS, [*BLOCKS[1:], ("end", "")], strict=True):
        if kind == "sql":
            yield text, rows if after == "" else None


def in_table() -> list[str]:
    """The examples in tables."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    return [sql for line in lines for sql in re.findall(r"`(SELECT [^`]*)`", line)]


def as_text(rows: list[tuple[Any, ...]]) -> list[str]:
    return [" | ".join("" if v is None else str(v) for v in row).rstrip() for row in rows]


@pytest.fixture
def warehouse(conn: Any) -> Any:
    first, _ = next(shown())
    conn.executescript(first)
    conn.execute("CREATE TABLE places (vector)")  # an hnsw_index, where the others are loaded, too
    return conn


def test_blocks_give_the_rows_that_are_shown(warehouse: Any) -> None:
    checked = 0
    for text, rows in list(shown())[1:]:
        statements = [part for part in text.split(";") if part.strip()]
        found = [warehouse.execute(statement).fetchall() for statement in statements]
        if rows is not None:
            lines = [re.sub(r" +\|", " |", line).rstrip() for line in rows.splitlines()]
            assert as_text(found[-1]) == lines, text
            checked += 1
    assert checked == 2


@pytest.mark.parametrize("sql", in_table())
def test_each_example_gives_rows(warehouse: Any, sql: str) -> None:
    assert warehouse.execute(sql).fetchall()


def test_every_function_has_an_example() -> None:
    from sqlite_utils_muninn.graph.sql import surface
    from sqlite_utils_muninn.settings import Host

    names = {declaration.name for declaration in surface(Host(threads=1))}
    examples = " ".join(in_table())
    assert {name for name in names if f" {name}(" not in examples} == {"graph_adjacency"}


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("networkx", reason="networkx, which writes GraphML, is not installed")
    from sqlite_utils.cli import cli

    monkeypatch.chdir(tmp_path)
    conn = connect("warehouse.db")
    conn.executescript(next(shown())[0])
    conn.executescript(
        "CREATE TABLE models (name TEXT PRIMARY KEY);"
        "INSERT INTO models SELECT source FROM refs UNION SELECT target FROM refs;"
    )
    conn.close()
    lines = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    assert len(lines) == 6
    for line in lines:
        result = CliRunner().invoke(cli, shlex.split(line, comments=True)[1:])
        assert result.exit_code == 0, (line, result.output)
    assert (tmp_path / "refs.graphml").exists()
