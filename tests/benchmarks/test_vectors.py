"""benchmarks/vectors judges right, whatever the subject does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.vectors import report, truth
from benchmarks.vectors.asked import asked, at_recall
from benchmarks.vectors.processes import Process
from benchmarks.vectors.texts import definitions

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chance = np.random.default_rng(1)
    both = chance.standard_normal((550, 384), np.float32)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    vectors, queries = both[:300], both[300:]
    np.save(tmp_path / "vectors.npy", vectors)
    np.save(tmp_path / "queries.npy", queries)
    np.save(tmp_path / "bars.npy", truth.bars(vectors, queries, 10))
    return tmp_path


def process(data: Path, subject: str, cap: float = 60) -> Process:
    path = str(data / f"{subject}.db")
    return Process({"subject": subject, "data": str(data), "path": path, "library": None}, cap)


def test_our_own_subject_answers_every_command(data: Path) -> None:
    pytest.importorskip("pysqlite3", reason="pysqlite3, which subjects run on, is not installed")
    ours = process(data, "ours")
    assert ours.ask("build")["count"] == 300
    assert ours.ask("search", None)["recall"] == 1
    assert ours.ask("search", 50)["ef"] == 50
    for command in ("filters", "joins", "thresholds", "pages"):
        rows = ours.ask(command)
        assert [row.get("recall") for row in rows] == [1] * len(rows), command
    assert ours.ask("inserts")["found"] is True
    assert ours.ask("deletes")["found"] == 0
    assert ours.ask("another")["p50"] > 0
    ours.end()
    fresh = process(data, "ours")
    assert fresh.ask("fresh")["answer"]["calls"] == 1
    fresh.end()


def test_a_subject_that_cannot_says_so_and_goes_on(data: Path) -> None:
    pytest.importorskip("pysqlite3", reason="pysqlite3, which subjects run on, is not installed")
    nobody = process(data, "sqlite-muninn")  # no library was named
    assert nobody.ask("build")["failed"].startswith("AssertionError")
    assert nobody.ask("thresholds") == {"missing": True}
    nobody.end()
    assert nobody.ask("build") == {"missing": True}


def test_a_call_that_takes_too_long_ends_the_process(data: Path) -> None:
    slow = process(data, "ours", cap=0.001)
    assert slow.ask("build") == {"capped": 0.001}
    assert not slow.is_there


def test_of_vectors_that_are_equally_near_any_is_right() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    query = np.array([1, 0], np.float32)
    (bar,) = truth.bars(vectors, query[None, :], 2)
    assert truth.hits(vectors, query, bar, [1, 3]) == 2
    assert truth.hits(vectors, query, bar, [3, 4]) == 1
    assert truth.hits(vectors, query, bar, [2, 2]) == 1


def test_time_at_a_recall_lies_between_its_neighbours() -> None:
    def rows(*pairs: tuple[float, float]) -> dict[str, Any]:
        return {"search": [{"recall": recall, "cpu": cpu} for recall, cpu in pairs]}

    assert at_recall(rows((0.9, 100), (1.0, 200)), 0.95) == pytest.approx(150)
    assert at_recall(rows((0.9, 100)), 0.95) is None
    # A search that is slower and worse does not count.
    assert at_recall(rows((0.9, 300), (1.0, 200)), 0.95) == 200


def test_what_is_asked_is_judged_by_the_figures() -> None:
    search = [{"ef": None, "recall": 0.992, "cpu": 300}]
    build = {"cpu_s": 2.0, "count": 10, "files": 23_001}
    peer = {"search": [{"ef": 8, "recall": 0.99, "cpu": 100}], "build": {"cpu_s": 2.5}}
    found = {"ours": {"search": search, "build": build}, "engine": peer, "hnswlib": peer}
    rows = {what.partition(":")[0]: (value, reached) for what, value, reached in asked(found)}
    assert rows == {
        "recall@10 by default": ("0.9920", "yes"),
        "at recall .99, of the engine's time": ("3.0 x", "no"),
        "build, of hnswlib's CPU time": ("0.80 x", "yes"),
        "file, bytes a vector": ("2,300", "no"),
    }


def test_a_report_of_what_failed_can_be_written(tmp_path: Path) -> None:
    about = {"commit": "0", "machine": "m", "python": "3", "rounds": 1}
    subjects = {"ours": {"build": {"capped": 5}}, "faiss": {"build": {"failed": "no faiss"}}}
    results = json.loads(json.dumps({"1k": {"about": about, "subjects": subjects}}))
    report.write(results, tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "over 5 s, stopped" in page
    assert "no faiss" in page


def test_wordnet_s_lines_become_words_and_a_definition(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(
        "  1 This software and database is being provided\n"
        "00001740 03 n 02 physical_entity 0 thing 1 001 ~ 00001930 n 0000 | what is there; "
        '"things"  \n'
    )
    assert list(definitions(tmp_path)) == ["physical entity, thing: what is there"]
