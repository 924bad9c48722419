"""Making a model file smaller, by llama.cpp's own routine in another process.

K-quants hold weights in blocks of 256, so they need rows of a multiple of that; llama.cpp takes
another type for a matrix that has not. The file that comes says what each became.

q8_0 is what BERT models want: 8-bit integers compute it (`encoder.py`) five times as fast as
llama.cpp computes f16. For what stays with llama.cpp, bf16 is as large as f16 and nearly as exact
(mean squared error 5e-08 with MiniLM), and on a CPU with AVX512_BF16, with a llama.cpp that was
built for it, a third faster; q8_0 is slower than f16 there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import apart
from .errors import ModelFileError
from .files import ggml
from .files.header import read_header

if TYPE_CHECKING:
    from .files.header import Header

TYPES = (
    "bf16", "q8_0", "q6_k", "q5_1", "q5_0", "q5_k_m", "q5_k_s", "q4_1", "q4_0", "q4_k_m", "q4_k_s",
    "q3_k_l", "q3_k_m", "q3_k_s", "q2_k",
)  # fmt: skip

_NUMBERS = {name.lower(): number for number, name in ggml.FILE_TYPES.items()}
_FULL = {"F32", "F16", "BF16"}
_BLOCK = 256  # weights in a block of a K-quant
_TIMEOUT = 3600.0  # seconds


def quantize(source: Path, target: Path, wanted: str, threads: int = 0) -> Header:
    """Write a model at `target` with weights of another type and return the new file's header.

    `threads` 0 means all cores. Raises ModelFileError for a source that is quantized already, a
    type that is not in TYPES, or that fits none of its matrices.
    """
    if wanted not in TYPES:
        raise ModelFileError(f"type must be one of {', '.join(TYPES)}, got {wanted!r}")
    header = read_header(source)
    if header.quantization not in _FULL:
        raise ModelFileError(
            f"{source} is quantized already ({header.quantization}): quantizing it again would "
            "add up the errors, so take the f16 or f32 file"
        )
    if "_k" in wanted and not _fits_blocks(header):
        raise ModelFileError(
            f"{source} has no matrix with rows of a multiple of {_BLOCK}, which {wanted} needs: "
            "take q8_0, q5_0 or q4_0"
        )
    try:
        apart.run(__name__, str(source), str(target), wanted, str(threads), timeout=_TIMEOUT)
        return read_header(target)
    except apart.ApartError as error:
        raise ModelFileError(str(error)) from error


def _fits_blocks(header: Header) -> bool:
    return any(len(tensor.shape) > 1 and tensor.shape[0] % _BLOCK == 0 for tensor in header.tensors)


def _work(source: str, target: str, wanted: str, threads: str) -> dict[str, str]:
    from . import llama

    llama.quantize(Path(source), Path(target), _NUMBERS[wanted], int(threads))
    return {}


if __name__ == "__main__":
    sys.exit(apart.main(_work))
