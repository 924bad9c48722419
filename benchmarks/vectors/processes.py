"""A process for each subject, which is stopped when a call takes too long."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from typing import Any

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MUNINN_THREADS"), "1"
)


class Process:
    """A subject that answers commands. After a crash or a call that took too long it is gone."""

    def __init__(self, request: dict[str, Any], cap: float) -> None:
        self.name: str = request["subject"]
        self.cap = cap
        self.is_there = True
        self._answers: queue.Queue[str] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.vectors.one_subject", json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def ask(self, *command: Any) -> Any:
        """Return what was measured, or {"capped": ...}, {"failed": ...} or {"missing": ...}."""
        if not self.is_there:
            return {"missing": True}
        assert self._process.stdin
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
            line = self._answers.get(timeout=self.cap)
        except queue.Empty:
            self.end()
            return {"capped": self.cap}
        except BrokenPipeError:
            line = ""
        if not line:
            self.is_there = False
            return {"failed": f"the process ended with {self._process.wait()}"}
        answer = json.loads(line)
        return answer

    def end(self) -> None:
        """Stop the process."""
        self.is_there = False
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
