"""What a backend is, and a model of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from typing_extensions import Unpack

    from sqlite_utils_muninn.settings import Host


class How(TypedDict, total=False):
    """How texts are embedded; what is left out is None."""

    role: str | None
    """'query' or 'document': which prefix of the model's card comes before each text."""
    dimensions: int | None
    """Length that vectors are cut to; None: the model's own."""
    check: Callable[[], None] | None
    """Called every few milliseconds; what it raises ends the work."""
    threads: int | None
    """Cores that may be used; None: as many as there are."""


class TextModel(Protocol):
    """A model as SQL uses it, whatever computes it. All methods may be called by any thread."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str:
        """What tells models apart: tables hold to it. Of the file, or of what names the model."""

    @property
    def dimensions(self) -> int: ...
    @property
    def known_dimensions(self) -> int | None:
        """The dimensions, if nobody must be asked for them."""

    @property
    def context(self) -> int:
        """Tokens that are read of one text."""

    @property
    def query_prefix(self) -> str: ...
    @property
    def document_prefix(self) -> str: ...
    @property
    def path(self) -> Any:
        """The file, or the address of the server."""

    @property
    def architecture(self) -> str: ...
    @property
    def quantization(self) -> str | None: ...
    @property
    def pooling(self) -> str | None: ...
    @property
    def size(self) -> int | None:
        """Bytes of the file; None where there is none."""

    @property
    def is_loaded(self) -> bool: ...
    @property
    def is_reranker(self) -> bool: ...

    def embed(self, texts: Sequence[str], **how: Unpack[How]) -> np.ndarray:
        """Return vectors of length 1, float32 (texts, dimensions), in the order of the texts."""

    def embed_report(
        self,
        texts: Sequence[str],
        *,
        role: str | None = None,
        dimensions: int | None = None,
        check: Callable[[], None] | None = None,
        threads: int | None = None,
    ) -> Any:
        """Return an `Embedded`: the vectors, and how many texts were cut."""

    def tokenize(self, text: str) -> list[int]: ...
    def pieces(self, text: str) -> list[str]: ...
    def token_count(self, text: str) -> int: ...


class Backend(Protocol):
    """A source of models."""

    name: str

    def open(self, name: str, host: Host) -> TextModel | None:
        """Return the model of a name, or None for a name that is not this backend's.

        A backend that reaches a network raises PermissionError where `host.public`. Raises
        ModelFileError, a ValueError, with one sentence for a model that cannot be had.
        """
