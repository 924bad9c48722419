"""Installing models from their page: downloads that go on while pages are served.

One thread brings one model at a time, the others wait. A download that is stopped, or that breaks
off, keeps what it has: asked again it goes on from there, after a restart of the server, too.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ..settings import settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from datasette.app import Datasette

    from sqlite_utils_muninn.models.files.catalogue import KnownModel

WAITING, RUNNING, STOPPED, FAILED, DONE = "waiting", "running", "stopped", "failed", "done"


class _Stopped(Exception):
    """A manager does not want the model any more."""


@dataclass
class Pull:
    """A model that is on its way, or that did not get here."""

    name: str
    state: str = WAITING
    done: int = 0
    """Bytes that are here."""
    total: int | None = None
    """Bytes of the whole file, where that is known."""
    said: str = ""
    """What is being done, or what went wrong."""
    wanted: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def goes_on(self) -> bool:
        return self.state in (WAITING, RUNNING)

    def as_json(self) -> dict[str, str | int | None]:
        """Return what the API shows."""
        return {"state": self.state, "done": self.done, "total": self.total, "said": self.said}


class Pulls:
    """The pulls of one Datasette instance."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pulls: dict[str, Pull] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def of(self, name: str) -> Pull | None:
        """Return the last pull of a model since the server was started."""
        return self._pulls.get(name)

    def now(self, name: str) -> Pull | None:
        """Return how far the last pull of a model is at this moment; it stays so."""
        pull = self._pulls.get(name)
        return replace(pull) if pull else None

    def start(self, known: KnownModel) -> Pull:
        """Bring a model here, unless that goes on already."""
        with self._lock:
            pull = self._pulls.get(known.name)
            if pull is None or not pull.goes_on:
                pull = self._pulls[known.name] = Pull(known.name)
                pull.wanted.set()
                # A daemon: a server that ends does not wait for a file of gigabytes.
                threading.Thread(
                    target=self._work, args=(known, pull), name="muninn-pull", daemon=True
                ).start()
            pull.wanted.set()
            return pull

    def stop(self, name: str) -> None:
        """Let a pull end at the next bytes that come; what is here is kept."""
        if pull := self._pulls.get(name):
            pull.wanted.clear()

    def close(self) -> None:
        """Stop all."""
        for pull in self._pulls.values():
            pull.wanted.clear()

    def _work(self, known: KnownModel, pull: Pull) -> None:
        with self._turn:
            try:
                self._bring(known, pull)
                pull.state = DONE
            except _Stopped:
                pull.state = STOPPED
            except Exception as error:  # whatever it was, the page says it
                pull.said = str(error)
                pull.state = FAILED

    def _bring(self, known: KnownModel, pull: Pull) -> None:
        from sqlite_utils_muninn.models.files.install import Watcher, install
        from sqlite_utils_muninn.models.files.store import ModelStore

        def say(sentence: str) -> None:
            pull.said = sentence

        def progress(done: int, total: int | None) -> None:
            pull.done, pull.total = done, total
            if not pull.wanted.is_set():
                raise _Stopped

        progress(0, None)
        pull.state = RUNNING
        install(known, ModelStore(self._directory), Watcher(say, progress, _try_out))


def _try_out(path: Path) -> None:
    from sqlite_utils_muninn.models import probe
    from sqlite_utils_muninn.models.llama import LlamaMissingError

    with contextlib.suppress(LlamaMissingError):  # its header was checked all the same
        probe.check(path)


_running: WeakKeyDictionary[Datasette, Pulls] = WeakKeyDictionary()


def pulls_of(datasette: Datasette) -> Pulls:
    """Return the pulls of an instance."""
    if datasette not in _running:
        _running[datasette] = Pulls(settings_of(datasette).models_directory)
    return _running[datasette]


def close(datasette: Datasette) -> None:
    """Stop the pulls of an instance, if it has any."""
    pulls = _running.pop(datasette, None)
    if pulls is not None:
        pulls.close()
