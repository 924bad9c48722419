"""Embedders that need no model file: words are hashed into dimensions.

They are real ones, only simple: texts that share words are near each other, the same text always
gets the same vector, and every call is noted.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlite_utils_muninn.settings import Host


@dataclass
class Report:
    vectors: Any
    truncated: int


@dataclass
class Words:
    """Counts of hashed words, at length 1; reads the first `context` words of a text."""

    name: str = "words"
    sha256: str = "a" * 64
    dimensions: int = 256
    context: int = 8
    query_prefix: str = ""
    document_prefix: str = ""
    batches: list[list[str]] = field(default_factory=list)

    def embed_report(
        self,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        check: Callable[[], None] | None = None,
        threads: int | None = None,
    ) -> Report:
        self.batches.append(list(texts))
        vectors = np.zeros((len(texts), dimensions or self.dimensions), np.float32)
        for row, text in zip(vectors, texts, strict=True):
            if check:
                check()
            if "cannot be embedded" in text:
                raise ValueError("the model failed")
            for word in text.lower().split()[: self.context]:
                row[zlib.crc32(word.encode()) % len(row)] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors /= np.maximum(lengths, 1e-12)
        return Report(vectors, sum(self.token_count(text) > self.context for text in texts))

    def token_count(self, text: str) -> int:
        return len(text.split())

    @property
    def texts(self) -> list[str]:
        """All texts that were ever embedded."""
        return [text for batch in self.batches for text in batch]


@dataclass
class Shelf:
    """Looks models up by name, as the models room does."""

    models: dict[str, Words]

    def __call__(self, db: Any, host: Host, name: str, caller: str) -> Words:
        if name not in self.models:
            known = ", ".join(self.models) or "none"
            raise ValueError(f"{caller}: model {name!r} is not loaded. Loaded: {known}")
        return self.models[name]
