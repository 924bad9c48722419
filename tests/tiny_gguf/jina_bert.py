"""Jina's BERT v2 (Günther et al. 2023): a linear bias by distance for positions, GEGLU."""

from __future__ import annotations

import numpy as np

from tests.tiny_gguf.bert import Bert
from tests.tiny_gguf.layers import alibi, attention, gelu, split_heads


class JinaBert(Bert):
    """As the English embedding models have it; `as_code` as the newer ones.

    Those normalize queries and keys, add the layer's input a second time after the
    attention, and hold gate and value of the feed-forward network in one matrix.
    """

    architecture = "jina-bert-v2"

    def __init__(self, seed: int = 1, *, as_code: bool = False) -> None:
        self.as_code = as_code
        super().__init__(seed)

    def declare(self) -> None:
        self.table("token_embd", len(self.vocabulary.tokens))
        self.table("token_types", self.token_types)
        self.norm("token_embd_norm")
        for layer in range(self.layers):
            self._declare_layer(f"blk.{layer}")

    def _declare_layer(self, block: str) -> None:
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            self.matrix(f"{block}.{part}", self.width, self.width, bias=True)
        if self.as_code:
            self.norm(f"{block}.attn_q_norm")
            self.norm(f"{block}.attn_k_norm")
            self.norm(f"{block}.attn_norm_2")
            self.matrix(f"{block}.ffn_up", 2 * self.feed_forward, self.width)
        else:
            self.matrix(f"{block}.ffn_gate", self.feed_forward, self.width)
            self.matrix(f"{block}.ffn_up", self.feed_forward, self.width)
        self.matrix(f"{block}.ffn_down", self.width, self.feed_forward, bias=True)
        self.norm(f"{block}.attn_output_norm")
        self.norm(f"{block}.layer_output_norm")

    def hidden(self, ids: list[int]) -> np.ndarray:
        x = self.weight("token_embd")[ids] + self.weight("token_types")[0]
        x = self.normalize("token_embd_norm", x)
        for layer in range(self.layers):
            x = self._layer(f"blk.{layer}", x)
        return x

    def _layer(self, block: str, x: np.ndarray) -> np.ndarray:
        queries, keys, values = (self.project(f"{block}.attn_{part}", x) for part in "qkv")
        if self.as_code:
            queries = self.normalize(f"{block}.attn_q_norm", queries)
            keys = self.normalize(f"{block}.attn_k_norm", keys)
        heads = (split_heads(part, self.heads) for part in (queries, keys, values))
        mixed = attention(*heads, alibi(self.heads, len(x)))
        mixed = self.project(f"{block}.attn_output", mixed)
        middle = self.normalize(f"{block}.attn_output_norm", x + mixed)
        if self.as_code:
            middle = self.normalize(f"{block}.attn_norm_2", middle + x)
        out = self.project(f"{block}.ffn_down", self._inner(block, middle))
        return self.normalize(f"{block}.layer_output_norm", middle + out)

    def _inner(self, block: str, x: np.ndarray) -> np.ndarray:
        up = self.project(f"{block}.ffn_up", x)
        if self.as_code:
            gate, up = np.split(up, 2, axis=1)
        else:
            gate = self.project(f"{block}.ffn_gate", x)
        return gelu(gate) * up
