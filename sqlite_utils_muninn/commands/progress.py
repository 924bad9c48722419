"""Progress bars on stderr: of rows with a rate, of bytes with the sentences that come between."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


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


class DownloadBar:
    """Sentences and a progress bar on stderr, which begins with the first byte."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self.bar: ProgressBar[int] | None = None

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar:
            self.bar.render_finish()

    def say(self, sentence: str) -> None:
        """Say what is being done."""
        if not self.silent:
            click.echo(sentence, err=True)

    def progress(self, done: int, total: int | None) -> None:
        """Go to where the bytes are; without a total there is no bar."""
        if self.silent or not total:
            return
        if self.bar is None:
            self.bar = click.progressbar(
                length=total,
                file=sys.stderr,
                show_percent=True,
                item_show_func=lambda here: f"{megabytes(here)} of {megabytes(total)}",
            )
            self.bar.render_progress()
        self.bar.update(done - self.bar.pos, done)


def megabytes(size: int | None) -> str:
    """Bytes in millions, as they are said."""
    return f"{(size or 0) / 1e6:,.1f} MB"
