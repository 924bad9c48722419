"""Qwen3 (Yang et al. 2025) as an embedding model: a decoder, read at its last token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tiny_gguf.layers import (
    attention,
    causal_mask,
    rms_norm,
    rotate,
    silu,
    softmax,
    split_heads,
)
from tests.tiny_gguf.model_file import TinyModel
from tests.tiny_gguf.vocabularies import BytePairs, ChatBytePairs

if TYPE_CHECKING:
    import gguf
    import numpy as np


class Qwen3(TinyModel):
    """Normalization before each sublayer, of each query and key head too; shared key heads."""

    architecture = "qwen3"
    pooling = "last"
    vocabulary = BytePairs()
    key_heads, head_size = 2, 16  # heads * head_size is wider than the model, as in Qwen3-0.6B
    rotation_base = 1_000_000.0

    def declare(self) -> None:
        self.table("token_embd", len(self.vocabulary.tokens))
        self.norm("output_norm", bias=False)
        all_heads, all_keys = self.heads * self.head_size, self.key_heads * self.head_size
        for layer in range(self.layers):
            block = f"blk.{layer}"
            self.norm(f"{block}.attn_norm", bias=False)
            self.norm(f"{block}.ffn_norm", bias=False)
            self.norm(f"{block}.attn_q_norm", self.head_size, bias=False)
            self.norm(f"{block}.attn_k_norm", self.head_size, bias=False)
            self.matrix(f"{block}.attn_q", all_heads, self.width)
            self.matrix(f"{block}.attn_k", all_keys, self.width)
            self.matrix(f"{block}.attn_v", all_keys, self.width)
            self.matrix(f"{block}.attn_output", self.width, all_heads)
            self.matrix(f"{block}.ffn_gate", self.feed_forward, self.width)
            self.matrix(f"{block}.ffn_up", self.feed_forward, self.width)
            self.matrix(f"{block}.ffn_down", self.width, self.feed_forward)

    def metadata(self, writer: gguf.GGUFWriter) -> None:
        writer.add_layer_norm_rms_eps(self.epsilon)
        writer.add_head_count_kv(self.key_heads)
        writer.add_key_length(self.head_size)
        writer.add_value_length(self.head_size)
        writer.add_rope_freq_base(self.rotation_base)

    def hidden(self, ids: list[int]) -> np.ndarray:
        x = self.weight("token_embd")[ids]
        for layer in range(self.layers):
            x = self._layer(f"blk.{layer}", x)
        return self.normalize("output_norm", x)

    def _layer(self, block: str, x: np.ndarray) -> np.ndarray:
        normed = self.normalize(f"{block}.attn_norm", x)
        queries = split_heads(self.project(f"{block}.attn_q", normed), self.heads)
        keys = split_heads(self.project(f"{block}.attn_k", normed), self.key_heads)
        values = split_heads(self.project(f"{block}.attn_v", normed), self.key_heads)
        queries = rotate(self.normalize(f"{block}.attn_q_norm", queries), self.rotation_base)
        keys = rotate(self.normalize(f"{block}.attn_k_norm", keys), self.rotation_base)
        mixed = attention(queries, keys, values, causal_mask(len(x)))
        x = x + self.project(f"{block}.attn_output", mixed)
        normed = self.normalize(f"{block}.ffn_norm", x)
        gate, up = (self.project(f"{block}.ffn_{part}", normed) for part in ("gate", "up"))
        return x + self.project(f"{block}.ffn_down", silu(gate) * up)

    def normalize(self, name: str, x: np.ndarray) -> np.ndarray:
        return rms_norm(x, self.weight(name), self.epsilon)


class Qwen3Reranker(Qwen3):
    """Qwen3-Reranker: the share of "yes" against "no" at the last token of a prompt.

    The labels stand in the order that the argument gives them.
    """

    pooling = "rank"
    vocabulary = ChatBytePairs()
    positions = 128
    opening, turn = "judge: yes or no\nquery: ", "\ndocument: "

    def __init__(self, seed: int = 1, labels: tuple[str, str] = ("yes", "no")) -> None:
        self.labels = labels
        super().__init__(seed)

    def declare(self) -> None:
        super().declare()
        self.matrix("cls.output", 2, self.width)

    def metadata(self, writer: gguf.GGUFWriter) -> None:
        super().metadata(writer)
        writer.add_classifier_output_labels(list(self.labels))
        start, end = self.vocabulary.control
        template = f"{start}{self.opening}{{query}}{self.turn}{{document}}{end}\n{start}answer\n"
        writer.add_string("tokenizer.chat_template.rerank", template)

    def encode_pair(self, query: str, document: str) -> list[int]:
        start, end = self.vocabulary.control
        text = f"{self.opening}{query}{self.turn}{document}"
        return self.vocabulary.encode_prompt(start, text, end, "\n", start, "answer\n")

    def embed(self, ids: list[int]) -> np.ndarray:
        """Return the shares of the two labels."""
        return softmax(self.project("cls.output", self.hidden(ids)[-1]))
