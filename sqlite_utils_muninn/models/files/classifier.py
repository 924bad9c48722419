"""A reranker whose classifier was lost in conversion scores without an error, and senselessly.

Many published conversions of Qwen3-Reranker are such (llama.cpp issue 16407), so a file
that is to be a reranker is looked at before it is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelFileError
from .header import read_header

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = frozenset({"cls.weight", "cls.output.weight"})


def check_classifier(path: Path) -> None:
    """Raise ModelFileError if a file has no classifier, and so cannot be a reranker."""
    names = {tensor.name for tensor in read_header(path).tensors}
    if not names & TENSORS:
        raise ModelFileError(
            f"{path} is no reranker: it has no classifier, which many conversions lose. "
            "Look for a file with the tensor 'cls.output.weight'"
        )
