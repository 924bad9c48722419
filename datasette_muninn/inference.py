"""Models at work, off the threads that serve pages.

Datasette reads with three threads; a model on one of them would hold up every page. So models have
a thread of their own, and a queue in front of it that has an end.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError  # the same from Python 3.11
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from .settings import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from datasette.app import Datasette

    from sqlite_utils_muninn.bridge import Database

    from .settings import Settings

T = TypeVar("T")

_BUSY = "too many searches are waiting for the model, try again in a moment"


class BusyError(Exception):
    """Too many are waiting for a model."""


class Inference:
    """One thread with a connection in memory, on which models are looked up as SQL would."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.waiting = 0
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="muninn-model")
        self._db: Database | None = None

    async def run(self, work: Callable[[Database], T]) -> T:
        """Do some work with models. Raises BusyError where too many are waiting already."""
        if self.waiting >= self.settings.max_waiting:
            raise BusyError(_BUSY)
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._do, work)
        finally:
            self.waiting -= 1

    def run_here(self, work: Callable[[Database], T], seconds: float) -> T:
        """Do some work with models for a thread that waits, whether or not it runs a loop.

        Raises BusyError where too many are waiting already, TimeoutError after some seconds.
        """
        if self.waiting >= self.settings.max_waiting:
            raise BusyError(_BUSY)
        self.waiting += 1
        try:
            future = self._executor.submit(self._do, work)
            return future.result(seconds)
        except FutureTimeoutError as error:
            future.cancel()
            raise TimeoutError(f"the model was not done after {seconds:g} seconds") from error
        finally:
            self.waiting -= 1

    def _do(self, work: Callable[[Database], T]) -> T:
        if self._db is None:
            from sqlite_utils_muninn import connect
            from sqlite_utils_muninn.bridge import attach

            self._conn = connect(":memory:", self.settings.host)
            self._db = attach(self._conn)
        return work(self._db)

    def close(self) -> None:
        """Let the thread end; work that has not begun is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)


_running: WeakKeyDictionary[Datasette, Inference] = WeakKeyDictionary()


def inference_of(datasette: Datasette) -> Inference:
    """The models' thread of an instance, started when it is first asked for."""
    if datasette not in _running:
        _running[datasette] = Inference(settings_of(datasette))
    return _running[datasette]


def close(datasette: Datasette) -> None:
    """Stop the models' thread of an instance, if it has one."""
    inference = _running.pop(datasette, None)
    if inference is not None:
        inference.close()
