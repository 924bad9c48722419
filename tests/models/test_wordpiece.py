"""WordPiece of our own gives what llama.cpp gives, for any text, and for files of strangers."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pytest

from sqlite_utils_muninn.models import encoder
from sqlite_utils_muninn.models.errors import ModelFileError
from sqlite_utils_muninn.models.files.header import read_arrays, read_header
from sqlite_utils_muninn.models.wordpiece import WordPiece
from tests.tiny_gguf import Bert

if TYPE_CHECKING:
    from pathlib import Path

    from sqlite_utils_muninn.models.llama import Weights

PARTS = [
    "the", "Quick", "BROWN", "fox", "unaffable", "Straße", "naïve", "İstanbul", "ﬁne", "ΣΊΣΥΦΟΣ",
    "東京都", "日本", "ไทย", "नमस्ते", "한국어", "e\u0301", "don't", "3.14", "C++", "[CLS]", "##ing",
    "\u2581", "\u200d", "\ufeff", "\x00", "\t", "\n", "\u3000", "…", "—", "$5", "^", "`", "🎉",
    "\ud800", "x" * 120, "antidisestablishmentarianism", "_", "~", "\u00ad", "\u00a0",
]  # fmt: skip


@pytest.fixture(scope="module")
def theirs(minilm_path: Path) -> Weights:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    from sqlite_utils_muninn.models import llama

    return llama.Weights(minilm_path, vocabulary_only=True)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ours(minilm_path: Path) -> WordPiece:
    return WordPiece(read_header(minilm_path))


def test_every_character_is_treated_alike(theirs: Weights, ours: WordPiece) -> None:
    """All that this Python's Unicode knows; llama.cpp knows the characters of newer ones, too."""
    known = [chr(c) for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c)) != "Cn"]
    for start in range(0, len(known), 200):
        text = " ".join(f"a{character}b" for character in known[start : start + 200])
        if not np.array_equal(ours.tokenize(text), theirs.tokenize(text)):
            for character in known[start : start + 200]:
                word = f"a{character}b"
                assert list(ours.tokenize(word)) == list(theirs.tokenize(word)), repr(character)


def test_texts_of_any_kind(theirs: Weights, ours: WordPiece) -> None:
    rng = random.Random(11)
    for _ in range(3000):
        glue = rng.choice(["", " ", " ", "-"])
        text = glue.join(rng.choices(PARTS, k=rng.randint(0, 12)))
        assert list(ours.tokenize(text)) == list(theirs.tokenize(text)), repr(text)
        assert list(ours.tokenize_plain(text)) == list(theirs.tokenize_plain(text)), repr(text)
        limit = rng.randint(3, 20)
        for mine, other in (
            (ours.encode(text, limit), theirs.encode(text, limit)),
            (ours.encode_plain(text, limit), theirs.encode_plain(text, limit)),
        ):
            assert (list(mine[0]), mine[1]) == (list(other[0]), other[1])


def test_every_token_is_written_alike(theirs: Weights, ours: WordPiece) -> None:
    for name in (
        "vocabulary_size", "start", "end", "separator", "ending", "adds_start", "adds_end",
        "adds_separator", "bytes",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    for token in range(0, ours.vocabulary_size, 7):
        for special in (True, False):
            assert ours.piece(token, special=special) == theirs.piece(token, special=special)
        assert ours.is_control(token) == theirs.is_control(token)
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        ours.piece(ours.vocabulary_size)


def test_a_megabyte_costs_what_the_context_costs(ours: WordPiece) -> None:
    text = "knowledge graphs " * 200_000
    started = time.process_time()
    ids, cut = ours.encode(text, 512)
    assert (len(ids), cut) == (512, True)
    assert time.process_time() - started < 1.0


def test_vocabularies_of_strangers(tmp_path: Path) -> None:
    path = Bert().write(tmp_path / "tiny.gguf")
    data = path.read_bytes()
    assert WordPiece(read_header(path)).tokenize("a word").dtype == np.int32
    key = b"tokenizer.ggml.unknown_token_id"
    if key in data:
        place = data.index(key) + len(key) + 4
        path.write_bytes(data[:place] + b"\xff\xff\xff\x7f" + data[place + 4 :])
        with pytest.raises(ModelFileError, match="which is no token"):
            WordPiece(read_header(path))


def test_arrays_across_portions_are_whole(minilm_path: Path) -> None:
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    key = "tokenizer.ggml.tokens"
    expected = gguf.GGUFReader(minilm_path).fields[key].contents()
    assert list(read_arrays(minilm_path, [key])[key]) == list(expected)


@pytest.mark.skipif(not encoder.instructions(), reason="this CPU does not multiply bytes (VNNI)")
def test_no_llama_cpp_is_needed(minilm_path: Path, tmp_path: Path) -> None:
    """Embedding, and searching a table, in a process that has no llama-cpp-python."""
    program = (
        "import sys; sys.modules['llama_cpp'] = None\n"
        "from pathlib import Path\n"
        "import sqlite_utils_muninn as muninn\n"
        "host = muninn.Host(models={'m': sys.argv[1]}, models_directory=Path(sys.argv[2]))\n"
        "conn = muninn.connect(':memory:', host)\n"
        "conn.execute(\"CREATE VIRTUAL TABLE n USING hnsw_text(model='m')\")\n"
        "for text in ('a cat sleeps', 'shares fell', 'knead the dough'):\n"
        "    conn.execute('INSERT INTO n(content) VALUES (?)', (text,))\n"
        "sql = \"SELECT content FROM n WHERE content MATCH 'stock market' LIMIT 1\"\n"
        "print(conn.execute(sql).fetchone()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(minilm_path), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("shares fell\n", "")
