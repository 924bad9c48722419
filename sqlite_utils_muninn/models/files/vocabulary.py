"""The tokens that a GGUF file carries, read without native code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ModelFileError
from .header import read_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .header import Header

_TEXTS, _KINDS = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
_NORMAL = 1


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by their number."""

    texts: Sequence[str]
    kinds: Sequence[int]
    """GGUF's types: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 a byte."""


def read_vocabulary(header: Header) -> Vocabulary:
    """Return the vocabulary of a file. Raises ModelFileError for a file without one."""
    arrays = read_arrays(header.path, (_TEXTS, _KINDS))
    texts = arrays.get(_TEXTS)
    if not texts:
        raise ModelFileError(f"{header.path} has no vocabulary")
    kinds = arrays.get(_KINDS) or [_NORMAL] * len(texts)
    if len(kinds) != len(texts):
        raise ModelFileError(f"{header.path} has {len(texts)} tokens and {len(kinds)} types")
    return Vocabulary(texts, kinds)
