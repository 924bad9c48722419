"""A process that has another llama.cpp already, as the extension sqlite-muninn brings one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = """
import ctypes, sys, sqlite3
import sqlite_utils_muninn
other, model = sys.argv[1:]
ctypes.CDLL(other, mode=ctypes.RTLD_GLOBAL)  # as SQLite loads extensions
conn = sqlite_utils_muninn.connect(":memory:")
register = "INSERT INTO temp.muninn_models(name, model) SELECT 'm', muninn_embed_model(?)"
try:
    conn.execute(register, (model,))
    conn.execute("SELECT muninn_embed('m', 'fox')").fetchall()
except Exception as error:
    print(error)
print(conn.execute("SELECT count(*) FROM temp.muninn_models").fetchone() is not None)
"""


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """Another libllama, with the same functions."""
    spec = find_spec("llama_cpp")
    assert spec is not None
    assert spec.submodule_search_locations
    libraries: Sequence[Path] = sorted(
        path for path in Path(spec.submodule_search_locations[0], "lib").iterdir()
    )
    (original,) = (path for path in libraries if path.stem == "libllama")
    for path in libraries:
        if path != original:
            (tmp_path / path.name).symlink_to(path)
    return Path(shutil.copy(original, tmp_path / original.name))


@pytest.mark.skipif(sys.platform == "win32", reason="each library finds its own functions there")
def test_two_in_a_process_are_an_error(minilm_path: Path, another: Path) -> None:
    """The fault: the process died, for llama-cpp-python called the other one's functions."""
    program = [sys.executable, "-c", PROGRAM, str(another), str(minilm_path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    said, lives = done.stdout.splitlines()
    assert "libllama.so has brought a llama.cpp of its own into this process" in said
    assert lives == "True"
