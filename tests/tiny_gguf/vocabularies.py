"""Small vocabularies of the three kinds that embedding models use, each with its own encoder.

The encoders do what the simple texts of the tests need: lower-case words, blanks, and
letters that are not in any word.
"""

from __future__ import annotations

import itertools
import re
import string
from typing import TYPE_CHECKING

import gguf

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMAL, UNKNOWN, CONTROL = gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL


class WordPiece:
    """BERT's: the longest piece that fits, again and again; `##` goes on with a word."""

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = ("raven", "the", "remember", "search", "graph", "un", "##ing", "##ed", "##able")

    def __init__(self) -> None:
        letters = string.ascii_lowercase
        pieces = [*letters, *(f"##{letter}" for letter in letters), *".,!?", *self.words]
        self.tokens = [*self.special, *pieces]
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        pieces = itertools.chain.from_iterable(self._pieces(word) for word in words)
        return [self.ids["[CLS]"], *pieces, self.ids["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        pieces, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in self.ids:
                    break
            else:
                return [self.ids["[UNK]"]]
            pieces.append(self.ids[piece])
            start = end
        return pieces

    def write(self, writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([self._stored(token) for token in self.tokens])
        writer.add_token_types(
            [CONTROL if token in self.special else NORMAL for token in self.tokens]
        )
        writer.add_bos_token_id(self.ids["[CLS]"])
        writer.add_eos_token_id(self.ids["[SEP]"])
        writer.add_sep_token_id(self.ids["[SEP]"])
        writer.add_unk_token_id(self.ids["[UNK]"])
        writer.add_pad_token_id(self.ids["[PAD]"])
        writer.add_mask_token_id(self.ids["[MASK]"])

    def _stored(self, token: str) -> str:
        if token in self.special:
            return token
        return token[2:] if token.startswith("##") else "\u2581" + token


class BytePairs:
    """Qwen's: pairs of neighbouring pieces are merged, the earliest learned pair first."""

    end = "<|endoftext|>"
    merges = (
        ("r", "a"), ("v", "e"), ("ra", "ve"), ("rave", "n"), ("Ġ", "raven"), ("t", "h"),
        ("th", "e"), ("Ġ", "the"), ("e", "r"), ("i", "n"), ("in", "g"), ("Ġ", "s"), ("s", "e"),
    )  # fmt: skip

    control: tuple[str, ...] = ()

    def __init__(self) -> None:
        joined = ["".join(pair) for pair in self.merges]
        self.tokens = [*_letters_of_bytes(), *dict.fromkeys(joined), self.end, *self.control]
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        letters = _letters_of_bytes()
        words = re.findall(r" ?[a-z]+|[^a-z]", text)
        ids = []
        for word in words:
            pieces = [letters[byte] for byte in word.encode()]
            ids += [self.ids[piece] for piece in self._merged(pieces)]
        return [*ids, self.ids[self.end]]

    def encode_prompt(self, *parts: str) -> list[int]:
        """Return the tokens of parts of a prompt; a part that is a control token is that token."""
        ids = []
        for part in parts:
            ids += [self.ids[part]] if part in self.control else self.encode(part)[:-1]
        return ids

    def _merged(self, pieces: list[str]) -> list[str]:
        while True:
            pairs = set(itertools.pairwise(pieces))
            first = next((pair for pair in self.merges if pair in pairs), None)
            if first is None:
                return pieces
            at = next(i for i, pair in enumerate(itertools.pairwise(pieces)) if pair == first)
            pieces = [*pieces[:at], "".join(first), *pieces[at + 2 :]]

    def write(self, writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(self.tokens)
        controls = {self.end, *self.control}
        writer.add_token_types([CONTROL if token in controls else NORMAL for token in self.tokens])
        writer.add_token_merges([" ".join(pair) for pair in self.merges])
        writer.add_eos_token_id(self.ids[self.end])
        writer.add_pad_token_id(self.ids[self.end])
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(True)


class ChatBytePairs(BytePairs):
    """With the control tokens around the turns of a conversation."""

    control = ("<|im_start|>", "<|im_end|>")


class Unigram:
    """XLM-RoBERTa's: of all ways to cut a text into pieces, the one with the best score."""

    special = ("<s>", "<pad>", "</s>", "<unk>")
    scores = (("\u2581raven", -2.0), ("\u2581the", -1.5), ("raven", -3.0), ("ing", -2.5),
              ("search", -3.5), ("\u2581s", -2.8), ("\u2581", -3.0))  # fmt: skip

    def __init__(self) -> None:
        pieces = [*self.scores, *((letter, -6.0) for letter in string.ascii_lowercase)]
        self.tokens = [*self.special, *(piece for piece, _ in pieces)]
        self.score = [0.0] * len(self.special) + [score for _, score in pieces]
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        return [self.ids["<s>"], *self._best(text), self.ids["</s>"]]

    def encode_pair(self, query: str, document: str) -> list[int]:
        """`<s> query </s></s> document </s>`, as RoBERTa joins two texts."""
        return [*self.encode(query), self.ids["</s>"], *self.encode(document)[1:]]

    def _best(self, text: str) -> list[int]:
        text = "".join("\u2581" + word for word in text.split())
        best: list[tuple[float, list[int]]] = [(0.0, [])]
        for end in range(1, len(text) + 1):
            ways = [
                (best[start][0] + self.score[number], [*best[start][1], number])
                for start in range(end)
                if (number := self.ids.get(text[start:end])) is not None
            ]
            best.append(max(ways, key=lambda way: way[0]))
        return best[-1][1]

    def write(self, writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("t5")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(self.tokens)
        writer.add_token_scores(self.score)
        types = {"<unk>": UNKNOWN, **dict.fromkeys(("<s>", "<pad>", "</s>"), CONTROL)}
        writer.add_token_types([types.get(token, NORMAL) for token in self.tokens])
        writer.add_add_space_prefix(True)
        writer.add_remove_extra_whitespaces(True)
        writer.add_bos_token_id(self.ids["<s>"])
        writer.add_eos_token_id(self.ids["</s>"])
        writer.add_sep_token_id(self.ids["</s>"])
        writer.add_unk_token_id(self.ids["<unk>"])
        writer.add_pad_token_id(self.ids["<pad>"])
        writer.add_add_bos_token(True)
        writer.add_add_eos_token(True)


def _letters_of_bytes() -> Sequence[str]:
    """Return the visible letter that stands for each byte in a byte-level vocabulary (GPT-2)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in visible else chr(next(others)) for byte in range(256)]
