"""A progress bar with a rate, on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any

import click


class Bar:
    """click's progress bar; it is quiet where there is nothing to do and where nobody looks."""

    def __init__(self, total: int, *, label: str, hidden: bool) -> None:
        self._started = time.monotonic()
        self._done = 0
        self._bar = click.progressbar(
            length=total,
            label=label,
            show_eta=True,
            show_pos=True,
            item_show_func=self._rate,
            file=sys.stderr,
            hidden=hidden or total == 0 or not sys.stderr.isatty(),
        )

    def __enter__(self) -> Bar:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    def show(self, done: int) -> None:
        """Go to where the work is."""
        self._bar.update(done - self._done, done)
        self._done = done

    def _rate(self, done: int | None) -> str | None:
        return f"{done / self.seconds:,.0f} rows/s" if done else None


def rows(count: int) -> str:
    """So many rows, as it is said."""
    return "1 row" if count == 1 else f"{count:,} rows"
