"""The texts' vectors, made once and kept: an interrupted run goes on where it stopped."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.vectors.texts import texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUERIES = 1_000
STEP = 1_000  # texts between two saves


def embedded(count: int, model: Path, wordnet: Path, cache: Path, threads: int) -> Any:
    """Return vectors of `count` texts and of 1,000 others to ask for, float32, of length 1."""
    chosen = texts(count + QUERIES, wordnet)
    # The queries come first, so that the first vectors of a longer run are those of a shorter one.
    vectors = embed(chosen, model, cache, threads)
    return vectors[QUERIES:], vectors[:QUERIES]


def embed(given: Sequence[str], model: Path, cache: Path, threads: int) -> Any:
    """Embed with the project's own batches, in steps that are each kept under their own digest."""
    from sqlite_utils_muninn.models.registry import registry

    cache.mkdir(parents=True, exist_ok=True)
    opened = registry().open_file(model, directory=cache)
    parts = []
    for start in range(0, len(given), STEP):
        step = list(given[start : start + STEP])
        digest = hashlib.sha256("\0".join([opened.sha256, *step]).encode()).hexdigest()
        path = cache / f"{digest[:24]}.npy"
        if not path.exists():
            vectors = opened.embed_report(step, threads=threads).vectors
            partial = path.with_suffix(".partial.npy")
            np.save(partial, vectors.astype(np.float32))
            partial.replace(path)
            print(f"embedded {start + len(step):,} of {len(given):,}", file=sys.stderr, flush=True)
        parts.append(np.load(path))
    vectors = np.concatenate(parts)
    return np.ascontiguousarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
