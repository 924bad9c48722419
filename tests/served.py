"""A real `datasette serve`, as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


# Datasette's limits are by the clock, and on a busy machine any query may take a second.
PATIENT = {"sql_time_limit_ms": 60_000, "facet_time_limit_ms": 60_000}


@contextmanager
def served(*arguments: Any) -> Iterator[str]:
    """Serve on a free port; gives the server's address. What it logs is read, so it never waits."""
    settings = [word for pair in PATIENT.items() for word in ("--setting", *map(str, pair))]
    given = [*map(str, arguments), *settings, "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "datasette", "serve", *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
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
