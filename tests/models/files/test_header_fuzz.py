"""Thousands of damaged headers: one sentence each, in bounded time and memory, never a crash.

Half of the files are damaged blindly, half by somebody who knows the format: counts, lengths, types
and offsets are replaced by the numbers that break programs. What passes the check must lie in the
file, for native code believes it; some hundred of those are then opened for real, as the project
opens them, in another process.
"""

# ruff: noqa: PT017 - an error is one of two good outcomes

from __future__ import annotations

import random
import struct
import time
from typing import TYPE_CHECKING

import pytest

from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.files.header import Header, HeaderError, read_header
from tests.models import raw_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_CI, LONG = 600, 20_000

NUMBERS = [0, 1, 2, 7, 8, 9, 31, 32, 255, 256, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31,
           1 << 32, (1 << 32) - 1, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
           (1 << 64) - 32]  # fmt: skip


def whole() -> bytes:
    metadata = {
        **raw_gguf.MODEL,
        "general.name": "Tiny",
        "general.alignment": 32,
        "general.tags": ["a", "b"],
        "tokenizer.ggml.tokens": [f"token{n}" for n in range(80)],
    }
    other = ("blk.0.attn_q.weight", (32, 32), 8, 512, 32 * 34)
    return raw_gguf.file(metadata, (raw_gguf.WEIGHT, other))


def damaged(chooser: random.Random, data: bytes) -> bytes:
    """Return a file with one to four faults."""
    changed = bytearray(data)
    header = len(data) - 512 - 32 * 34
    for _ in range(chooser.randint(1, 4)):
        kind = chooser.randrange(6)
        place = chooser.randrange(4 if kind else 0, max(header, 5))
        if kind == 0:
            changed[place % len(changed)] ^= 1 << chooser.randrange(8)
        elif kind == 1:
            changed[place : place + 8] = struct.pack("<Q", chooser.choice(NUMBERS))
        elif kind == 2:
            changed[place : place + 4] = struct.pack("<Q", chooser.choice(NUMBERS))[:4]
        elif kind == 3:
            del changed[place : place + chooser.randint(1, 64)]
        elif kind == 4:
            changed[place:place] = chooser.randbytes(chooser.randint(1, 64))
        else:
            changed = changed[: chooser.randrange(len(changed) + 1)]
        if not changed:
            break
    return bytes(changed)


def targeted(chooser: random.Random, data: bytes) -> bytes:
    """Return a file with a number of the format itself replaced."""
    places = [*fields(data)]
    changed = bytearray(data)
    for _ in range(chooser.randint(1, 2)):
        place, size = chooser.choice(places)
        number = chooser.choice([*NUMBERS, len(data), len(data) - 1, chooser.getrandbits(64)])
        changed[place : place + size] = struct.pack("<Q", number)[:size]
    return bytes(changed)


def fields(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (place, bytes) of counts, lengths, types, shapes and offsets."""
    yield from ((4, 4), (8, 8), (16, 8))
    for key in (b"general.name", b"general.tags", b"tokenizer.ggml.tokens", b"bert.context_length"):
        at = data.index(key)
        yield from ((at - 8, 8), (at + len(key), 4), (at + len(key) + 4, 8))
    for name in (b"token_embd.weight", b"blk.0.attn_q.weight"):
        at = data.index(name) + len(name)
        yield from ((at, 4), (at + 4, 8), (at + 12, 8), (at + 20, 4), (at + 24, 8))


def check_believed(header: Header, size: int) -> None:
    """What native code will rely on."""
    assert header.size == size
    assert 0 < header.dimensions < 1 << 31
    assert 0 < header.context < 1 << 31
    for tensor in header.tensors:
        assert 0 <= tensor.offset <= size
        assert tensor.size is None or tensor.offset + tensor.size <= size


def fuzz(path: Path, cases: int, seed: int) -> list[bytes]:
    """Read so many damaged files; return those that were believed."""
    chooser = random.Random(seed)
    data = whole()
    believed = []
    for _ in range(cases):
        case = chooser.choice((damaged, targeted))(chooser, data)
        path.write_bytes(case)
        started = time.process_time()
        try:
            check_believed(read_header(path), len(case))
            believed.append(case)
        except HeaderError as error:
            assert str(error).startswith(f"failed to load {path}: ")
            assert "\n" not in str(error)
            assert len(str(error)) < 1000 + len(str(path))
        assert time.process_time() - started < 1, "one header took a second"
    return believed


def test_damaged_headers(tmp_path: Path) -> None:
    believed = fuzz(tmp_path / "x.gguf", IN_CI, seed=1)
    assert 0 < len(believed) < IN_CI


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 6))
def test_twenty_thousand_damaged_headers(tmp_path: Path, seed: int) -> None:
    fuzz(tmp_path / "x.gguf", LONG // 4, seed)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_what_is_believed_is_opened_without_a_crash(tmp_path: Path) -> None:
    """llama.cpp may refuse it or die of it: then that is said, and this process goes on."""
    pytest.importorskip("llama_cpp", reason="the extra 'llama' is not installed")
    from sqlite_utils_muninn.models import probe
    from tests.tiny_gguf import Bert

    chooser = random.Random(9)
    data = Bert().write(tmp_path / "whole.gguf").read_bytes()
    header = read_header(tmp_path / "whole.gguf")
    start = min(tensor.offset for tensor in header.tensors)
    opened = refused = 0
    for number in range(4000):
        changed = bytearray(data)
        for _ in range(chooser.randint(1, 3)):
            place = chooser.randrange(24, start)
            changed[place : place + 4] = struct.pack("<Q", chooser.choice(NUMBERS))[:4]
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(bytes(changed))
        try:
            read_header(path)
        except HeaderError:
            path.unlink()
            continue
        try:
            probe.check(path, None)
            opened += 1
        except ModelFileError as error:
            refused += 1
            assert str(error).startswith("failed to load")
        path.unlink()
        if opened + refused == 150:
            break
    print(f"{opened} opened, {refused} refused or died apart")
    assert refused
