"""docs/models.md: its SQL gives what it shows, and its figures are those that were measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.models.report import fill
from sqlite_utils_muninn.models.files.catalogue import catalogue
from sqlite_utils_muninn.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models.md"
EXAMPLE = re.compile(r"```sql\n(.*?)```\n\n```\n(.*?)```", re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))) >= 4


@pytest.mark.parametrize(("sql", "shown"), EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))
def test_examples_give_what_they_show(
    connect: Callable[..., Any], minilm_path: Path, sql: str, shown: str
) -> None:
    conn = connect(models={DEFAULT_MODEL: str(minilm_path)})
    rows = [row for statement in sql.split(";\n") for row in conn.execute(statement)]
    assert "\n".join("|".join(map(str, row)) for row in rows) == shown.rstrip("\n")


def test_figures_are_those_of_the_benchmark() -> None:
    page = PAGE.read_text(encoding="utf-8")
    figures = json.loads((ROOT / "benchmarks/results/models/figures.json").read_text())
    assert fill(page, figures) == page
    for mark in ("rates", "quantizations", "shortened"):
        assert f"<!-- {mark} -->\n\n| " in page


def test_every_model_of_the_catalogue_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for known in catalogue():
        assert known.name in page
        if known.size and known.task == "embedding":
            row = next(line for line in page.splitlines() if line.startswith(f"| {known.name} "))
            assert row.endswith(f"| {known.size / 1e6:.0f} |"), row
