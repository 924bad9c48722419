"""What a model file says of itself, for people: from the header, without loading it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from . import ggml

if TYPE_CHECKING:
    from .header import Header

_VOCABULARIES = {
    "bert": "WordPiece",
    "gpt2": "byte-level BPE",
    "llama": "SentencePiece BPE",
    "t5": "unigram",
    "gemma4": "BPE",
}


def facts_of(header: Header) -> dict[str, Any]:
    """Return facts by name, in the order to show them; what the file does not say is left out."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    labels = header.own("classifier.output_labels")
    facts = {
        "architecture": header.architecture,
        "name": header.name,
        "parameters": header.parameters,
        "size": header.size,
        "quantization": header.quantization,
        "weights": mix_of(header),
        "dimensions": header.dimensions,
        "context": header.context,
        "pooling": header.pooling,
        "layers": header.own("block_count"),
        "heads": header.own("attention.head_count"),
        "feed_forward": header.own("feed_forward_length"),
        "tokenizer": header.tokenizer,
        "vocabulary": _VOCABULARIES.get(header.tokenizer or ""),
        "tokens": getattr(tokens, "length", None),
        "labels": list(getattr(labels, "items", ())) or None,
        "rerank_prompt": header.metadata.get("tokenizer.chat_template.rerank"),
        "licence": header.licence,
        "gguf_version": header.version,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def mix_of(header: Header) -> dict[str, int]:
    """Return how many weights a file has of each tensor type, the most first."""
    weights: dict[str, int] = {}
    for tensor in header.tensors:
        known = ggml.TENSOR_TYPES.get(tensor.type)
        name = known.name if known else f"type {tensor.type}"
        weights[name] = weights.get(name, 0) + math.prod(tensor.shape)
    return dict(sorted(weights.items(), key=lambda item: -item[1]))
