"""A cross-encoder whose scores are kept: 50 pairs a question take long, and runs share them."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.search.database import Models


class KeptReranker:
    """What `sqlite_utils_muninn.search` takes as `reranker`: a function that gives 0 to 1."""

    def __init__(self, models: Models, cache: Path) -> None:
        from sqlite_utils_muninn.models.registry import registry

        assert models.reranker is not None
        self.model = registry().open_file(models.reranker, directory=cache)
        self.threads = models.threads
        self.kept = sqlite3.connect(cache / f"reranked-{self.model.sha256[:16]}.db")
        self.kept.execute("CREATE TABLE IF NOT EXISTS scores(key BLOB PRIMARY KEY, score REAL)")

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the query."""
        keys = [hashlib.sha256(f"{query}\0{text}".encode()).digest() for text in texts]
        found = {key: self._known(key) for key in keys}
        missing = [n for n, key in enumerate(keys) if found[key] is None]
        if missing:
            from sqlite_utils_muninn.models.rerank import rerank

            wanted = [texts[n] for n in missing]
            scores = rerank(self.model, query, wanted, threads=self.threads).scores
            new = {keys[n]: float(score) for n, score in zip(missing, scores, strict=True)}
            with self.kept:
                self.kept.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", new.items())
            found.update(new)
        return [float(found[key] or 0.0) for key in keys]

    def _known(self, key: bytes) -> float | None:
        row = self.kept.execute("SELECT score FROM scores WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None
