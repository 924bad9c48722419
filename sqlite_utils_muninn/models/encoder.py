"""Small encoders (BERT and its like) in 8-bit integers on the CPU, beside llama.cpp.

llama.cpp multiplies in 32-bit floats, or in blocks of 32 weights that each need a scale of their
own; CPUs of today multiply bytes four times as fast as floats (VNNI). Here every row of
activations and every output's weights have one scale, and one product goes all the way in
integers: `src/` has the compiled part, called through ctypes, which releases the GIL.

Files whose weights are quantized anyway are computed so, where CPU and architecture allow it;
those in 16 or 32 bits stay with llama.cpp, which is exact. `limits.encoder` says otherwise.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from . import llama
from .errors import Aborted, ModelFileError
from .files.tensors import READABLE, Tensors, type_of
from .limits import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .files.header import Header, Tensor

SEQUENCES = 64
TOKENS = 512
"""Texts and tokens of a batch. Measured with MiniLM and texts of 20 tokens, texts a second on one
core: 755 one by one, 1,090 in fours, 1,280 in twenties and forties, 1,160 in 160.
"""

WORDPIECE = "bert"
"""GGUF's name of the tokenizer that `wordpiece.py` has."""

LEAST_AGREEMENT, LEAST_OF_SCORES = 0.985, 0.99
"""With llama.cpp, in the worst of a few texts: cosine of vectors; scores within a hundredth."""

_MULTIPLE = 32  # of which the compiled part wants widths
_MATRICES = ("attn_output", "ffn_up", "ffn_down")
_NORMS = ("attn_output_norm", "layer_output_norm")
_UNQUANTIZED = ("F32", "F16", "BF16", "F64")


@cache
def _library() -> Any:
    spec = find_spec("sqlite_utils_muninn.models._encoder")
    if spec is None or spec.origin is None:
        return None
    library = ctypes.CDLL(spec.origin)
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    library.muninn_encoder_instructions.restype = ctypes.c_char_p
    library.muninn_encoder_instructions.argtypes = [integer]
    library.muninn_encoder_new.restype = pointer
    library.muninn_encoder_new.argtypes = [integer] * 4 + [ctypes.c_float]
    library.muninn_encoder_free.argtypes = [pointer]
    library.muninn_encoder_free.restype = None
    library.muninn_encoder_set_dense.argtypes = [pointer, *[integer] * 4, pointer, pointer]
    library.muninn_encoder_set_norm.argtypes = [pointer, integer, integer, pointer, pointer]
    library.muninn_encoder_run.argtypes = [
        pointer, integer, pointer, pointer, integer, pointer,
    ]  # fmt: skip
    return library


@cache
def instructions() -> tuple[str, ...]:
    """Return the instruction sets that this CPU has and there is code for, the best first."""
    library = _library()
    found: list[str] = []
    while library and (name := library.muninn_encoder_instructions(len(found))):
        found.append(name.decode())
    return tuple(found)


def serves(header: Header, pooling: str, agrees: float | None) -> bool:
    """Whether a file is computed here: wanted, possible on this CPU, and near llama.cpp.

    `agrees` is what the trial run of the file found. Where llama.cpp is not installed there is
    nothing to be near to: then every file is computed here that can be.
    """
    if limits.encoder == "llama.cpp" or limits.gpu_layers or not instructions():
        return False
    if not is_known(header, pooling):
        return False
    if not llama.is_installed():
        return header.tokenizer == WORDPIECE
    if limits.encoder == "int8":
        return True
    return header.quantization not in _UNQUANTIZED and is_near(pooling, agrees)


def is_near(pooling: str, agrees: float | None) -> bool:
    """Whether 8-bit integers suit a model; what was not tried is not trusted."""
    least = LEAST_OF_SCORES if pooling == "rank" else LEAST_AGREEMENT
    return agrees is not None and agrees >= least


def computed_by(header: Header, pooling: str, agrees: float | None) -> str:
    """Return what computes a file here, for people: "int8, AVX-512 VNNI" or "llama.cpp"."""
    return f"int8, {instructions()[0]}" if serves(header, pooling, agrees) else "llama.cpp"


def agreement(header: Header, texts: Sequence[np.ndarray], theirs: np.ndarray) -> float:
    """Return how near the vectors or logits of tokenized texts come to llama.cpp's, `theirs`.

    The least cosine; of a reranker 1 less the largest difference of two scores from 0 to 1.
    """
    encoder = Encoder(header, header.pooling)
    try:
        ours = EncoderContext(encoder).embed(texts)
    finally:
        encoder.close()
    if header.pooling == "rank":
        one, other = (1 / (1 + np.exp(-each.astype(np.float64))) for each in (ours, theirs))
        return float(1 - np.abs(one - other).max())
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float((np.sum(ours * theirs, axis=1) / np.maximum(lengths, 1e-12)).min())


def is_known(header: Header, pooling: str) -> bool:
    """Whether a file is a BERT encoder of which every tensor is as expected."""
    if header.architecture != "bert" or pooling not in ("mean", "cls", "rank"):
        return False
    try:
        shape = Shape(header)
        expected = shape.tensors(pooling)
    except (TypeError, ValueError, KeyError):
        return False
    here = {tensor.name: tensor for tensor in header.tensors}
    allowed = {**expected, **shape.optional()}
    return (
        expected.keys() <= here.keys() <= allowed.keys()
        and all(_shape_of(here[name]) == allowed[name] for name in here)
        and all(type_of(tensor) in READABLE for tensor in here.values())
    )


def _shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Return (rows, columns), or (columns,)."""
    if tensor.name == "cls.output.weight" and len(tensor.shape) == 1:
        return (1, *tensor.shape)  # llama.cpp's quantize leaves out a last length of 1
    return tuple(reversed(tensor.shape))


class Shape:
    """The sizes that a header gives, and the tensors that follow from them."""

    def __init__(self, header: Header) -> None:
        def own(key: str) -> int:
            value = header.own(key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(key)
            return value

        self.layers, self.width = own("block_count"), own("embedding_length")
        self.heads, self.inner = own("attention.head_count"), own("feed_forward_length")
        self.positions = own("context_length")
        self.epsilon = float(header.own("attention.layer_norm_epsilon"))
        tensors = {tensor.name: tensor for tensor in header.tensors}
        self.tokens = tensors["token_embd.weight"].shape[1]
        self.types = (
            tensors["token_types.weight"].shape[1] if "token_types.weight" in tensors else 0
        )
        self.outputs = 0
        if "cls.output.weight" in tensors:
            self.outputs = _shape_of(tensors["cls.output.weight"])[0]
        head = self.width / self.heads
        if self.layers > len(header.tensors):
            raise ValueError("layers")
        if any(size % _MULTIPLE for size in (self.width, self.inner, head)):
            raise ValueError("widths")
        if not 0 < self.epsilon < 1:
            raise ValueError("epsilon")

    def tensors(self, pooling: str) -> dict[str, tuple[int, ...]]:
        """Return names and shapes that must be there."""
        width = self.width
        found: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self.tokens, width),
            "position_embd.weight": (self.positions, width),
            "token_embd_norm.weight": (width,),
            "token_embd_norm.bias": (width,),
        }
        for layer in range(self.layers):
            for name, sizes in self._layer().items():
                found[f"blk.{layer}.{name}.weight"] = sizes
                found[f"blk.{layer}.{name}.bias"] = sizes[:1]
        if pooling == "rank":
            found |= self._classifier()
        return found

    def width_of(self, pooling: str) -> int:
        """Return the length of an embedding, or of a reranker the number of its scores."""
        return self.outputs if pooling == "rank" else self.width

    def optional(self) -> dict[str, tuple[int, ...]]:
        types = {"token_types.weight": (self.types, self.width)} if self.types else {}
        return {**types, **(self._classifier() if self.outputs else {})}

    def _layer(self) -> dict[str, tuple[int, ...]]:
        width, inner = self.width, self.inner
        square = {f"attn_{name}": (width, width) for name in ("q", "k", "v", "output")}
        norms = dict.fromkeys(_NORMS, (width,))
        return {**square, **norms, "ffn_up": (inner, width), "ffn_down": (width, inner)}

    def _classifier(self) -> dict[str, tuple[int, ...]]:
        width = self.width
        return {
            "cls.weight": (width, width), "cls.bias": (width,),
            "cls.output.weight": (self.outputs, width),
            "cls.output.bias": (self.outputs,),
        }  # fmt: skip


class Encoder:
    """A file's weights as bytes. Several threads may run texts through it at once."""

    def __init__(self, header: Header, pooling: str) -> None:
        """Read and quantize the weights of a file that `serves` is true for.

        Raises ModelFileError for weights that are no numbers, and where memory is short.
        """
        self._library = _library()
        self._path = header.path
        self.pooling = pooling
        self._shape = shape = Shape(header)
        tensors = Tensors(header)
        self.embeddings = tensors.rows("token_embd.weight")
        self.positions = tensors.whole("position_embd.weight")
        if shape.types:  # llama.cpp gives every token the first type
            self.positions = self.positions + tensors.rows("token_types.weight").read(slice(1))
        self._classifier = None
        if pooling == "rank":
            names = ("cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias")
            self._classifier = tuple(self._finite(tensors, name) for name in names)
        self.width = shape.width_of(pooling)
        self._handle = self._library.muninn_encoder_new(
            shape.layers, shape.width, shape.heads, shape.inner, shape.epsilon
        )
        try:
            self._fill(tensors)
        except BaseException:
            self.close()
            raise

    def _fill(self, tensors: Tensors) -> None:
        self._set_norm(tensors, -1, 0, "token_embd_norm")
        for layer in range(self._shape.layers):
            name = f"blk.{layer}"
            self._set_dense(tensors, layer, 0, [f"{name}.attn_{part}" for part in "qkv"])
            for which, matrix in enumerate(_MATRICES, 1):
                self._set_dense(tensors, layer, which, [f"{name}.{matrix}"])
            for which, norm in enumerate(_NORMS):
                self._set_norm(tensors, layer, which, f"{name}.{norm}")

    def _set_dense(self, tensors: Tensors, layer: int, which: int, names: list[str]) -> None:
        weights = np.concatenate([self._finite(tensors, f"{name}.weight") for name in names])
        bias = np.concatenate([self._finite(tensors, f"{name}.bias") for name in names])
        self._made(
            self._handle
            and not self._library.muninn_encoder_set_dense(
                self._handle, layer, which, *weights.shape, weights.ctypes.data, bias.ctypes.data
            )
        )

    def _set_norm(self, tensors: Tensors, layer: int, which: int, name: str) -> None:
        gain, bias = (self._finite(tensors, f"{name}.{part}") for part in ("weight", "bias"))
        self._made(
            self._handle
            and not self._library.muninn_encoder_set_norm(
                self._handle, layer, which, gain.ctypes.data, bias.ctypes.data
            )
        )

    def _finite(self, tensors: Tensors, name: str) -> np.ndarray:
        values = np.ascontiguousarray(tensors.whole(name), np.float32)
        if not math.isfinite(float(values.sum(dtype=np.float64))):
            raise ModelFileError(f"{self._path} is damaged: {name} has what is no number")
        return values

    def _made(self, worked: Any) -> None:
        if not worked:
            raise ModelFileError(f"there is no memory for {self._path}")

    def close(self) -> None:
        """Free the memory. No computation may run."""
        if self._handle:
            self._library.muninn_encoder_free(self._handle)
            self._handle = None

    def run(
        self, ids: np.ndarray, lengths: np.ndarray, stop: Any, instruction_set: int = 0
    ) -> np.ndarray:
        """Return the vectors of texts, float32 (texts, width), not normalized.

        `ids` are the tokens of all texts one behind the other, `lengths` int32 and none of them 0;
        `instruction_set` is a place in `instructions()`. Raises Aborted where `stop` was set.
        """
        starts = np.cumsum(lengths) - lengths
        places = np.arange(len(ids)) - np.repeat(starts, lengths)
        try:
            hidden = self.embeddings.read(ids) + self.positions[places]
        except IndexError:
            raise ModelFileError(f"{self._path} has no such token or position") from None
        arrays = hidden.ctypes.data, lengths.ctypes.data, len(lengths)
        code = self._library.muninn_encoder_run(self._handle, instruction_set, *arrays, stop)
        if code > 0:
            raise Aborted("the computation was stopped")
        if code < 0:
            raise ModelFileError(f"there is no memory for a batch of {len(ids):,} tokens")
        return self._pooled(hidden, starts, lengths)

    def _pooled(self, hidden: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if self.pooling == "mean":
            sums = np.add.reduceat(hidden, starts, axis=0)
            return np.asarray(sums / lengths[:, None].astype(np.float32))
        first = hidden[starts]
        if self._classifier is None:
            return np.asarray(first)
        dense, dense_bias, output, output_bias = self._classifier
        pooled = np.tanh(first @ dense.T + dense_bias)
        return np.asarray(pooled @ output.reshape(self.width, -1).T + output_bias, np.float32)


class EncoderContext:
    """What one computation at a time works with; in place of llama.cpp's `Context`."""

    size = 1 << 30
    """Tokens of a batch: memory is taken for each anew."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._stop = ctypes.create_string_buffer(1)

    def abort(self, stop: bool = True) -> None:
        """Stop the computation that runs, and every later one; `False` takes that back."""
        self._stop[0] = b"\1" if stop else b"\0"

    def embed(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the pooled vectors of tokenized texts, float32 (n, width), not normalized.

        A text without a token gets zeros. Raises Aborted.
        """
        out = np.zeros((len(texts), self._encoder.width), np.float32)
        rows = [row for row, ids in enumerate(texts) if len(ids)]
        if rows:
            lengths = np.array([len(texts[row]) for row in rows], np.int32)
            ids = np.concatenate([texts[row] for row in rows])
            out[rows] = self._encoder.run(ids, lengths, self._stop)
        return out

    def close(self) -> None:
        """Free nothing: the encoder has the memory."""
