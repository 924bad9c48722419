"""How long the first embedding takes, and the next ones.

"from the start" counts from the start of the Python process, "after the import" from the end of
`import sqlite_utils_muninn`, to the first vector; "of CPU time" is what a machine that does nothing
else would need from the start.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import time
started = time.perf_counter()
with open("/proc/self/stat", encoding="ascii") as file, open("/proc/uptime") as up:
    ticks = int(file.read().rpartition(")")[2].split()[19])
    before = float(up.read().split()[0]) - ticks / 100  # Linux counts in hundredths of a second
import json, sqlite3, sys
import sqlite_utils_muninn
from sqlite_utils_muninn.settings import Host
imported = time.perf_counter()
conn = sqlite3.connect(":memory:")
sqlite_utils_muninn.load(conn, Host(models={"m": sys.argv[1]}))
loaded = time.perf_counter()
def embed(text):
    begun = time.perf_counter()
    conn.execute("SELECT muninn_embed('m', ?)", (text,)).fetchone()
    return 1e3 * (time.perf_counter() - begun)
embed("first")
first, computed = time.perf_counter(), time.process_time()
from sqlite_utils_muninn.models.quality.samples import long_texts, short_texts
print(json.dumps({
    "import": 1e3 * (imported - started), "load": 1e3 * (loaded - imported),
    "first embedding": 1e3 * (first - loaded), "after the import": 1e3 * (first - imported),
    "from the start": 1e3 * (first - started + before),
    "of CPU time": 1e3 * computed,
    "query": min(map(embed, short_texts(20))), "250 tokens": min(map(embed, long_texts(8))),
}))
"""
_TIMES = 5


def measure(path: Path) -> dict[str, float]:
    """Return medians in milliseconds over several processes; the file was tried before."""
    runs = []
    with tempfile.TemporaryDirectory() as compiled:
        # As it is where packages are installed: compiled once, by the first run.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(_TIMES + 1):
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM, str(path)],
                capture_output=True, text=True, check=True, env=environment,
            )  # fmt: skip
            runs.append(json.loads(done.stdout))
    return {name: round(statistics.median(run[name] for run in runs[1:]), 1) for name in runs[0]}
