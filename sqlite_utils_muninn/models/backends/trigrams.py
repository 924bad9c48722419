"""The model that is always there: texts as counts of their trigrams, no file and no library.

Each trigram is hashed to a place and a sign (feature hashing, Weinberger et al. 2009), so that the
cosine of two vectors is near the share of trigrams that the texts have in common. It sees spelling,
never meaning: a fallback that finds misspelt names.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlite_utils_muninn.hookspecs import hookimpl

from ..texts.trigrams import trigrams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from typing_extensions import Unpack

    from sqlite_utils_muninn.settings import Host

    from ..model import Embedded
    from .backend import Backend, How, TextModel

NAME = "trigrams"

_CHECKED_EVERY = 64  # texts


@dataclass(frozen=True)
class TrigramModel:
    """Hashed trigrams as vectors."""

    name: str = NAME
    dimensions: int = 1024
    known_dimensions: int = 1024
    sha256: str = "trigrams-1024-crc32"
    context: int = 1 << 30
    query_prefix: str = ""
    document_prefix: str = ""
    path: None = None
    architecture: str = NAME
    quantization: None = None
    pooling: str = "sum"
    size: None = None
    is_loaded: bool = True
    is_reranker: bool = False

    def embed(self, texts: Sequence[str], **how: Unpack[How]) -> np.ndarray:
        """Return the vectors of texts; zeros for a text without letters and digits."""
        return self.embed_report(texts, **how).vectors

    def embed_report(
        self,
        texts: Sequence[str],
        *,
        role: str | None = None,
        dimensions: int | None = None,
        check: Callable[[], None] | None = None,
        threads: int | None = None,
    ) -> Embedded:
        """Return the vectors of texts. Raises ValueError for dimensions that are not its own."""
        import numpy as np

        from ..model import Embedded, check_role

        check_role(role)
        if dimensions not in (None, self.dimensions):
            raise ValueError(
                f"dimensions must be {self.dimensions} for model {self.name!r}, got {dimensions}"
            )
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        tokens = 0
        for row, text in enumerate(texts):
            if check and row % _CHECKED_EVERY == 0:
                check()
            for number in self.tokenize(text):
                vectors[row, number % self.dimensions] += 1 if number & 0x80000000 else -1
                tokens += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return Embedded(vectors / np.where(lengths > 0, lengths, 1), 0, tokens)

    def tokenize(self, text: str) -> list[int]:
        """Return the hashes of a text's trigrams, each once."""
        return [zlib.crc32(piece.encode()) for piece in self.pieces(text)]

    def pieces(self, text: str) -> list[str]:
        """Return the trigrams of a text, each once, sorted."""
        return sorted(trigrams(text))

    def token_count(self, text: str) -> int:
        """Return how many different trigrams a text has."""
        return len(trigrams(text))


class Trigrams:
    """The one model `trigrams`."""

    name = NAME

    def open(self, name: str, host: Host) -> TextModel | None:
        """Return the model if that is its name."""
        return TrigramModel() if name == NAME else None


@hookimpl
def register_muninn_backends() -> Sequence[Backend]:
    return [Trigrams()]
