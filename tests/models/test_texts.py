"""Sentences, chunks and trigrams: nothing is lost, offsets are exact, limits hold."""

# ruff: noqa: RUF001 - full-width signs are meant

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlite_utils_muninn.models.texts.chunks import LEAST_TOKENS, Chunk, chunks
from sqlite_utils_muninn.models.texts.sentences import sentence_starts
from sqlite_utils_muninn.models.texts.trigrams import similarity, trigrams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def sentences(text: str) -> list[str]:
    starts = [*sentence_starts(text), len(text)]
    return [text[a:b].strip() for a, b in itertools.pairwise(starts)]


SENTENCES = {
    "English": ["A raven sat there.", "It spoke!", "Did it?", "“Nevermore.”", "Then it left…", "X"],
    "abbreviations": [
        "Dr. Smith met J. R. Tolkien at 5 p.m. in Oxford.",
        "See Fig. 3 (cf. no. 4).",
    ],
    "numbers": ["It grew by 3.5 percent vs. 2.1 before.", "Version 1.0.2 came next."],
    "German": ["Das ist z.B. ein Rabe.", "Er heißt Munin."],
    "Chinese": ["乌鸦坐在那里。", "它说话了！", "真的吗？", "“不。”", "走了"],
    "Japanese": ["「いいえ。」", "カラスが鳴いた。"],
    "Hindi": ["कौआ बैठा है।", "वह बोला।"],
    "Arabic": ["هل تكلم الغراب؟", "نعم."],
    "Russian": ["Ворон сидел там.", "Он говорил!"],
    "headings": ["A heading\n", "\nA paragraph\nin two lines.", "Next."],
}


@pytest.mark.parametrize("script", SENTENCES)
def test_sentences(script: str) -> None:
    expected = SENTENCES[script]
    glue = "" if script in ("Chinese", "Japanese") else " "
    assert sentences(glue.join(expected)) == [text.strip() for text in expected]


@given(st.text())
def test_sentences_cover_the_text(text: str) -> None:
    starts = sentence_starts(text)
    assert starts == sorted(set(starts))
    assert starts[:1] == ([0] if text else [])
    assert all(start < len(text) for start in starts)


# ---- Chunks


def bytes_of(text: str) -> int:
    """The tokens of the hardest vocabulary there is: one for each byte, two around."""
    return len(text.encode()) + 2


def words_of(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text)) + 2


def check(text: str, found: list[Chunk], count: Callable[[str], int], most: int) -> None:
    """What must hold of the chunks of any text."""
    reached = 0
    for number, chunk in enumerate(found):
        part = text[chunk.start : chunk.end]
        assert part
        assert part == part.strip()
        assert chunk.tokens == count(part) <= most
        assert not text[reached : chunk.start].strip(), "a character was lost"
        assert chunk.end > reached
        assert not number or chunk.start > found[number - 1].start
        reached = chunk.end
    assert not text[reached:].strip(), "the end was lost"


PROSE = st.lists(
    st.sampled_from(
        [
            "The raven. ",
            "Munin flew! ",
            "word ",
            "乌鸦。",
            "\n\n",
            "x" * 40,
            "👩‍👩‍👧 ",
            "é",
            "\u00a0",
            "? ",
        ]
    )
).map("".join)


@given(
    text=PROSE | st.text(),
    most=st.integers(LEAST_TOKENS, 60),
    share=st.floats(0, 0.5),
    count=st.sampled_from([bytes_of, words_of]),
)
@settings(max_examples=400, deadline=None)
def test_chunks_cover_and_keep_their_limits(
    text: str, most: int, share: float, count: Callable[[str], int]
) -> None:
    check(text, list(chunks(text, count, most, int(most * share))), count, most)


@given(text=PROSE, most=st.integers(LEAST_TOKENS, 60))
@settings(max_examples=100, deadline=None)
def test_without_overlap_no_character_comes_twice(text: str, most: int) -> None:
    found = list(chunks(text, bytes_of, most))
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


TEXT = " ".join(f"Sentence number {n} is about ravens." for n in range(20))


def test_chunks_end_where_sentences_end() -> None:
    found = list(chunks(TEXT, words_of, 30))
    assert all(TEXT[: chunk.end].endswith(".") for chunk in found)
    assert all(TEXT[chunk.start :].startswith("Sentence") for chunk in found)
    assert [chunk.tokens for chunk in found[:-1]] == [30] * (len(found) - 1)  # 4 sentences each


def test_overlap_is_whole_sentences_where_they_fit() -> None:
    found = list(chunks(TEXT, words_of, 30, 8))
    for one, other in itertools.pairwise(found):
        shared = TEXT[other.start : one.end]
        assert shared.count("Sentence") == 1
        assert shared.endswith(".")
    words = list(chunks("word " * 200, words_of, 30, 8))
    assert all(
        words_of(("word " * 200)[b.start : a.end]) - 2 == 8 for a, b in itertools.pairwise(words)
    )


@pytest.mark.parametrize(("most", "overlap", "said"), [(15, 0, "max_tokens"), (20, 11, "overlap")])
def test_limits_that_cannot_be_kept(most: int, overlap: int, said: str) -> None:
    with pytest.raises(ValueError, match=f"{said} must be"):
        list(chunks(TEXT, words_of, most, overlap))


def test_a_megabyte_without_a_blank_is_no_trap() -> None:
    found = list(chunks("x" * 1_000_000, bytes_of, 512))
    check("x" * 1_000_000, found, bytes_of, 512)


# ---- SQL


LONG = (
    """The raven is a large bird. 它会说话。 It remembers faces for years! Does it forgive?
Nobody knows… \n\n A second paragraph, by Dr. Corvus, tells of Huginn and Muninn. """
    * 12
)


@pytest.fixture
def minilm(connect: Callable[..., Any], minilm_path: Path) -> Any:
    return connect(models={"m": str(minilm_path)})


def test_chunks_of_a_real_model(minilm: Any) -> None:
    sql = """SELECT idx, start, end, tokens, text, substr(?1, start + 1, end - start),
             muninn_token_count('m', text) FROM muninn_chunks('m', ?1, ?2, ?3)"""
    for most, overlap in ((64, 0), (64, 16), (None, None)):
        rows = minilm.execute(sql, (LONG, most, overlap)).fetchall()
        assert [row[0] for row in rows] == list(range(len(rows)))
        found = [Chunk(*row[1:4]) for row in rows]
        check(
            LONG,
            found,
            lambda text: minilm.execute("SELECT muninn_token_count('m', ?)", (text,)).fetchone()[0],
            most or 256,
        )
        assert all(row[4] == row[5] == LONG[row[1] : row[2]] for row in rows)
        assert all(row[3] == row[6] for row in rows)
    assert minilm.execute(sql, (" \n", None, None)).fetchall() == []
    with pytest.raises(Exception, match="muninn_chunks: max_tokens must be at most 512"):
        minilm.execute(sql, (LONG, 513, 0)).fetchall()
    with pytest.raises(Exception, match="muninn_chunks: max_tokens must be 16 or more, got 3"):
        minilm.execute(sql, (LONG, 3, 0)).fetchall()


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("raven", "raven", 1.0),
        ("Raven!", "  rAVEN", 1.0),
        ("word", "two words", 4 / 11),  # PostgreSQL's manual: similarity('word', 'two words')
        ("raven", "dove", 0.0),
        ("", "", 1.0),
        ("!", "?", 0.0),
        ("cafe\u0301", "CAFÉ", 1.0),
    ],
)
def test_similarity(conn: Any, one: str, other: str, score: float) -> None:
    assert similarity(one, other) == pytest.approx(score)
    sql = "SELECT muninn_similarity(?, ?), muninn_similarity(NULL, 'x')"
    assert conn.execute(sql, (one, other)).fetchone() == (pytest.approx(score), None)


@given(st.text(), st.text())
def test_similarity_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) == similarity(other, one) <= 1
    assert similarity(one, one) == 1


def test_trigrams() -> None:
    assert trigrams("cat") == {"  c", " ca", "cat", "at "}
