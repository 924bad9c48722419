"""Real servers, each a process of its own on a port that was free."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


# Datasette's limits are by the clock, and on a busy machine any query may take a second.
PATIENT = {"sql_time_limit_ms": 60_000, "facet_time_limit_ms": 60_000}


def served(*arguments: Any) -> AbstractContextManager[str]:
    """`datasette serve`, patiently."""
    settings = [word for pair in PATIENT.items() for word in ("--setting", *pair)]
    return running("datasette", "serve", *arguments, *settings, "--port", "0")


@contextmanager
def running(module: str, *arguments: Any, **environment: str) -> Iterator[str]:
    """Run a module that serves; gives the server's address, which it must log.

    What it logs is read, so it never waits.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    try:
        address = _address_in(process.stderr)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield address
    finally:
        process.terminate()
        process.wait(60)


def _address_in(lines: Any) -> str:
    """The address that a server says it runs on."""
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise AssertionError("".join(seen))
