"""Downloading a model file: resumed after a break, checked before it gets its name.

What has come so far lies beside the target as NAME.part, and NAME.part.json says what
it is a part of. A part is kept when the connection breaks and deleted when the complete
file is not the one asked for, since nothing of it can be trusted then.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import PullError
from .checksum import sha256_of
from .locks import move_into_place

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and those of the whole file, where that is known."""

_ATTEMPTS = 4  # in a row that bring nothing
_HEADERS = {"User-Agent": "datasette-muninn", "Accept-Encoding": "identity"}


class _BrokenError(Exception):
    """The transfer broke off, in a way that another attempt may mend."""


@dataclass(frozen=True)
class Wanted:
    """The file to download, and what is known of it."""

    url: str
    size: int | None = None
    sha256: str | None = None


@dataclass
class _Part:
    """The bytes that are here so far."""

    path: Path
    url: str

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def size(self) -> int:
        """Return how many bytes of this URL's file are here."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return self.path.stat().st_size if note["url"] == self.url else 0
        except (OSError, ValueError, TypeError, KeyError):
            return 0

    def validator(self) -> str | None:
        """Return the tag by which the server can tell whether its file is still the same."""
        validator = json.loads(self._note.read_text(encoding="utf-8"))["validator"]
        return str(validator) if validator else None

    def begin(self, validator: str | None) -> None:
        self.discard()
        self._note.write_text(json.dumps({"url": self.url, "validator": validator}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        move_into_place(self.path, target)
        self._note.unlink(missing_ok=True)


def pull(
    wanted: Wanted,
    target: Path,
    *,
    progress: Progress = lambda done, total: None,
    accept: Callable[[Path], object] = lambda path: None,
    pause: float = 1.0,
) -> str:
    """Download a file to `target` and return its SHA-256.

    The file gets its name only when it is complete, has the size and checksum that are
    wanted, and `accept`, called with its path, has not raised. `pause` is the wait in
    seconds before another attempt; it doubles each time.

    Raises PullError, which says in one sentence what is wrong and what can be done.
    """
    part = _Part(target.with_name(target.name + ".part"), wanted.url)
    try:
        digest = _complete(wanted, part, progress, pause)
        try:
            accept(part.path)
        except ValueError:
            part.discard()
            raise
        part.finish(target)
    except OSError as error:
        raise PullError(f"{target} cannot be written: {error.strerror or error}") from error
    return digest


def _complete(wanted: Wanted, part: _Part, progress: Progress, pause: float) -> str:
    """Fetch what is missing and return the checksum, which is the wanted one."""
    resumed = part.size() > 0
    _fetch(wanted, part, progress, pause)
    digest = sha256_of(part.path)
    if digest != (wanted.sha256 or digest) and resumed:
        part.discard()  # the fault may lie in the old part
        _fetch(wanted, part, progress, pause)
        digest = sha256_of(part.path)
    if digest != (wanted.sha256 or digest):
        part.discard()
        raise PullError(
            f"{wanted.url} brought a file with sha256 {digest}, "
            f"but {wanted.sha256} is expected: it was deleted"
        )
    return digest


def _fetch(wanted: Wanted, part: _Part, progress: Progress, pause: float) -> None:
    """Bring the part to its full length, over as many connections as it takes."""
    import httpx2

    failures, have = 0, part.size()
    timeout = httpx2.Timeout(60.0, connect=20.0)
    with httpx2.Client(follow_redirects=True, timeout=timeout, headers=_HEADERS) as client:
        while wanted.size is None or part.size() != wanted.size:
            try:
                return _attempt(client, wanted, part, progress)
            except (_BrokenError, httpx2.TransportError) as error:
                if isinstance(error, httpx2.ConnectError) and not have:
                    raise _unreachable(wanted, error) from error
                failures = failures + 1 if part.size() <= have else 0
                have = part.size()
                if failures >= _ATTEMPTS:
                    raise _broken_off(wanted, have, error) from error
                time.sleep(pause * 2**failures)
            except httpx2.HTTPError as error:
                raise PullError(f"{wanted.url} cannot be fetched: {error}") from error


def _attempt(client: httpx2.Client, wanted: Wanted, part: _Part, progress: Progress) -> None:
    """Fetch the rest of the file over one connection."""
    have = part.size()
    headers = {}
    if have and (part.validator() or wanted.sha256):
        headers["Range"] = f"bytes={have}-"
        if validator := part.validator():
            headers["If-Range"] = validator
    with client.stream("GET", wanted.url, headers=headers) as response:
        if response.status_code == 416:  # there is nothing after the part
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.discard()
            raise _BrokenError("the file on the server is another one now")
        _check_status(wanted.url, response)
        if not have or not _continues(response, have):
            have = 0
            part.begin(_validator(response))
        total = _total(response, have)
        _check_size(wanted, total, have, part)
        _store(response, part, have, wanted.size or total, progress)


def _store(
    response: httpx2.Response, part: _Part, have: int, total: int | None, progress: Progress
) -> None:
    with part.path.open("ab") as file:
        progress(have, total)
        for block in response.iter_raw():  # as they arrive: none is lost when the line breaks
            have += len(block)
            if total is not None and have > total:
                raise PullError(f"{part.url} goes on after its {total} bytes: not the right file")
            file.write(block)
            progress(have, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and have < total:
        raise _BrokenError(f"it ended after {have} of {total} bytes")


def _check_status(url: str, response: httpx2.Response) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise _BrokenError(f"the server answered {status} {response.reason_phrase}")
    if status in {401, 403}:
        raise PullError(
            f"{url} wants a login ({status}): accept its licence there, download the file "
            "with a browser, and register it with: sqlite-utils muninn models add NAME PATH"
        )
    if status not in {200, 206}:
        raise PullError(f"{url} is not there: the server answered {status}")
    if url.startswith("https:") and response.url.scheme != "https":
        raise PullError(f"{url} leads to {response.url}, which is not encrypted")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise PullError(f"{url} comes compressed, which was not asked for")


def _continues(response: httpx2.Response, have: int) -> bool:
    """Whether the answer goes on where the part ends; else it is the whole file."""
    if response.status_code != 206:
        return False
    if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise PullError(f"{response.url} sent another range than the one asked for")
    return True


def _validator(response: httpx2.Response) -> str | None:
    """Return a strong ETag, or the time of the last change (RFC 9110, section 13.1.5)."""
    etag: str | None = response.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    changed: str | None = response.headers.get("Last-Modified")
    return changed


def _total(response: httpx2.Response, have: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return have + int(length) if length.isdecimal() else None


def _check_size(wanted: Wanted, total: int | None, have: int, part: _Part) -> None:
    """Refuse a file of another size before it is fetched, and one that the disk cannot hold."""
    if total is None:
        return
    if wanted.size is not None and total != wanted.size:
        part.discard()
        raise PullError(f"{wanted.url} has {total} bytes, but {wanted.size} are expected")
    free = shutil.disk_usage(part.path.parent).free
    if free < total - have:
        raise PullError(
            f"{part.path.parent} has {free} bytes free, but {total - have} more are needed"
        )


def _unreachable(wanted: Wanted, error: Exception) -> PullError:
    return PullError(
        f"{wanted.url} cannot be reached ({error}). Without a network, register a file "
        "that is here with: sqlite-utils muninn models add NAME PATH"
    )


def _broken_off(wanted: Wanted, have: int, error: Exception) -> PullError:
    return PullError(
        f"{wanted.url} broke off ({error}). {have} bytes are kept: "
        "the same command goes on from there"
    )
