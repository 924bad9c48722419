"""What `test_snapshots` asks of vectors, asked of texts that are embedded some at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.bridge import attach
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.sql import text_module
from sqlite_utils_muninn.vectors.tables import deferring
from sqlite_utils_muninn.vectors.texts import deferred

from .conftest import open_connection
from .embedders import Report
from .test_snapshots import DIMENSIONS, Snapshots, Vector, blob, distance, limits, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["limits"]


class Numbers:
    """The vector of "1.5 -2.0 3.0!" is (1.5, -2, 3). Two of those are no vector, but passages."""

    name, sha256 = "numbers", "c" * 64
    query_prefix = document_prefix = ""
    dimensions, context = DIMENSIONS, 16

    def embed_report(self, texts: Sequence[str], **how: Any) -> Report:
        rows = [[float(word.strip("!")) for word in text.split()] for text in texts]
        return Report(np.array(rows, np.float32).reshape(len(texts), DIMENSIONS), 0)

    def token_count(self, text: str) -> int:
        return 4 * len(text.split())  # two sentences do not fit a passage


def spelled(*vectors: Vector) -> str:
    return " ".join(" ".join(map(str, vector)) + "!" for vector in vectors)


class Texts(Snapshots):
    """Rows have no text or one sentence."""

    column = "content"

    def arguments(self, metric: str) -> str:
        return f"hnsw_text(model=numbers, metric={metric})"

    def open(self, path: Path, **options: Any) -> Any:
        conn = open_connection(path, **options)
        model = Numbers()
        attach(conn, [text_module(Host(), lambda *_: model)])
        return conn

    def passages(self, vector: Vector) -> list[Vector]:
        """What a row is about: nothing, or the vector."""
        return [] if abs(vector[1]) < 5 else [vector]

    def value(self, vector: Vector) -> Any:
        return spelled(*self.passages(vector)) or None

    def stored(self, vector: Vector) -> Any:
        first = self.passages(vector)[:1]
        return blob(first[0]) if first else None

    def far(self, vector: Vector, probe: Vector) -> float | None:
        passages = self.passages(vector)
        return min((distance(self.metric, each, probe) for each in passages), default=None)


class Passages(Texts):
    """Rows have up to three passages."""

    def arguments(self, metric: str) -> str:
        return f"hnsw_text(model=numbers, metric={metric}, chunk=true)"

    def passages(self, vector: Vector) -> list[Vector]:
        more = [vector[::-1], tuple(float(np.float32(10 + x)) for x in vector)]
        return super().passages(vector) and [vector, *more[: int(abs(vector[2])) % 3]]


@pytest.fixture
def few(limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few texts in a batch, so that rows wait, get their vectors and lose them again."""
    for module in (deferred, deferring):
        monkeypatch.setattr(module, "BATCH", 3)


@pytest.mark.parametrize("machine", [Texts, Passages])
def test_every_query_answers_from_its_own_snapshot(few: None, machine: type[Texts]) -> None:
    run(examples=15, steps=40, machine=machine)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", [Texts, Passages])
def test_every_query_answers_from_its_own_snapshot_for_long(
    few: None, machine: type[Texts]
) -> None:
    run(examples=150, steps=200, machine=machine)
