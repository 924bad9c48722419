"""docs/coming-from.md: its SQL and its commands run, and give what it says."""

from __future__ import annotations

import re
import shlex
import struct
from contextlib import closing
from pathlib import Path
from sqlite3 import complete_statement
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from sqlite_utils_muninn import load
from sqlite_utils_muninn.models.registry import Registry

from .commands.test_imports import muninn_file
from .models.embedding_server import EmbeddingServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[1] / "docs" / "coming-from.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")}
OURS = SECTIONS["sqlite-muninn"]
SERVER, MODEL = "http://127.0.0.1:11434", "nomic-embed-text"


def shown(text: str) -> list[tuple[str, str | None]]:
    """SQL of a section, and the rows that are shown for its last statement."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    following = [*blocks[1:], ("end", "")]
    pairs = zip(blocks, following, strict=True)
    return [(sql, rows if not kind else None) for (is_, sql), (kind, rows) in pairs if is_ == "sql"]


def cells(text: str, *, heading: str) -> list[list[str]]:
    """The rows of the table below a heading or a head."""
    lines = text[text.index(heading) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| ---"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def as_text(rows: list[tuple[Any, ...]], between: str) -> list[str]:
    return [between.join("NULL" if v is None else str(v) for v in row) for row in rows]


def run(conn: Any, text: str) -> list[Any]:
    """The rows of the last of some statements."""
    rows, statement = [], ""
    for line in text.splitlines():
        statement += f"{line}\n"
        if complete_statement(statement):
            rows = conn.execute(statement).fetchall()
            statement = ""
    assert not statement.strip(), statement
    return rows


@pytest.fixture
def conn(sqlite: Any, minilm_path: Path, tmp_path: Path, monkeypatch: Any) -> Iterator[Any]:
    monkeypatch.chdir(tmp_path)
    Path("model.gguf").symlink_to(minilm_path)
    with closing(sqlite.connect(":memory:", isolation_level=None)) as opened:
        load(opened)
        yield opened


def check_blocks(conn: Any, text: str) -> None:
    for sql, rows in shown(text):
        found = run(conn, sql)
        if rows is not None:
            lines = [re.sub(r" +\|", " |", line) for line in rows.splitlines()]
            assert as_text(found, " | ") == lines, sql


def answer(conn: Any, sql: str) -> str:
    """What a statement gives, as a cell of the table says it."""
    conn.execute("SAVEPOINT one")
    try:
        rows = conn.execute(sql).fetchall()
        return "; ".join(as_text(rows, ", ")) or "no rows"
    except Exception as error:
        return f"error: {error}"
    finally:
        conn.execute("ROLLBACK TO one")
        conn.execute("RELEASE one")


def test_what_is_the_same_and_what_differs(conn: Any) -> None:
    check_blocks(conn, OURS)
    rows = cells(OURS, heading="### What differs")
    assert len(rows) > 12
    for sql, there, here in rows:
        found = answer(conn, sql.strip("`"))
        # An error may say more: which columns there are.
        assert found == here or ("error" in here and here.split(": ")[1] in found), (sql, found)
        assert there != here


def test_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlite_utils.cli import cli

    monkeypatch.chdir(tmp_path)
    muninn_file(Path("town.db"), 20)
    ((_, _, command), *_) = cells(OURS, heading="### Its files")
    in_place, elsewhere = re.findall(r"`sqlite-utils (.*?)`", command)
    for line in (elsewhere, in_place):
        result = CliRunner().invoke(cli, shlex.split(line.replace("docs_vec", "my_vecs")))
        assert (result.exit_code, result.output) == (0, "my_vecs: imported 18 rows\n")


def test_lembed_rembed_and_vec(conn: Any, minilm_path: Path, tmp_path: Path) -> None:
    text = SECTIONS["sqlite-lembed, sqlite-rembed and sqlite-vec"]
    served = Registry(threads=1).open_file(minilm_path, directory=tmp_path)
    with EmbeddingServer(served) as server:
        assert SERVER in text
        assert MODEL in text
        check_blocks(conn, text.replace(SERVER, server.url).replace(MODEL, "tiny"))
        assert run(conn, "SELECT vec_length(rembed('nomic', 'boats'));") == [(384,)]


def test_words_of_vectorlite(conn: Any) -> None:
    rows = cells(SECTIONS["vectorlite"], heading="| vectorlite")
    query = struct.pack("<3f", 1, 0, 0)
    for _, here in rows:
        sql = re.findall(r"`([^`]*)`", here)[0]
        parameters = (query,) * sql.count("?")
        found = conn.execute(sql, parameters).fetchall()
        assert found or not sql.startswith("SELECT"), sql
    assert len(rows) == 6
