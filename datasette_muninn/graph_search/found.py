"""An answer of the engine as the search page and its JSON show it."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..snippets import SNIPPET, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlite_utils_muninn.search.answer import Answer, Key, Row, Step, Via

PARTS = {
    "score": "what the rows are ordered by",
    "hop": "steps from the nearest row that matches the query itself",
    "fts_rank": "place in the full-text match",
    "bm25": "of the full-text match, smaller is better",
    "distance": "of its vector from the query's",
    "name_match": "how telling its name is, which the query has",
    "fused": "full text, meaning and name in one number",
    "rerank_score": "what the reranker says",
    "relevance": "fused and reranked in one number",
    "ppr": "how often a walk from the matches comes by",
}
"""The numbers of a row, and what they are."""

COUNTED = {
    "graph": "edges",
    "names": "nodes",
    "embed": "vectors",
    "fulltext": "rows",
    "vectors": "rows",
    "letters": "rows",
    "fusion": "candidates",
    "rerank": "candidates",
    "walk": "nodes",
    "rank": "rows",
    "reasons": "rows",
    "rows": "rows",
    "draw": "nodes",
}
"""What each step of a search counts."""


@dataclass(frozen=True)
class Found:
    """A row, ready to be shown."""

    id: str
    """Names the node in the drawing."""
    rank: int
    table: str
    node: Any
    rowid: int | None
    label: str
    type: str | None
    url: str | None
    snippet: str
    score: float
    seed: bool
    """Whether it is there for its own match most of all; else for its relations."""
    meter: float
    """Its score beside the best one, 0 to 1."""
    sentence: str
    numbers: dict[str, float | int | None]
    via: dict[str, Any]
    shares: list[tuple[str, str]] = field(default_factory=list)
    """Where its weight comes from: percent and words."""

    @property
    def why(self) -> str:
        """The sentence, without the row's own name where that is its subject."""
        return self.sentence.removeprefix(f"{self.label} ") if self.seed else self.sentence

    @property
    def parts(self) -> list[tuple[str, str, str]]:
        """Name, value and meaning of each number that there is."""
        return [
            (name, f"{value:.4g}" if isinstance(value, float) else str(value), PARTS[name])
            for name, value in self.numbers.items()
            if value is not None and (name != "relevance" or self.numbers["rerank_score"])
        ]

    def json(self) -> dict[str, Any]:
        """Return the row of the JSON: the engine's names, flat."""
        return {
            "id": self.id,
            "rank": self.rank,
            "table": self.table,
            "node": plain(self.node),
            "rowid": self.rowid,
            "label": self.label,
            "type": self.type,
            "url": self.url,
            "snippet": self.snippet,
            **self.numbers,
            "seed": self.seed,
            "via": self.via,
        }


def ids_of(answer: Answer) -> dict[Key, str]:
    """Name every node of an answer, rows first: `objects/12`."""
    ids: dict[Key, str] = {}
    taken: set[str] = set()
    for node in (*answer.rows, *answer.nodes):
        key = node.key
        if key not in ids:
            name = f"{node.table}/{_word(node.node)}"
            while name in taken:  # the number 1 and the text 1
                name += "'"
            ids[key] = name
            taken.add(name)
    return ids


def rows_of(answer: Answer, ids: Mapping[Key, str], urls: Mapping[Key, str]) -> list[Found]:
    """Make an answer's rows ready to be shown."""
    best = max((row.score for row in answer.rows), default=0.0)
    return [_found(row, ids, urls, best) for row in answer.rows]


def _found(row: Row, ids: Mapping[Key, str], urls: Mapping[Key, str], best: float) -> Found:
    text = " ".join(row.text.split())
    return Found(
        id=ids[row.key],
        rank=row.rank,
        table=row.table,
        node=row.node,
        rowid=row.rowid,
        label=row.label,
        type=row.type,
        url=urls.get(row.key),
        snippet="" if text == row.label else shorten(text, SNIPPET),
        score=row.score,
        seed=not row.via.path,
        meter=min(1.0, max(0.0, row.score / best)) if best > 0 else 0.0,
        sentence=row.via.sentence(),
        numbers={name: getattr(row, name) for name in PARTS},
        via=_via(row.via),
        shares=_shares(row.via),
    )


def _via(via: Via) -> dict[str, Any]:
    found = asdict(via)
    if found["seed"]:
        found["seed"]["node"] = plain(found["seed"]["node"])
    for step in found["path"]:
        step["source"], step["target"] = plain(step["source"]), plain(step["target"])
    return {"sentence": via.sentence(), **found}


def _shares(via: Via) -> list[tuple[str, str]]:
    """What adds up to a row's weight: its own match, the edge of the path, all other edges."""
    if not via.path and via.direct > 0.995:
        return []
    shares = [(via.direct, "its own match")]
    if via.path:
        shares.append((via.path[-1].share, _said(via.path[-1])))
    shares.append((via.rest, "all other edges into it"))
    return [(f"{share:.0%}", words) for share, words in shares if share >= 0.005]


def _said(step: Step) -> str:
    return f"{step.source_label}{step.arrow()}{step.target_label}"


def _word(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def plain(value: Any) -> Any:
    """Return a value as Datasette's JSON has it: bytes in base64."""
    if isinstance(value, bytes):
        return {"$base64": True, "encoded": base64.b64encode(value).decode("ascii")}
    return value
