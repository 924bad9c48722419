"""How a reranker wants a query and a document joined.

An encoder reads `[CLS] query [SEP] document [SEP]`, with the special tokens of its vocabulary; a
decoder (Qwen3-Reranker) reads a prompt that its file carries as the chat template "rerank", with
`{query}` and `{document}` in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .engine import AnyWeights
    from .files.header import Header

TEMPLATE = "rerank"
QUERY, DOCUMENT = "{query}", "{document}"

_ADD_SEPARATOR = "tokenizer.ggml.add_sep_token"


@dataclass(frozen=True)
class Pairs:
    """The pairs of one query, ready to be completed with documents.

    Tokens stand in the order before, document, after.
    """

    weights: AnyWeights
    before: np.ndarray
    lead: str
    """Text of the prompt that runs into the document without a special token between."""
    trail: str
    """Text of the prompt that follows the document in the same way."""
    after: np.ndarray
    limit: int

    def encode(self, document: str) -> tuple[np.ndarray, bool]:
        """Return the tokens of the pair, at most `limit`, and whether the document was cut."""
        room = self.limit - len(self.before) - len(self.after)
        whole = self.lead + document + self.trail
        ids, cut = self.weights.encode_plain(whole, room)
        if cut and self.trail:  # the prompt must go on as it should behind a document that ends
            trail = self.weights.tokenize_plain(self.trail)
            ids = np.concatenate([ids[: max(0, room - len(trail))], trail])
        return np.concatenate([self.before, ids, self.after]), cut


def pairs_of(weights: AnyWeights, header: Header, query: str, limit: int) -> tuple[Pairs, bool]:
    """Return what joins documents to a query, and whether the query was cut.

    A query may take half of `limit`, so that there is room for documents.
    """
    template = weights.chat_template(TEMPLATE)
    if template is None:
        return _joined(weights, header, query, limit)
    return _prompted(weights, template, query, limit)


def _joined(weights: AnyWeights, header: Header, query: str, limit: int) -> tuple[Pairs, bool]:
    ids, cut = weights.encode_plain(query, limit // 2)
    end = [weights.end] if weights.adds_end else []
    separator = [weights.separator] if _doubles_separator(weights, header) else []
    start = [weights.start] if weights.adds_start else []
    before = np.array([*start, *ids, *end, *separator], np.int32)
    return Pairs(weights, before, "", "", np.array(end, np.int32), limit), cut


def _doubles_separator(weights: AnyWeights, header: Header) -> bool:
    """Whether two separators stand between query and document, as RoBERTa has it.

    Where a file does not say, its vocabulary does: a unigram one (`t5`) is XLM-RoBERTa's.
    """
    if _ADD_SEPARATOR in header.metadata:
        return weights.adds_separator
    return weights.adds_separator or header.tokenizer == "t5"


def _prompted(weights: AnyWeights, template: str, query: str, limit: int) -> tuple[Pairs, bool]:
    """Fill in a prompt. Control tokens count in the prompt alone, never in what is filled in."""
    ids, cut = weights.encode_plain(query, limit // 2)
    if cut:
        query = b"".join(weights.piece(int(token)) for token in ids).decode("utf-8", "ignore")
    parts = _split(weights, template)
    holder = next((i for i, part in enumerate(parts) if i % 2 == 0 and DOCUMENT in part), None)
    if holder is None:
        raise ValueError("the model's rerank template has no place for the document")
    lead, _, trail = parts[holder].partition(DOCUMENT)
    before = _tokens(weights, parts[:holder], query, 0)
    after = _tokens(weights, parts[holder + 1 :], query, holder + 1)
    lead, trail = lead.replace(QUERY, query), trail.replace(QUERY, query)
    return Pairs(weights, before, lead, trail, after, limit), cut


def _split(weights: AnyWeights, template: str) -> list[str]:
    """Return a prompt as plain text, control token, plain text, ..."""
    tokens = weights.tokenize_plain(template, control=True)
    controls = {
        weights.piece(int(token)).decode("utf-8", "replace")
        for token in tokens
        if weights.is_control(int(token))
    }
    if not controls:
        return [template]
    longest_first = sorted(map(re.escape, controls), key=len, reverse=True)
    return re.split(f"({'|'.join(longest_first)})", template)


def _tokens(weights: AnyWeights, parts: list[str], query: str, first: int) -> np.ndarray:
    """Return the tokens of parts; those with an odd number, counted from `first`, are control."""
    ids = [
        weights.tokenize_plain(part, control=True)
        if number % 2
        else weights.tokenize_plain(part.replace(QUERY, query))
        for number, part in enumerate(parts, first)
        if part
    ]
    return np.concatenate(ids) if ids else np.empty(0, np.int32)
