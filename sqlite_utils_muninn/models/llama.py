"""llama.cpp's C interface: the one file that calls it.

`Weights` is a loaded GGUF file and its vocabulary, `Context` the working memory of one computation
at a time. Both are thin; who uses which context when is `engine.py`'s business. ctypes releases the
GIL in every call, so contexts of several threads compute at once.

Native code aborts the process where a size is wrong, so every size is checked on this side.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tokenizing
from .errors import Aborted, ModelFileError
from .files.ggml import POOLING_NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INSTALL = "pip install 'datasette-muninn[llama]'"

SEQUENCES = 16
"""Texts that one batch may hold; divides the size of every context (ggml aborts where not)."""

_FLASH_ATTENTION_AUTO = -1
_ERROR, _CONTINUED = 4, 5  # log levels
_INT32 = ctypes.POINTER(ctypes.c_int32)
_MAX_TEXT = (1 << 31) - 1


class LlamaMissingError(ImportError):
    """llama-cpp-python is not installed, or cannot be loaded."""


@cache
def library() -> Any:
    """Return llama.cpp's functions, its backend ready and its log silent.

    Raises LlamaMissingError, which says what to install, or that another one is in the way.
    """
    _refuse_another()
    try:
        llama_cpp = _bindings()
    except ImportError as error:
        raise LlamaMissingError(
            f"models run on llama-cpp-python, which is not installed: {INSTALL}"
        ) from error
    except (OSError, RuntimeError) as error:
        raise LlamaMissingError(
            f"llama-cpp-python cannot be loaded ({error}); install it anew: "
            f"{INSTALL} --force-reinstall --no-cache-dir"
        ) from error
    llama_cpp.llama_log_set(_log_callback(llama_cpp), None)
    llama_cpp.llama_backend_init()
    return llama_cpp


class _Place(ctypes.Structure):
    """Dl_info of dladdr(3)."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _refuse_another() -> None:
    """Raise LlamaMissingError where functions of llama.cpp's names are there, not of our library.

    Our library would call those, and the process would end: the two pass each other other things.
    """
    spec = find_spec("llama_cpp")
    if sys.platform == "win32" or spec is None:  # there each library finds its own functions
        return
    process = ctypes.CDLL(None)
    function = getattr(process, "llama_backend_init", None)
    place = _Place()
    if function is None or not process.dladdr(function, ctypes.byref(place)):
        return
    file = Path(os.fsdecode(place.file)).resolve()
    ours = [*(spec.submodule_search_locations or ()), os.environ.get("LLAMA_CPP_LIB_PATH")]
    if not any(named and file.is_relative_to(Path(named).resolve()) for named in ours):
        raise LlamaMissingError(
            f"{file.name} has brought a llama.cpp of its own into this process, as the extension "
            "sqlite-muninn does, and two cannot be used in one: leave it out, or run it apart"
        )


def is_installed() -> bool:
    """Whether llama-cpp-python is here, without importing it."""
    return find_spec("llama_cpp") is not None


def _bindings() -> Any:
    """Import llama-cpp-python's module of C functions, and nothing else of it.

    The package's own `__init__` brings templates, caches and a chat completion: a fifth of a second
    until the first embedding. Its modules are forgotten again, so that whoever imports the package
    later gets all of it.
    """
    if "llama_cpp" in sys.modules:
        return import_module("llama_cpp.llama_cpp")
    spec = find_spec("llama_cpp")
    if spec is None:
        raise ImportError("there is no llama_cpp")
    sys.modules["llama_cpp"] = module_from_spec(spec)
    try:
        return import_module("llama_cpp.llama_cpp")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "llama_cpp"]:
            del sys.modules[name]


_complaints = threading.local()


@cache  # which keeps the reference for ever: llama.cpp keeps the bare pointer
def _log_callback(llama_cpp: Any) -> Any:
    """Return a callback that keeps the errors that the calling thread caused, and prints none."""

    def keep(level: int, text: bytes, _: object) -> None:
        lines = getattr(_complaints, "lines", None)
        if lines is None:
            return
        if level == _ERROR:
            lines.append(text.decode("utf-8", "replace"))
        elif level == _CONTINUED and lines:
            lines[-1] += text.decode("utf-8", "replace")

    return llama_cpp.llama_log_callback(keep)


@contextlib.contextmanager
def _collected() -> Iterator[list[str]]:
    """Yield a list that fills with the error lines which this thread's calls log."""
    lines: list[str] = []
    _complaints.lines = lines
    try:
        yield lines
    finally:
        _complaints.lines = None


def _reason(lines: Sequence[str]) -> str:
    """Return what llama.cpp said went wrong, without the names of its functions."""
    said = [line.strip().rpartition("error loading model: ")[2] for line in lines]
    return next((line for line in said if line), "llama.cpp does not say why")


def silence_for_exit() -> None:
    """Let native threads that outlive the interpreter log to no Python code.

    `abs` of the C library stands in: a function that does nothing with the level it is handed.
    """
    if not library.cache_info().currsize:  # nobody needed llama.cpp
        return
    lib = library()
    nothing = ctypes.cast(_c_library().abs, lib.llama_log_callback)
    lib.llama_log_set(nothing, None)


@cache
def _c_library() -> Any:
    return ctypes.CDLL("msvcrt" if os.name == "nt" else None)


class Weights:
    """A loaded model file and its vocabulary. Its methods may be called by any thread."""

    def __init__(
        self, path: Path, gpu_layers: int | None = None, *, vocabulary_only: bool = False
    ) -> None:
        """Load a file whose header was read and that a subprocess has opened before.

        With `vocabulary_only` it can tokenize, and no context can be made of it.

        Raises ModelFileError with llama.cpp's own reason, LlamaMissingError.
        """
        self._lib = library()
        params = self._lib.llama_model_default_params()
        if gpu_layers is not None:
            params.n_gpu_layers = gpu_layers
        params.vocab_only = vocabulary_only
        with _collected() as lines:
            self.handle = self._lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.handle:
            raise ModelFileError(f"failed to load {path}: {_reason(lines)}")
        self._vocabulary = self._lib.llama_model_get_vocab(self.handle)
        self.vocabulary_size = int(self._lib.llama_vocab_n_tokens(self._vocabulary))
        self.dimensions = int(self._lib.llama_model_n_embd_out(self.handle))
        self.outputs = int(self._lib.llama_model_n_cls_out(self.handle))
        self.trained_context = int(self._lib.llama_model_n_ctx_train(self.handle))
        self.bytes = int(self._lib.llama_model_size(self.handle))
        self.ending = self._count_ending()
        """How many special tokens stand behind every text."""
        self.start = int(self._lib.llama_vocab_bos(self._vocabulary))
        self.end = int(self._lib.llama_vocab_eos(self._vocabulary))
        self.separator = int(self._lib.llama_vocab_sep(self._vocabulary))
        if self.end < 0:
            self.end = self.separator
        if self.separator < 0:
            self.separator = self.end
        self.adds_start = self._lib.llama_vocab_get_add_bos(self._vocabulary) and self.start >= 0
        self.adds_end = self._lib.llama_vocab_get_add_eos(self._vocabulary) and self.end >= 0
        self.adds_separator = bool(self._lib.llama_vocab_get_add_sep(self._vocabulary))

    def close(self) -> None:
        """Free the memory. No context of this model may be open."""
        if self.handle:
            self._lib.llama_model_free(self.handle)
            self.handle = None

    def tokenize(self, text: str) -> np.ndarray:
        """Return the token ids of a text with the special tokens around it, int32.

        What looks like a special token inside the text is text: content cannot give commands.
        Raises ValueError for more than 2 GiB.
        """
        return self._tokenize(text, special=True, control=False)

    def tokenize_plain(self, text: str, *, control: bool = False) -> np.ndarray:
        """Return the token ids of a text with nothing around it, int32.

        With `control` the names of control tokens inside it mean those tokens: for prompts only.
        """
        return self._tokenize(text, special=False, control=control)

    def _tokenize(self, text: str, *, special: bool, control: bool) -> np.ndarray:
        data = text.encode("utf-8", "replace")
        if len(data) > _MAX_TEXT:
            raise ValueError(f"a text of {len(data):,} bytes is too long to tokenize")
        room = len(data) // 2 + 16
        while True:
            ids = np.empty(room, np.int32)
            count = self._lib.llama_tokenize(
                self._vocabulary, data, len(data), _pointer(ids), room, special, control
            )
            if count >= 0:
                return np.copy(ids[:count])
            if -count <= room:  # INT32_MIN: more tokens than an int32 counts
                raise ValueError(f"a text of {len(data):,} bytes cannot be tokenized")
            room = -count

    def encode(self, text: str, limit: int) -> tuple[np.ndarray, bool]:
        """Return at most `limit` token ids of a text, and whether that cut it."""
        return tokenizing.encode(self, text, limit)

    def encode_plain(self, text: str, limit: int) -> tuple[np.ndarray, bool]:
        """Do as `encode` does, with no special token around the text."""
        return tokenizing.encode_plain(self, text, limit)

    def _count_ending(self) -> int:
        """Return the length of what the ids of two texts end in, beyond what they start with."""
        none, some = self.tokenize(""), self.tokenize("a")
        start = 0
        while start < min(len(none), len(some)) and none[start] == some[start]:
            start += 1
        return min(len(none) - start, len(some) - start)

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """Return the bytes that a token stands for.

        A special token gives what it is written as, `[CLS]`, or nothing without `special`.
        """
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._lib.llama_token_to_piece(
                self._vocabulary, self._checked(token), buffer, room, 0, special
            )
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def is_control(self, token: int) -> bool:
        """Whether a token steers the model and stands for no text."""
        return bool(self._lib.llama_vocab_is_control(self._vocabulary, self._checked(token)))

    def chat_template(self, name: str) -> str | None:
        """Return the template of a name that the file carries, if it does."""
        found = self._lib.llama_model_chat_template(self.handle, name.encode())
        return found.decode("utf-8", "replace") if found else None

    def score(self, token: int) -> float:
        """Return the score that the vocabulary gives a token."""
        return float(self._lib.llama_vocab_get_score(self._vocabulary, self._checked(token)))

    def _checked(self, token: int) -> int:
        if not 0 <= token < self.vocabulary_size:
            raise ValueError(
                f"token {token} is not in the vocabulary, 0 to {self.vocabulary_size - 1} are"
            )
        return token


def quantize(source: Path, target: Path, file_type: int, threads: int) -> None:
    """Write a model file again in another mix of tensor types (`ggml.FILE_TYPES`).

    Native code that may abort: run it in another process. Raises ModelFileError.
    """
    lib = library()
    params = lib.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = threads
    with _collected() as lines:
        code = lib.llama_model_quantize(
            os.fsencode(source), os.fsencode(target), ctypes.byref(params)
        )
    if code:
        raise ModelFileError(f"{source} cannot be quantized: {_reason(lines)}")


class Context:
    """Working memory for batches of up to `size` tokens. One thread at a time may use it."""

    def __init__(self, weights: Weights, size: int, pooling: str) -> None:
        """Raise ModelFileError where llama.cpp cannot make one (memory, mostly)."""
        if size % SEQUENCES:
            raise ValueError(f"a context's size must be a multiple of {SEQUENCES}, got {size}")
        self._lib = library()
        self.size = size
        self.handle = self._open(weights, pooling)
        # Decoders keep the past in a memory, and only llama_decode fills it; encoders have none.
        self._memory = self._lib.llama_get_memory(self.handle)
        self._run = self._lib.llama_decode if self._memory else self._lib.llama_encode
        self._width = weights.outputs if pooling == "rank" else weights.dimensions
        self._make_batch()
        self._make_abort_flag()

    def _open(self, weights: Weights, pooling: str) -> Any:
        params = self._lib.llama_context_default_params()
        # One pass computes the whole batch: encoders cannot be split, and mean pooling is not.
        params.n_ctx = params.n_batch = params.n_ubatch = self.size
        params.n_seq_max = SEQUENCES
        # Many contexts with one thread beat one context with many: ggml's threads spin.
        params.n_threads = params.n_threads_batch = 1
        params.embeddings = True
        params.pooling_type = POOLING_NUMBERS[pooling]
        params.flash_attn_type = _FLASH_ATTENTION_AUTO
        params.kv_unified = True
        params.no_perf = True
        with _collected() as lines:
            handle = self._lib.llama_init_from_model(weights.handle, params)
        if not handle:
            raise ModelFileError(
                f"no context of {self.size:,} tokens can be made: {_reason(lines)}"
            )
        return handle

    def _make_batch(self) -> None:
        size = self.size
        self._tokens = np.zeros(size, np.int32)
        self._positions = np.zeros(size, np.int32)
        self._sequences = np.zeros(size, np.uintp)  # a pointer to each token's sequence id
        self._ones = np.ones(size, np.int32)
        self._outputs = np.ones(size, np.int8)
        self._ids = np.arange(SEQUENCES, dtype=np.int32)
        self._counting = np.arange(size, dtype=np.int32)
        batch = self._batch = self._lib.llama_batch()
        batch.token = _pointer(self._tokens)
        batch.pos = _pointer(self._positions)
        batch.n_seq_id = _pointer(self._ones)
        batch.seq_id = self._sequences.ctypes.data_as(ctypes.POINTER(_INT32))
        batch.logits = self._outputs.ctypes.data_as(ctypes.POINTER(ctypes.c_int8))

    def _make_abort_flag(self) -> None:
        """Make ggml ask a flag between two operations whether to stop.

        The question must not need the GIL (a busy Python thread would hold it for 5 ms each time),
        so `strlen` of the C library answers it: 0, false, until the string is no longer empty.
        """
        self._flag = ctypes.create_string_buffer(2)
        self._ask = ctypes.cast(_c_library().strlen, self._lib.ggml_abort_callback)
        self._lib.llama_set_abort_callback(
            self.handle, self._ask, ctypes.cast(self._flag, ctypes.c_void_p)
        )

    def abort(self, stop: bool = True) -> None:
        """Stop the computation that runs, and every later one; `False` takes that back."""
        self._flag[0] = b"\1" if stop else b"\0"

    def embed(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the pooled vectors of tokenized texts, float32 (n, width), not normalized.

        A text without a token gets zeros. Raises ValueError where the texts do not fit, Aborted.
        """
        out = np.zeros((len(texts), self._width), np.float32)
        rows = [row for row, ids in enumerate(texts) if len(ids)]
        if not rows:
            return out
        self._batch.n_tokens = self._fill([texts[row] for row in rows])
        if self._memory:
            self._lib.llama_memory_clear(self._memory, False)
        self._compute()
        for sequence, row in enumerate(rows):
            vector = self._lib.llama_get_embeddings_seq(self.handle, sequence)
            if not vector:
                raise ModelFileError("the model gives no embedding of a text")
            ctypes.memmove(out[row].ctypes.data, vector, 4 * self._width)
        return out

    def _fill(self, texts: Sequence[np.ndarray]) -> int:
        """Write texts into the batch and return its number of tokens."""
        total = sum(len(ids) for ids in texts)
        if total > self.size or len(texts) > SEQUENCES:
            raise ValueError(
                f"{len(texts)} texts of {total} tokens do not fit a context of "
                f"{SEQUENCES} texts and {self.size} tokens"
            )
        start = 0
        for sequence, ids in enumerate(texts):
            end = start + len(ids)
            self._tokens[start:end] = ids
            self._positions[start:end] = self._counting[: len(ids)]
            self._sequences[start:end] = self._ids.ctypes.data + 4 * sequence
            start = end
        return total

    def _compute(self) -> None:
        with _collected() as lines:
            code = self._run(self.handle, self._batch)
        if code and self._flag[0] != b"\0":
            raise Aborted("the computation was stopped")
        if code:
            raise ModelFileError(f"llama.cpp failed with code {code}: {_reason(lines)}")

    def close(self) -> None:
        """Free the memory."""
        if self.handle:
            self._lib.llama_free(self.handle)
            self.handle = None


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(_INT32)
