"""BERT's WordPiece tokenizer (Wu et al. 2016), for machines without llama.cpp.

It gives the ids that llama.cpp gives: accents are taken off by the first character of a canonical
decomposition, words end at white space, punctuation and Chinese characters, and each word is the
longest tokens from its beginning on, or the unknown token. A vocabulary marks the beginning of a
word by U+2581.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from . import tokenizing
from .errors import ModelFileError
from .files.vocabulary import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from .files.header import Header

_START_OF_WORD = "\u2581"
_CONTROL, _USER_DEFINED = 3, 4  # GGUF's types of tokens
_CACHED = 50_000  # words, and characters, that are remembered
_LONGEST = 256  # characters of a token; each place of a word is tried with all lengths up to it
_LONGEST_CACHED = 40  # characters of them
_WHITE = frozenset(
    [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
     0x205F, 0x3000]
)  # fmt: skip
_CHINESE = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """A vocabulary in this process, in place of llama.cpp's `Weights`."""

    trained_context = 0
    adds_start = adds_end = True
    ending = 1

    def __init__(self, header: Header) -> None:
        """Read the vocabulary of a file. Raises ModelFileError for one of another kind."""
        self._vocabulary = vocabulary = read_vocabulary(header)
        if _USER_DEFINED in vocabulary.kinds:
            raise ModelFileError(f"{header.path} has tokens that only llama.cpp can find in texts")
        self._ids = {text: number for number, text in enumerate(vocabulary.texts)}
        self.vocabulary_size = len(vocabulary.texts)
        self._longest = max(map(len, vocabulary.texts), default=0)
        if self._longest > _LONGEST:
            raise ModelFileError(f"{header.path} has a token of {self._longest:,} characters")
        key = "tokenizer.ggml."
        self.start = _special(header, vocabulary, f"{key}bos_token_id", 101)
        self.separator = _special(header, vocabulary, f"{key}seperator_token_id", 102)
        self.end = _special(header, vocabulary, f"{key}eos_token_id", self.separator)
        self._unknown = _special(header, vocabulary, f"{key}unknown_token_id", 100)
        padding = _special(header, vocabulary, f"{key}padding_token_id", 0)
        mask = _special(header, vocabulary, f"{key}mask_token_id", 103)
        self._special = {self.start, self.separator, self.end, self._unknown, padding, mask}
        self.adds_separator = bool(header.metadata.get(f"{key}add_sep_token", False))
        lower = header.metadata.get(f"{key}normalizer.lowercase", True) is not False
        strips = header.metadata.get(f"{key}normalizer.strip_accents", lower) is not False
        self._characters = _Characters(lower, strips)
        self._words: dict[str, list[int]] = {}
        self.bytes = sum(tensor.size or 0 for tensor in header.tensors)

    def close(self) -> None:
        """Free nothing: the memory is Python's own."""

    def tokenize(self, text: str) -> np.ndarray:
        """Return the token ids of a text with the special tokens around it, int32."""
        return np.array([self.start, *self._tokens(text), self.separator], np.int32)

    def tokenize_plain(self, text: str, *, control: bool = False) -> np.ndarray:
        """Return the token ids of a text with nothing around it, int32."""
        return np.array(self._tokens(text), np.int32)

    def encode(self, text: str, limit: int) -> tuple[np.ndarray, bool]:
        """Return at most `limit` token ids of a text, and whether that cut it."""
        return tokenizing.encode(self, text, limit)

    def encode_plain(self, text: str, limit: int) -> tuple[np.ndarray, bool]:
        """Do as `encode` does, with no special token around the text."""
        return tokenizing.encode_plain(self, text, limit)

    def piece(self, token: int, *, special: bool = True) -> bytes:
        """Return the bytes that a token stands for; word starts carry a space."""
        if self.is_control(token):
            return self._vocabulary.texts[token].encode() if special else b""
        return self._vocabulary.texts[token].replace(_START_OF_WORD, " ").encode()

    def is_control(self, token: int) -> bool:
        """Whether a token steers the model and stands for no text."""
        if not 0 <= token < self.vocabulary_size:
            raise ValueError(
                f"token {token} is not in the vocabulary, 0 to {self.vocabulary_size - 1} are"
            )
        return token in self._special or self._vocabulary.kinds[token] == _CONTROL

    def chat_template(self, name: str) -> str | None:
        """Return None: encoders have no templates."""
        return None

    def score(self, token: int) -> float:
        """Return 0: WordPiece has no scores."""
        self.is_control(token)
        return 0.0

    def _tokens(self, text: str) -> list[int]:
        plain = text.encode("utf-8", "replace").decode()  # a lone surrogate is a question mark
        found: list[int] = []
        for word in plain.translate(self._characters).split(" "):
            if word:
                tokens = self._words.get(word)
                found += self._of_word(word) if tokens is None else tokens
        return found

    def _of_word(self, word: str) -> list[int]:
        """Return the tokens of a word, the longest first that fits at each place."""
        rest = _START_OF_WORD + word
        found: list[int] = []
        place = 0
        while place < len(rest):
            for end in range(min(len(rest), place + self._longest), place, -1):
                token = self._ids.get(rest[place:end])
                if token is not None:
                    found.append(token)
                    place = end
                    break
            else:
                found = [self._unknown]
                break
        if len(word) <= _LONGEST_CACHED:
            if len(self._words) >= _CACHED:
                self._words = {}
            self._words[word] = found
        return found


def _special(header: Header, vocabulary: Vocabulary, key: str, usual: int) -> int:
    value: Any = header.metadata.get(key, usual)
    if not isinstance(value, int) or not 0 <= value < len(vocabulary.texts):
        raise ModelFileError(f"{header.path} has {key} {value!r}, which is no token")
    return value


class _Characters(dict[int, str]):
    """What each character becomes: itself in lower case, nothing, a space, or a word of its own."""

    def __init__(self, lower: bool, strips: bool) -> None:
        super().__init__()
        self._lower = lower
        self._strips = strips

    def __missing__(self, code: int) -> str:
        if len(self) >= _CACHED:
            self.clear()
        made = self[code] = self._made(chr(code))
        return made

    def _made(self, character: str) -> str:
        if self._strips:
            character = unicodedata.normalize("NFD", character)[0]
        code, category = ord(character), unicodedata.category(character)
        if code in _WHITE:
            return " "
        if code in (0, 0xFFFD) or category in ("Cc", "Cf", "Co", "Cs"):
            return ""
        if self._strips and category[0] == "M":
            return ""
        alone = category[0] == "P" or (code < 0x7F and category[0] == "S") or _is_chinese(code)
        if self._lower and len(lowered := character.lower()) == 1:
            character = lowered
        return f" {character} " if alone else character


def _is_chinese(code: int) -> bool:
    return any(first <= code <= last for first, last in _CHINESE)
