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


@contextmanager
def served(*arguments: Any) -> Iterator[str]:
    """Serve on a free port; gives the server's address. What it logs is read, so it never waits."""
    process = subprocess.Popen(
        [sys.executable, "-m", "datasette", "serve", *map(str, arguments), "--port", "0"],
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
        process.wait(30)


def _address_in(lines: Any) -> str:
    """The address that a server says it runs on."""
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    raise AssertionError("".join(seen))
