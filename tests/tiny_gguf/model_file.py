"""What the tiny models have in common: weights, the file, and pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path


class TinyModel:
    """A model of two layers with random weights. A subclass is one architecture.

    `declare` makes the tensors, `hidden` computes the last hidden states of one text.
    """

    architecture: str
    pooling: str = "mean"
    vocabulary: Any
    width, heads, feed_forward, layers, positions = 32, 4, 48, 2, 64
    epsilon = 1e-6

    def __init__(self, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, np.ndarray] = {}
        self.declare()

    def declare(self) -> None:
        raise NotImplementedError

    def hidden(self, ids: list[int]) -> np.ndarray:
        raise NotImplementedError

    def metadata(self, writer: gguf.GGUFWriter) -> None:
        """Write the keys that only this architecture has."""

    def embed(self, ids: list[int]) -> np.ndarray:
        """Return the pooled hidden states of one text, not normalized."""
        hidden = self.hidden(ids)
        return {"mean": hidden.mean(axis=0), "cls": hidden[0], "last": hidden[-1]}[self.pooling]

    def write(self, path: Path) -> Path:
        writer = gguf.GGUFWriter(path, self.architecture)
        writer.add_name(f"tiny {self.architecture}")
        writer.add_context_length(self.positions)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.feed_forward)
        writer.add_block_count(self.layers)
        writer.add_head_count(self.heads)
        writer.add_pooling_type(gguf.PoolingType[self.pooling.upper()])
        writer.add_file_type(gguf.LlamaFileType.ALL_F32)
        self.metadata(writer)
        self.vocabulary.write(writer)
        for name, tensor in self.tensors.items():
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    # --- tensors

    def matrix(self, name: str, out: int, into: int, *, bias: bool = False) -> None:
        """A projection of `into` channels to `out`, of a size that keeps activations near 1."""
        weight = self.random.normal(0, 1 / np.sqrt(into), (out, into))
        self.tensors[f"{name}.weight"] = weight.astype(np.float32)
        if bias:
            self.tensors[f"{name}.bias"] = self.random.normal(0, 0.3, out).astype(np.float32)

    def table(self, name: str, rows: int) -> None:
        """An embedding for each of so many rows."""
        weight = self.random.normal(0, 1, (rows, self.width))
        self.tensors[f"{name}.weight"] = weight.astype(np.float32)

    def norm(self, name: str, size: int | None = None, *, bias: bool = True) -> None:
        size = size or self.width
        self.tensors[f"{name}.weight"] = self.random.normal(1, 0.2, size).astype(np.float32)
        if bias:
            self.tensors[f"{name}.bias"] = self.random.normal(0, 0.2, size).astype(np.float32)

    def weight(self, name: str) -> np.ndarray:
        return self.tensors[f"{name}.weight"].astype(np.float64)

    def project(self, name: str, x: np.ndarray) -> np.ndarray:
        """Multiply by a matrix and add its bias, if it has one."""
        return x @ self.weight(name).T + self.tensors.get(f"{name}.bias", 0)
