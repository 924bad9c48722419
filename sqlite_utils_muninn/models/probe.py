"""Opening a new model file in another process first, because native code may kill it.

llama.cpp aborts on what it does not expect, and a build for another CPU dies on its first
multiplication. So `python -m sqlite_utils_muninn.models.probe PATH` loads the file, embeds two
texts and prints what it found; only then is the file opened here. What could be computed in 8-bit
integers (`encoder.py`) is, too, and compared: a model whose activations that does not suit is left
to llama.cpp. What passed is remembered beside
the models by size, time and checksum, and asked again when file, llama.cpp or CPU change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import threading
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import apart
from .errors import ModelFileError
from .files.checksum import sha256_of
from .files.header import Header, read_header
from .files.locks import write_whole

if TYPE_CHECKING:
    from .llama import Context, Weights

RECORDS = "probed.json"
ENCODER = 1
"""Version of what `encoder.py` computes; a new one makes every file be tried again."""
TEXTS = (
    "",
    "A text of a few words, \u2603 and \U0001f600, on a file that is opened for the first time.",
)

_TIMEOUT = 300.0  # seconds; gigabytes from a slow disk
_MOST_RECORDS = 200


class ProbeError(ModelFileError):
    """The file crashed or failed the process that tried it."""


@dataclass(frozen=True)
class Probed:
    """What the trial run of a file found."""

    sha256: str
    dimensions: int
    """Length of an embedding; of a reranker, the number of its scores."""
    pooling: str
    agreement: float | None = None
    """How near 8-bit integers come to llama.cpp, see `encoder.agreement`; None where not tried."""


_memory: dict[str, Probed | ProbeError] = {}
_lock = threading.Lock()


def _start_over_in_child() -> None:
    global _lock  # noqa: PLW0603 - another thread may have held it at the fork
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)


def check(path: Path, directory: Path | None = None) -> Probed:
    """Return what a file is, after it was tried once in another process.

    `directory` is where that is remembered. Raises ModelFileError with one sentence: not a GGUF
    file, cut off, crashes, wrong build; LlamaMissingError where nothing can run it.
    """
    return probed(read_header(path), directory)


def probed(header: Header, directory: Path | None = None) -> Probed:
    """Do as `check` does, for a file whose header was read."""
    key = _key(header.path)
    known = _known(key, directory)
    if known is None:
        with _lock:  # many connections open their first model at once
            known = _known(key, directory) or _tried(header)
            if isinstance(known, Probed):
                _record(directory, key, known)
            _memory[key] = known
    if isinstance(known, ProbeError):
        raise known
    return known


def remembered(path: Path, directory: Path | None = None) -> Probed | None:
    """Return what an earlier trial run found, or None; no process is started."""
    known = _known(_key(path), directory)
    return known if isinstance(known, Probed) else None


def computed_by(header: Header, pooling: str, directory: Path) -> str | None:
    """Return what computes a file here, for people; None where its first trial will decide."""
    from . import encoder

    tried = remembered(header.path, directory)
    if tried is None and encoder.serves(header, pooling, agrees=1.0):
        return None
    return encoder.computed_by(header, pooling, tried.agreement if tried else None)


def _known(key: str, directory: Path | None) -> Probed | ProbeError | None:
    return _memory.get(key) or _recorded(directory, key)


def _key(path: Path) -> str:
    status = path.stat()
    return f"{os.path.realpath(path)}|{status.st_size}|{status.st_mtime_ns}|{_machine()}"


@cache
def _machine() -> str:
    """Return what of this machine decides whether a file runs: llama.cpp's build and the CPU."""
    found = find_spec("llama_cpp")
    built = 0
    for place in (found and found.submodule_search_locations) or ():
        with contextlib.suppress(OSError):
            for part in sorted(Path(place, "lib").iterdir()):
                status = part.stat()
                described = f"{part.name}|{status.st_size}|{status.st_mtime_ns}"
                built = zlib.crc32(described.encode(), built)
    features = ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="ascii") as file:
        features = next((line for line in file if line.startswith(("flags", "Features"))), "")
    return f"{built:08x}|{zlib.crc32(features.encode()):08x}|{ENCODER}"


def _tried(header: Header) -> Probed | ProbeError:
    from . import encoder
    from .llama import is_installed, library

    if not is_installed() and encoder.serves(header, header.pooling, None):
        # No native code reads the file itself then: there is nothing to try in another process.
        width = encoder.Shape(header).width_of(header.pooling)
        return Probed(sha256_of(header.path), width, header.pooling)
    library()  # raises where llama-cpp-python is missing, which is no fault of the file
    try:
        found = _run(header.path)
        return Probed(sha256_of(header.path), **found)
    except ProbeError as error:
        return error


def _run(path: Path) -> dict[str, Any]:
    """Return what a new process finds out about the file. Raises ProbeError."""
    if not sys.executable:  # embedded in another program: there is no Python to start
        return _examine(path)
    try:
        return apart.run(__name__, os.path.abspath(path), timeout=_TIMEOUT)
    except apart.ApartError as error:
        said = str(error)
        text = said if said.startswith("failed to load") else f"failed to load {path}: {said}"
        raise ProbeError(text) from error


def _records(directory: Path | None) -> dict[str, Any]:
    """Return what is remembered; nothing where that cannot be read."""
    if directory is None:
        return {}
    try:
        records = json.loads((directory / RECORDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}


def _recorded(directory: Path | None, key: str) -> Probed | None:
    try:
        found = Probed(**_records(directory)[key])
    except (KeyError, TypeError):
        return None
    return found if isinstance(found.dimensions, int) and found.dimensions > 0 else None


def _record(directory: Path | None, key: str, found: Probed) -> None:
    """Remember a result. Where the directory cannot be written this process alone remembers."""
    if directory is None or not directory.is_dir():
        return
    records = {**_records(directory), key: dataclasses.asdict(found)}
    kept = dict(list(records.items())[-_MOST_RECORDS:])
    with contextlib.suppress(OSError):
        write_whole(directory / RECORDS, (json.dumps(kept, indent=1) + "\n").encode())


def _examine(path: Path) -> dict[str, Any]:
    """Load a file and run it; return what it is. Raises ProbeError, or kills the process."""
    from .llama import SEQUENCES, Context, Weights

    try:
        header = read_header(path)
        weights = Weights(path)
        context = Context(weights, 512 // SEQUENCES * SEQUENCES, header.pooling)
        limit = min(weights.trained_context, 256)
        vectors = context.embed([weights.encode(text, limit)[0] for text in TEXTS])
        nearness = _agreement(header, weights, context)
    except (ValueError, OSError) as error:
        said = str(error)
        text = said if said.startswith("failed to load") else f"failed to load {path}: {said}"
        raise ProbeError(text) from error
    return {
        "dimensions": int(vectors.shape[1]), "pooling": header.pooling, "agreement": nearness
    }  # fmt: skip


def _agreement(header: Header, weights: Weights, context: Context) -> float | None:
    """Return how near the encoder comes to llama.cpp, or None where it cannot run the file."""
    from . import encoder
    from .quality.samples import long_texts, sentences

    if not (encoder.instructions() and encoder.is_known(header, header.pooling)):
        return None
    samples = [*sentences()[::16], "Yes.", " ".join(long_texts(1))]
    texts = [weights.encode(text, min(weights.trained_context, 256))[0] for text in samples]
    theirs = np.concatenate([context.embed([ids]) for ids in texts])
    return encoder.agreement(header, texts, theirs)


if __name__ == "__main__":
    sys.exit(apart.main(lambda path: _examine(Path(path))))
