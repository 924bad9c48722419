"""Plain readable text from ATT&CK's markdown."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

CUT = "..."  # the data package ends a text so where it shortened it (200 to 500 characters)

CITATION = re.compile(r"\(Citation:\s*([^)]*)\)")
CITATIONS = re.compile(r"\s*(?:\(Citation:[^)]*\)\s*)+")
LINK = re.compile(r"\[([^\]]*)\]\(https?://[^)\s]*\)")
CODE = re.compile(r"</?code>")
BOLD = re.compile(r"</?b>|\*\*")

# What a cut leaves behind: half of a citation, of a link's address or words, of a tag.
TORN_CITATION = re.compile(r"\s*\((?:C|Ci|Cit|Cita|Citat|Citati|Citatio|Citation(?::[^)]*)?)?$")
TORN_ADDRESS = re.compile(r"\[([^\]]*)\]\((?:h[^)]*)?$")
TORN_LINK = re.compile(r"\[([^\]]*)$")
TORN_TAG = re.compile(r"</?(?:c|co|cod|code|b)?$")

PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
LIST_ITEM = re.compile(r"\n(?=\s*(?:[-*•]|\d+\.)\s)")
SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class Prose:
    """A cleaned text and the sources that it cites, each once, in order."""

    text: str
    citations: tuple[str, ...]


def read_prose(markdown: str) -> Prose:
    """The text without citations, link addresses and tags; ``…`` marks where the source cut it."""
    is_cut = markdown.endswith(CUT)
    body = trim_torn_markup(markdown[: -len(CUT)]) if is_cut else markdown
    citations = tuple(dict.fromkeys(name.strip() for name in CITATION.findall(body)))
    body = CITATIONS.sub(citation_gap, body)
    body = LINK.sub(r"\1", body)
    body = BOLD.sub("", CODE.sub("`", body))
    text = fold_whitespace(html.unescape(body))
    return Prose(with_ellipsis(text) if is_cut else text, citations)


def trim_torn_markup(body: str) -> str:
    """The text without half a citation, link or tag at its end; a link's words stay."""
    body = TORN_CITATION.sub("", body)
    body = TORN_ADDRESS.sub(r"\1", body)
    body = TORN_LINK.sub(r"\1", body)
    return TORN_TAG.sub("", body)


def citation_gap(match: re.Match[str]) -> str:
    """A space where citations stood between words, nothing before punctuation."""
    following = match.string[match.end() : match.end() + 1]
    return " " if following and following not in ".,;:!?)" else ""


def fold_whitespace(text: str) -> str:
    """One space between words, one line for each list item, one empty line between paragraphs."""
    paragraphs = (fold_lines(paragraph) for paragraph in PARAGRAPH_BREAK.split(text))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def fold_lines(paragraph: str) -> str:
    """A paragraph on one line, its list items on lines of their own."""
    lines = (SPACES.sub(" ", line).strip() for line in LIST_ITEM.split(paragraph))
    return "\n".join(line for line in lines if line)


def with_ellipsis(text: str) -> str:
    """The text with ``…`` after it, apart from a whole sentence; nothing stays nothing."""
    if not text:
        return ""
    return f"{text} …" if text.endswith((".", "!", "?")) else f"{text}…"
