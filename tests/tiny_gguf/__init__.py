"""Tiny GGUF models with random weights, and what they compute, in numpy.

One module for each architecture that matters to embeddings and reranking: it writes a
file that llama.cpp reads, and computes the same again from the published definition of
the architecture. Files have some hundred kB, fixed seeds and 32-bit weights.
"""

from tests.tiny_gguf.bert import Bert, BertReranker
from tests.tiny_gguf.jina_bert import JinaBert
from tests.tiny_gguf.model_file import TinyModel
from tests.tiny_gguf.nomic_bert import NomicBert
from tests.tiny_gguf.qwen3 import Qwen3, Qwen3Reranker

__all__ = ["Bert", "BertReranker", "JinaBert", "NomicBert", "Qwen3", "Qwen3Reranker", "TinyModel"]
