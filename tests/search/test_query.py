"""Raw text is no FTS5 expression: what people type must neither fail nor mean something else."""

from __future__ import annotations

import sqlite3

import pytest

from sqlite_utils_muninn.search.query import expression, quoted, telling, words

NASTY = [
    "what's C++?",
    'a "quoted" word',
    "NEAR(a b) AND NOT (c OR d)",
    "col: value",
    "^start* -minus +plus",
    "{a b} : c",
    "x' OR 1=1 --",
    "日本語 ünïcödé émigré",
    "a\x00b",
    "🙂 🙃",
    "null NULL and AND",
    "\ud800 lone",
]


@pytest.mark.parametrize("text", NASTY)
def test_whatever_is_typed_is_an_expression(text: str) -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE VIRTUAL TABLE f USING fts5(x)")
    conn.execute("INSERT INTO f VALUES ('what c and or not near null quoted value ünïcödé 日本語')")
    match = expression(words(text))
    if not match:
        assert not any(letter.isalnum() for letter in text)
        return
    assert conn.execute("SELECT count(*) FROM f WHERE f MATCH ?", (match,)).fetchone()[0] in (0, 1)


def test_words_are_quoted_and_joined_by_or() -> None:
    assert words("What's what? C++ is") == ["What", "s", "C", "is"]
    assert expression(["What", "C"]) == '"What" OR "C"'
    assert quoted('a"b') == '"a""b"'
    assert words("snake_case") == ["snake", "case"]


def test_frequent_words_are_dropped_and_unknown_ones_too() -> None:
    rows = {"the": 90_000, "of": 10_001, "kerberos": 3, "ticket": 9_999}

    def count(word: str, most: int) -> int:
        return min(rows.get(word, 0), most)

    assert telling(["the", "ticket", "of", "kerberos", "zzz"], 100_000, count) == [
        "ticket",
        "kerberos",
    ]


def test_where_all_words_are_frequent_one_is_kept() -> None:
    assert telling(["the", "of"], 20_000, lambda word, most: most) == ["the"]
    assert telling(["zzz"], 20_000, lambda word, most: 0) == []
    rows = {"the": 19_000, "of": 9_000, "and": 15_000}
    assert telling(list(rows), 20_000, lambda word, most: min(rows[word], most)) == ["of"]


def test_in_few_rows_no_word_is_frequent() -> None:
    assert telling(["the"], 10, lambda word, most: most) == ["the"]
    assert telling(["the"], 9_000, lambda word, most: min(1_000, most)) == ["the"]
    assert telling(["the", "of"], 9_000, lambda word, most: min(1_001, most)) == ["the"]


def test_a_text_of_thousands_of_words_asks_for_its_rarest() -> None:
    given = [f"w{n}" for n in range(200)]
    chosen = telling(given, 10_000, lambda word, most: int(word[1:]) + 1)
    assert chosen == given[:64]
