"""Nomic's BERT (Nussbaum et al. 2024): rotary positions, SwiGLU, one matrix for q, k and v."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.tiny_gguf.bert import Bert
from tests.tiny_gguf.layers import attention, rotate, silu, split_heads

if TYPE_CHECKING:
    import gguf


class NomicBert(Bert):
    """No learned positions and no biases but those of the normalizations."""

    architecture = "nomic-bert"
    rotation_base = 1000.0

    def declare(self) -> None:
        self.table("token_embd", len(self.vocabulary.tokens))
        self.table("token_types", self.token_types)
        self.norm("token_embd_norm")
        for layer in range(self.layers):
            self.matrix(f"blk.{layer}.attn_qkv", 3 * self.width, self.width)
            self.matrix(f"blk.{layer}.attn_output", self.width, self.width)
            self.matrix(f"blk.{layer}.ffn_gate", self.feed_forward, self.width)
            self.matrix(f"blk.{layer}.ffn_up", self.feed_forward, self.width)
            self.matrix(f"blk.{layer}.ffn_down", self.width, self.feed_forward)
            self.norm(f"blk.{layer}.attn_output_norm")
            self.norm(f"blk.{layer}.layer_output_norm")

    def metadata(self, writer: gguf.GGUFWriter) -> None:
        super().metadata(writer)
        writer.add_rope_freq_base(self.rotation_base)

    def hidden(self, ids: list[int]) -> np.ndarray:
        x = self.weight("token_embd")[ids] + self.weight("token_types")[0]
        x = self.normalize("token_embd_norm", x)
        for layer in range(self.layers):
            x = self._layer(f"blk.{layer}", x)
        return x

    def _layer(self, block: str, x: np.ndarray) -> np.ndarray:
        parts = np.split(self.project(f"{block}.attn_qkv", x), 3, axis=1)
        queries, keys, values = (split_heads(part, self.heads) for part in parts)
        queries, keys = rotate(queries, self.rotation_base), rotate(keys, self.rotation_base)
        mixed = self.project(f"{block}.attn_output", attention(queries, keys, values))
        x = self.normalize(f"{block}.attn_output_norm", x + mixed)
        inner = silu(self.project(f"{block}.ffn_gate", x)) * self.project(f"{block}.ffn_up", x)
        return self.normalize(
            f"{block}.layer_output_norm", x + self.project(f"{block}.ffn_down", inner)
        )
