"""Serves the knowledge base with Datasette."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
SEARCH_PATH = "attack/-/muninn/search?q=malware+that+spreads+on+USB+sticks"


def check_port(port: int) -> None:
    """Raises ValueError when nothing can listen on that port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise ValueError(f"port {port} is not free ({error}): give another --port") from error


def serve(database: Path, port: int) -> None:
    """Becomes Datasette, so that signals reach it directly. Does not return."""
    command = [
        *(sys.executable, "-m", "datasette", "serve", str(database)),
        *("--metadata", str(FOLDER / "metadata.yaml")),
        *("--config", str(FOLDER / "datasette.yaml")),
        *("--port", str(port)),
    ]
    sys.stdout.flush()
    os.execv(sys.executable, command)
