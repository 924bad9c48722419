"""A model as everything above this room sees it: texts in, vectors and tokens out.

Every connection imports this file, so what takes time to import waits until a model is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ModelFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from typing_extensions import Unpack

    from .backends.backend import How
    from .engine import Engine

ROLES = ("query", "document")

_CHECKED_EVERY = 32  # texts, while they are tokenized


@dataclass(frozen=True)
class Embedded:
    """What came of embedding texts."""

    vectors: np.ndarray
    """float32 (texts, dimensions), each of length 1, in the order of the texts."""
    truncated: int
    """How many texts were longer than the context and were cut."""
    tokens: int
    """Tokens computed, of all texts together."""


@dataclass(frozen=True)
class Model:
    """A model file under a name. Models of one file share its weights and contexts.

    All methods may be called by any thread, and load the file when the first of them needs it.
    """

    engine: Engine
    name: str
    sha256: str
    dimensions: int
    """Length of an embedding."""
    context: int
    """Tokens that are read of one text."""
    query_prefix: str = ""
    document_prefix: str = ""
    layer_norm_before_cut: bool = False
    """Whether a shortened embedding is layer-normalized before it is cut (nomic)."""

    @property
    def known_dimensions(self) -> int:
        return self.dimensions

    @property
    def path(self) -> Path:
        return self.engine.header.path

    @property
    def architecture(self) -> str:
        return self.engine.header.architecture

    @property
    def quantization(self) -> str:
        return self.engine.header.quantization

    @property
    def pooling(self) -> str:
        return self.engine.pooling

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.engine.header.size

    @property
    def is_reranker(self) -> bool:
        """Whether the model scores pairs of texts and has no embeddings."""
        return self.pooling == "rank"

    @property
    def is_loaded(self) -> bool:
        return self.engine.is_loaded

    def prefix(self, role: str | None) -> str:
        """Return what the model wants before a query or a document. Raises ValueError."""
        if role is None:
            return ""
        check_role(role)
        return self.query_prefix if role == "query" else self.document_prefix

    def embed(self, texts: Sequence[str], **how: Unpack[How]) -> np.ndarray:
        """Return the vectors of texts: float32 (texts, dimensions), each of length 1.

        As `embed_report`, which also says how many texts were cut.
        """
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
        """Embed texts, with the prefix of their role, and return the vectors and what was cut.

        `dimensions` below the model's own cuts the vectors, as Matryoshka models are trained for
        (Kusupati et al. 2022), and brings them to length 1 again. `check` is called every few
        milliseconds; what it raises ends the work. A text without any token has a zero vector.

        Raises ValueError for a wrong argument, ModelFileError where the model fails,
        LlamaMissingError.
        """
        import numpy as np

        from .workers import compute

        wanted = self._checked_dimensions(dimensions)
        prefix = self.prefix(role)
        check = check or _nothing
        with self.engine.weights():
            ids, truncated = self._encode([prefix + text for text in texts], check)
            if not ids:
                return Embedded(np.empty((0, wanted), np.float32), 0, 0)
            raw = compute(self.engine, ids, threads or self.engine.capacity, check)
        if not np.isfinite(raw).all():
            raise ModelFileError(f"model {self.name!r} gives no numbers: its file is damaged")
        tokens = sum(len(text) for text in ids)
        return Embedded(self._shortened(raw, wanted), truncated, tokens)

    def tokenize(self, text: str) -> list[int]:
        """Return the token ids of a whole text, special tokens included."""
        with self.engine.weights() as weights:
            return [int(token) for token in weights.tokenize(text)]

    def pieces(self, text: str) -> list[str]:
        """Return what each token of a text stands for; word starts carry a space."""
        with self.engine.weights() as weights:
            return [
                weights.piece(int(token)).decode("utf-8", "replace")
                for token in weights.tokenize(text)
            ]

    def token_count(self, text: str) -> int:
        """Return the number of tokens of a whole text, special tokens included."""
        with self.engine.weights() as weights:
            return len(weights.tokenize(text))

    def _checked_dimensions(self, dimensions: int | None) -> int:
        if self.is_reranker:
            raise ValueError(
                f"model {self.name!r} is a reranker: it scores pairs of texts, "
                "and has no embeddings"
            )
        if dimensions is None:
            return self.dimensions
        if not 0 < dimensions <= self.dimensions:
            raise ValueError(
                f"dimensions must be 1 to {self.dimensions} for model {self.name!r}, "
                f"got {dimensions}"
            )
        return dimensions

    def _encode(
        self, texts: Sequence[str], check: Callable[[], None]
    ) -> tuple[list[np.ndarray], int]:
        """Return the token ids of texts, and how many were cut."""
        truncated = 0
        encoded = []
        with self.engine.weights() as weights:
            for number, text in enumerate(texts):
                if number % _CHECKED_EVERY == 0:
                    check()
                ids, cut = weights.encode(text, self.context)
                truncated += cut
                encoded.append(ids)
        return encoded, truncated

    def _shortened(self, vectors: np.ndarray, dimensions: int) -> np.ndarray:
        """Return vectors of length 1 with so many dimensions."""
        import numpy as np

        if dimensions < vectors.shape[1]:
            if self.layer_norm_before_cut:
                vectors = vectors - vectors.mean(axis=1, keepdims=True)
                vectors /= np.maximum(vectors.std(axis=1, keepdims=True), 1e-12)
            vectors = vectors[:, :dimensions]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.ascontiguousarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def check_role(role: str | None) -> None:
    """Raise ValueError for what is no role of a text."""
    if role is not None and role not in ROLES:
        raise ValueError(f"role must be 'query' or 'document', got {role!r}")


def _nothing() -> None:
    pass
