"""A process may end, or fork, at any moment: no crash, no hang, no half-freed model."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 240.0  # seconds, for a machine that is busy with all else
PREPARE = """
    import os, sys, threading, time
    from pathlib import Path
    from sqlite_utils_muninn.models.registry import registry
    model = registry().open(Path(sys.argv[1]), Path(sys.argv[2]))
    texts = ["the quick brown fox jumps over the lazy dog " * 8] * 3000
"""


def run(program: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(PREPARE) + textwrap.dedent(program),
            *map(str, paths),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GGML_NO_BACKTRACE": "1"},
    )


PROGRAMS = {
    "after use": "model.embed(['x']); print('done')",
    "without a word on stderr": "model.embed(texts[:50]); print('done')",
    "never loaded": "print('done')",
    "weights and a context in use": """
        weights = model.engine.weights(); weights.__enter__()
        context = model.engine.context(10, lambda: None); context.__enter__()
        print('done')
    """,
    "a daemon thread computing": """
        threading.Thread(target=lambda: model.embed(texts), daemon=True).start()
        time.sleep(.6)
        print('done')
    """,
    "a daemon thread with one long text": """
        work = lambda: [model.embed(['dog ' * 600]) for _ in texts]
        threading.Thread(target=work, daemon=True).start()
        time.sleep(.6)
        print('done')
    """,
    "sixteen daemon threads": """
        for _ in range(16):
            threading.Thread(target=lambda: [model.embed([t]) for t in texts], daemon=True).start()
        time.sleep(.6)
        print('done')
    """,
    "a daemon thread loading": """
        threading.Thread(target=lambda: model.embed(['x']), daemon=True).start()
        print('done')
    """,
    "an error": """
        try:
            model.embed(['x'], check=lambda: 1 / 0)
        except ZeroDivisionError:
            print('done')
    """,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_exit(program: str, minilm_path: Path, models_directory: Path) -> None:
    done = run(program, minilm_path, models_directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"
    assert not re.search("^(llama|ggml|~)", done.stderr, re.MULTILINE), done.stderr


BEFORE_FORK = {
    "idle": "",
    "loaded": "model.embed(texts[:5])\n",
    "computing": "threading.Thread(target=lambda: model.embed(texts), daemon=True).start()\n"
    "time.sleep(.5)\n",
}
FORK = """
child = os.fork()
if child == 0:
    vector = model.embed(["a child"])[0]
    again = registry().open(Path(sys.argv[1]), Path(sys.argv[2])).embed(["a child"])[0]
    os._exit(0 if abs(vector @ again - 1) < 1e-4 else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("state", BEFORE_FORK)
def test_a_forked_child_loads_its_own(
    state: str, minilm_path: Path, models_directory: Path
) -> None:
    """Locks that another thread held at the fork stay locked in the child for ever."""
    done = run(BEFORE_FORK[state] + FORK, minilm_path, models_directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_stops_a_bulk_job(minilm_path: Path, models_directory: Path) -> None:
    program = """
        import signal  # a test run in the background ignores SIGINT, and so would its children
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print('ready', flush=True)
            model.embed(texts * 10)
        except KeyboardInterrupt:
            print('interrupted', threading.active_count())
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(PREPARE) + textwrap.dedent(program),
            str(minilm_path),
            str(models_directory),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE)
    assert output == "interrupted 1\n", errors
    assert process.returncode == 0


def test_the_whole_of_llama_cpp_python_can_be_imported_later() -> None:
    """Only its bindings are loaded for an embedding; nobody else may get half a package."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    program = (
        "import sys\n"
        "from sqlite_utils_muninn.models.llama import library\n"
        "assert library().llama_print_system_info()\n"
        "assert not {'llama_cpp', 'jinja2', 'diskcache'} & set(sys.modules)\n"
        "import llama_cpp, llama_cpp.llama_cpp\n"
        "assert llama_cpp.Llama and llama_cpp.llama_cpp.llama_backend_init\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
