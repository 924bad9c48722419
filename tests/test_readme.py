"""README.md: the way from a CSV file to an answer runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import MINILM

if TYPE_CHECKING:
    from collections.abc import Callable

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path: Path, reference_models: Path) -> Callable[[str], str]:
    """Runs commands as a user would, in an empty directory, and gives what they print."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MUNINN_MODELS_DIR": str(tmp_path / "models")}

    def run(commands: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", commands],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(f"sqlite-utils muninn models add all-MiniLM-L6-v2 '{reference_models / MINILM}'")
    return run


def without_scores(text: str) -> list[str]:
    """The lines of an answer; the last digits of a score are the machine's."""
    return [re.sub(r"  \d\.\d{4}$", "", line) for line in text.splitlines() if line.strip()]


def test_own_table_is_searched_as_the_readme_says(shell: Callable[[str], str]) -> None:
    part = README.partition("\n## Your own table")[2].partition("\n## ")[0]
    (_, prepare), (_, ask), (_, answer) = BLOCK.findall(part)
    shell(prepare)
    assert without_scores(shell(ask)) == without_scores(answer)
