"""What would kill the process kills another one, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sqlite_utils_muninn.models import apart, probe
from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.files.header import read_header
from tests.models import raw_gguf

if TYPE_CHECKING:
    from pathlib import Path

INT16, INT32 = 25, 26


def test_says_what_the_model_is(minilm_path: Path, tmp_path: Path) -> None:
    found = probe.check(minilm_path, tmp_path)
    assert (found.dimensions, found.pooling) == (384, "mean")
    assert found.sha256.startswith("7e01259cec4346ed")


def test_a_reranker_is_tried_with_its_head(reranker_path: Path, tmp_path: Path) -> None:
    found = probe.check(reranker_path, tmp_path)
    assert (found.dimensions, found.pooling) == (1, "rank")
    assert found.sha256.startswith("54ff7185b16011c2")


@pytest.mark.parametrize(
    ("tensor", "kind", "died_of"),
    [
        ("token_embd.weight", INT16, "SIGABRT"),
        ("blk.0.attn_q.weight", INT16, "SIGSEGV"),
        ("token_embd_norm.weight", INT32, "SIGABRT"),
    ],
)
def test_a_file_that_kills_llama_cpp_is_an_error(
    minilm_path: Path, tmp_path: Path, tensor: str, kind: int, died_of: str
) -> None:
    """Types of the right size pass the header's check, and abort the computation."""
    path = tmp_path / "deadly.gguf"
    path.write_bytes(raw_gguf.with_tensor_type(minilm_path.read_bytes(), tensor, kind))
    with pytest.raises(ModelFileError, match=rf"failed to load .*deadly.gguf: .*{died_of}"):
        probe.check(path, tmp_path)


def test_what_llama_cpp_refuses_is_said_in_its_words(minilm_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "refused.gguf"
    path.write_bytes(raw_gguf.with_number(minilm_path.read_bytes(), "bert.block_count", 60))
    with pytest.raises(ModelFileError, match=r"'blk\.6\..*' not found"):
        probe.check(path, tmp_path)


def test_illegal_instruction_says_how_to_build() -> None:
    """Real exit codes of a process that died so: POSIX's, and Windows' as Python shows it."""
    done = subprocess.run(
        [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGILL)"],
        capture_output=True,
        check=False,
    )
    assert "GGML_NATIVE=OFF" in apart.cause_of_death(done)
    assert "GGML_NATIVE=OFF" in apart.cause_of_death(
        subprocess.CompletedProcess([], 0xC000001D, b"", b"")
    )


def test_remembered_for_other_processes(minilm_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(minilm_path.read_bytes())
    found = probe.check(path, tmp_path)
    records = json.loads((tmp_path / probe.RECORDS).read_text())
    assert [record["sha256"] for record in records.values()] == [found.sha256]
    asked = "from pathlib import Path; import sys; from sqlite_utils_muninn.models import probe;"
    asked += "print(probe.remembered(Path(sys.argv[1]), Path(sys.argv[2])) is not None)"
    answer = subprocess.run(
        [sys.executable, "-c", asked, str(path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert answer.stdout.strip() == "True"


def test_a_changed_file_is_tried_again(minilm_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(minilm_path.read_bytes())
    probe.check(path, tmp_path)
    path.write_bytes(
        raw_gguf.with_tensor_type(minilm_path.read_bytes(), "token_embd.weight", INT16)
    )
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelFileError):
        probe.check(path, tmp_path)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"KEY": 1}', '{"KEY": {}}', '{"KEY": {"sha256": "", "pooling": ""}}']
)
def test_damaged_records_are_no_records(minilm_path: Path, tmp_path: Path, damage: str) -> None:
    key = probe._key(minilm_path)
    (tmp_path / probe.RECORDS).write_text(damage.replace('"KEY"', json.dumps(key)))
    assert probe._recorded(tmp_path, key) is None


def test_directory_that_cannot_be_written_is_tolerated(minilm_path: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    found = probe.probed(read_header(minilm_path), missing)
    assert found.dimensions == 384
    assert not missing.exists()


def test_a_wrong_argument_of_the_module_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"no model")
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils_muninn.models.probe", str(path)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "not a GGUF file" in json.loads(done.stdout)["error"]
