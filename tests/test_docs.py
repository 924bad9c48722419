"""The references are what the declarations say, and every command and function has words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.reference import FOLDER, cli_reference
from sqlite_utils_muninn.loading import surface
from sqlite_utils_muninn.settings import Host


def test_references_are_up_to_date() -> None:
    """In a process of its own: click remembers how a command was first asked for help."""
    program = [sys.executable, "-m", "docs.reference", "--check"]
    done = subprocess.run(program, capture_output=True, text=True, cwd=FOLDER.parent, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("declaration", surface(Host(threads=1)), ids=lambda d: d.name)
def test_everything_in_sql_has_help(declaration: object) -> None:
    assert declaration.help


def test_every_command_has_an_example_or_words() -> None:
    for part in cli_reference().split("\n## ")[1:]:
        name, _, text = part.partition("\n")
        assert len(text.strip("`\n ").splitlines()) > 2, name


def test_pictures_that_pages_show_are_there() -> None:
    root = Path(__file__).parent.parent
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("!["):
                target = line[line.rindex("](") + 2 : line.rindex(")")]
                assert target.startswith("http") or (page.parent / target).is_file(), target
