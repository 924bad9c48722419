"""The references are what the declarations say, and every command and function has words."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from datasette_muninn.database_settings import DatabaseSettings
from datasette_muninn.parameters import OPTIONS as PARAMETERS
from datasette_muninn.settings import Settings
from docs.reference import FOLDER, cli_reference
from sqlite_utils_muninn import settings
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


ROOT = FOLDER.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(FOLDER.glob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """A page without its blocks of code, whose brackets are no links."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ +(.+?) *$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A file that was renamed, or a heading that was worded anew, breaks links to it silently."""
    for target in LINK.findall(prose(page)):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = LINK.findall(prose(ROOT / "README.md"))
    assert {f"docs/{page.name}" for page in FOLDER.glob("*.md")} <= set(listed)


def test_environment_variables_are_documented() -> None:
    """One that is not in the README is found by nobody."""
    source = Path(settings.__file__).read_text(encoding="utf-8")
    variables = set(re.findall(r'"((?:MUNINN|HF)_[A-Z_]+)"', source))
    told = prose(ROOT / "README.md").partition("## Environment variables")[2].partition("\n## ")[0]
    assert variables == set(re.findall(r"^\| `([A-Z_]+)` \|", told, flags=re.M))


def test_options_of_datasette_are_documented() -> None:
    told = set(re.findall(r"`([a-z_]+)`", (FOLDER / "datasette.md").read_text(encoding="utf-8")))
    given = {option.name for kind in (Settings, DatabaseSettings) for option in fields(kind)}
    assert given | set(PARAMETERS) <= told
