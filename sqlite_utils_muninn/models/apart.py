"""Running native code that may die in another process, and understanding how that ended.

A module that wants this ends in `sys.exit(apart.main(function))`; `run` starts it with texts as
arguments. The function's dictionary, or the words of its error, come back as one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_ILLEGAL_INSTRUCTION = {-signal.SIGILL, 0xC000001D, 0xC000001D - (1 << 32)}  # POSIX, Windows


class ApartError(Exception):
    """The other process failed or died; the message says of what."""


def run(module: str, *arguments: str, timeout: float) -> dict[str, Any]:
    """Return what a module's function makes of arguments in another process.

    Raises ApartError, also where no process can be started or it takes `timeout` seconds.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "GGML_NO_BACKTRACE": "1",  # ggml would start a debugger
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ApartError(f"not done after {timeout:.0f} seconds") from None
    except OSError as error:
        raise ApartError(f"no process can try it ({error})") from error
    return understood(done)


def understood(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """Return the answer of a process that ended. Raises ApartError."""
    answer: Any = None
    if done.returncode == 0:
        with contextlib.suppress(ValueError, IndexError):
            answer = json.loads(done.stdout.splitlines()[-1])
    if not isinstance(answer, dict):
        raise ApartError(cause_of_death(done))
    if "error" in answer:
        raise ApartError(answer["error"])
    return answer


def cause_of_death(done: subprocess.CompletedProcess[bytes]) -> str:
    """Say in one sentence how a process died."""
    code = done.returncode
    if code in _ILLEGAL_INSTRUCTION:
        return (
            "llama-cpp-python was built for another CPU and died of an illegal instruction; "
            'reinstall it with CMAKE_ARGS="-DGGML_NATIVE=OFF" '
            "pip install --force-reinstall --no-cache-dir llama-cpp-python"
        )
    lines = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines()]
    said = f": {lines[-1][-300:]}" if lines and lines[-1] else ""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"llama.cpp crashed on it ({signal.Signals(-code).name}{said})"
    return f"the process that tried it ended with code {code}{said}"


def main(function: Callable[..., dict[str, Any]]) -> int:
    """Call a function with this process's arguments and print its answer, or its error."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, its core is not
    try:
        answer = function(*sys.argv[1:])
    except (ValueError, RuntimeError, OSError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
    return 0
