"""BERT (Devlin et al. 2019), and XLM-RoBERTa with a classifier, which has the same layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.tiny_gguf.layers import attention, gelu, layer_norm, split_heads
from tests.tiny_gguf.model_file import TinyModel
from tests.tiny_gguf.vocabularies import Unigram, WordPiece

if TYPE_CHECKING:
    import gguf


class Bert(TinyModel):
    """Learned positions, normalization after each sublayer, GELU."""

    architecture = "bert"
    vocabulary = WordPiece()
    token_types = 2

    def declare(self) -> None:
        self.table("token_embd", len(self.vocabulary.tokens))
        self.table("position_embd", self.positions)
        self.table("token_types", self.token_types)
        self.norm("token_embd_norm")
        for layer in range(self.layers):
            for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
                self.matrix(f"blk.{layer}.{part}", self.width, self.width, bias=True)
            self.matrix(f"blk.{layer}.ffn_up", self.feed_forward, self.width, bias=True)
            self.matrix(f"blk.{layer}.ffn_down", self.width, self.feed_forward, bias=True)
            self.norm(f"blk.{layer}.attn_output_norm")
            self.norm(f"blk.{layer}.layer_output_norm")

    def metadata(self, writer: gguf.GGUFWriter) -> None:
        writer.add_layer_norm_eps(self.epsilon)
        writer.add_causal_attention(False)
        writer.add_token_type_count(self.token_types)

    def hidden(self, ids: list[int]) -> np.ndarray:
        x = self.weight("token_embd")[ids] + self.weight("position_embd")[: len(ids)]
        x = self.normalize("token_embd_norm", x + self.weight("token_types")[0])
        for layer in range(self.layers):
            x = self._layer(f"blk.{layer}", x)
        return x

    def _layer(self, block: str, x: np.ndarray) -> np.ndarray:
        queries, keys, values = (
            split_heads(self.project(f"{block}.attn_{part}", x), self.heads) for part in "qkv"
        )
        mixed = self.project(f"{block}.attn_output", attention(queries, keys, values))
        x = self.normalize(f"{block}.attn_output_norm", x + mixed)
        inner = gelu(self.project(f"{block}.ffn_up", x))
        return self.normalize(
            f"{block}.layer_output_norm", x + self.project(f"{block}.ffn_down", inner)
        )

    def normalize(self, name: str, x: np.ndarray) -> np.ndarray:
        return layer_norm(x, self.weight(name), self.tensors[f"{name}.bias"], self.epsilon)


class BertReranker(Bert):
    """A cross-encoder: XLM-RoBERTa (Conneau et al. 2020) whose head gives one logit for a pair."""

    pooling = "rank"
    vocabulary = Unigram()
    token_types = 1

    def declare(self) -> None:
        super().declare()
        self.matrix("cls", self.width, self.width, bias=True)
        self.matrix("cls.output", 1, self.width, bias=True)

    def embed(self, ids: list[int]) -> np.ndarray:
        """Return the logit of two texts that were joined."""
        first = self.hidden(ids)[0]
        return self.project("cls.output", np.tanh(self.project("cls", first)))
