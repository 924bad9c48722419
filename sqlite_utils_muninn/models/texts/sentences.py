"""Where sentences begin, in any script.

No dictionary of languages: the signs that end sentences in Unicode (property Sentence_Terminal,
Unicode Standard Annex 29), blank lines, and for the full stop, which also ends abbreviations, a
look at what stands around it.
"""

from __future__ import annotations

import re

_STOPS = "!?\u203c\u203d\u2047-\u2049\u2026"  # need a blank behind them, as in "Wow!-Effekt"
_FULL = (  # end a sentence whatever follows
    "\u3002\uff01\uff1f\uff61\uff0e"  # Chinese, Japanese
    "\u061f\u06d4"  # Arabic, Urdu
    "\u0964\u0965"  # Devanagari and its neighbours
    "\u0589\u1362\u1367\u1368\u104a\u104b\u17d4\u17d5\u1803\u1809"  # Armenian, Ethiopic, Burmese,
)  # Khmer, Mongolian
_CLOSING = "\"'\u2019\u201d\u00bb\u203a)\\]}\u300d\u300f\uff09\u3011\u300b"

_END = re.compile(
    rf"[{_FULL}]+[{_CLOSING}]*|[.{_STOPS}]+[{_CLOSING}]*(?=\s)|\n[^\S\n]*(?=\n)", re.UNICODE
)
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[^\W\d_]|[^\W\d_]\.[^\W\d_]|"
    r"mrs?|ms|dr|prof|st|vs|etc|al|fig|figs|eq|no|nos|vol|pp?|ed|eds|cf|ca|approx|inc|ltd|co|corp|"
    r"jr|sr|dept|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.$",
    re.IGNORECASE,
)
_LOOK_BACK = 12  # characters; longer than any of these


def sentence_starts(text: str) -> list[int]:
    """Return where the sentences of a text begin, 0 among them; none for an empty text.

    The blanks between two sentences belong to the second.
    """
    if not text:
        return []
    ends = (match.end() for match in _END.finditer(text) if _is_end(text, match))
    return [0, *(end for end in ends if end < len(text))]


def _is_end(text: str, match: re.Match[str]) -> bool:
    if match.group() != ".":
        return True
    following = text[match.end() :].lstrip()[:1] if match.end() + 1 < len(text) else ""
    if following.islower() or following.isdecimal():
        return False
    before = text[max(0, match.end() - _LOOK_BACK) : match.end()]
    return not _ABBREVIATION.search(before)
