"""Files of sqlite-muninn, opened as they are: what is said of a table, and what converts it."""

from __future__ import annotations

import re
import shlex
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn import connect

from .test_imports import muninn_file

if TYPE_CHECKING:
    from pathlib import Path

SAYS = (
    "hnsw_index: table 'my_vecs' was made by the extension sqlite-muninn; this converts it: "
    "sqlite-utils muninn import sqlite-muninn FILE my_vecs FILE my_vecs"
)
SEARCH = "SELECT rowid, distance FROM my_vecs WHERE vector MATCH ? AND k = 1"
NEAR = struct.pack("<2f", 3, 1)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    muninn_file(path, 20)
    return path


@pytest.fixture
def ask(old: Path) -> Any:
    def execute(sql: str, *parameters: Any) -> list[Any]:
        with closing(connect(old, isolation_level=None)) as conn:
            return conn.execute(sql, parameters).fetchall()

    return execute


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        (SEARCH, (NEAR,)),
        ("SELECT count(*) FROM my_vecs", ()),
        ("SELECT vector FROM my_vecs WHERE rowid = 1", ()),
        ("INSERT INTO my_vecs(rowid, vector) VALUES (90, ?)", (NEAR,)),
        ("UPDATE my_vecs SET vector = ?", (NEAR,)),
        ("DELETE FROM my_vecs WHERE rowid = 1", ()),
        ("INSERT INTO my_vecs(my_vecs) VALUES ('rebuild')", ()),
        ("INSERT INTO my_vecs(my_vecs) VALUES ('integrity-check')", ()),
        ("ALTER TABLE my_vecs RENAME TO other", ()),
    ],
)
def test_every_statement_says_what_to_do(ask: Any, sql: str, parameters: Any) -> None:
    """The fault: "no such table: main.my_vecs_log", or that it was damaged."""
    with pytest.raises(Exception, match=re.escape(SAYS)):
        ask(sql, *parameters)


def test_what_it_says_converts_the_table(run: Any, old: Path, ask: Any) -> None:
    ask("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
    ask("CREATE TRIGGER kept AFTER DELETE ON notes BEGIN DELETE FROM my_vecs WHERE rowid = 1; END")
    words = shlex.split(SAYS[SAYS.index("sqlite-utils") :].replace("FILE", str(old)))
    result = run(*words[1:])
    assert (result.exit_code, result.output) == (0, "my_vecs: imported 18 rows\n")
    assert ask(SEARCH, NEAR) == [(-5 + 2 * 2, 1.0)]
    ask("INSERT INTO my_vecs(my_vecs) VALUES ('integrity-check')")
    tables = {name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")}
    shadow = {f"my_vecs_{part}" for part in ("config", "rows", "nodes", "edges", "log")}
    assert tables == {"my_vecs", "notes", *shadow}
    ask("INSERT INTO notes VALUES (1, 'x')")
    ask("DELETE FROM notes")  # the trigger finds the new table
    again = run(*words[1:])
    assert again.exit_code == 1
    assert "'my_vecs' is no table of sqlite-muninn" in again.output


def test_it_can_be_dropped(ask: Any) -> None:
    ask("DROP TABLE my_vecs")
    assert ask("SELECT name FROM sqlite_master WHERE name LIKE 'my_vecs%'") == []


@pytest.mark.parametrize(
    "words",
    [("index", "{}"), ("index", "{}", "MY_VECS"), ("detach", "{}", "{}.out")],
)
def test_commands_say_so_too(run: Any, old: Path, words: tuple[str, ...]) -> None:
    """The fault: "has no vector tables", and that the table was damaged, drop it."""
    result = run("muninn", *(word.format(old) for word in words))
    assert (result.exit_code, result.output) == (1, f"Error: {SAYS}\n")
    assert not old.with_name("old.db.out").exists()
