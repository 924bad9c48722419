"""sqlite-utils embed for a table that keeps its texts itself: another model, or lost vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.storage.derived import derived_tables
from sqlite_utils_muninn.vectors.storage.schema import arguments_of, vector_tables
from sqlite_utils_muninn.vectors.texts.embed import OwnPlan, Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models

from .embedders import Shelf, Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Connect

TEXTS = {i: f"text number {i} about thing{i % 7}" for i in range(1, 41)}


@pytest.fixture
def shelf() -> Shelf:
    other = Words("other", "b" * 64, dimensions=64, document_prefix="doc: ")
    return Shelf({"words": Words(), "other": other})


@pytest.fixture
def conn(open_text: Connect) -> Any:
    conn = open_text(timeout=0)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute(
        "CREATE VIRTUAL TABLE docs USING hnsw_text(model=words, metric=l2, m=8, +year INT, "
        '+"a, (b)" TEXT)'
    )
    rows = ((i, text, 2000 + i) for i, text in TEXTS.items())
    conn.executemany("INSERT INTO docs(rowid, content, year) VALUES (?, ?, ?)", rows)
    conn.execute("INSERT INTO docs(rowid, content, year) VALUES (99, NULL, 1)")
    conn.execute("CREATE VIEW named AS SELECT rowid, content FROM docs")
    return conn


@pytest.fixture
def planned(conn: Any, shelf: Shelf) -> Callable[..., OwnPlan]:
    def make(columns: tuple[str, ...] = (), table: str = "docs", **wishes: Any) -> OwnPlan:
        made = plan(conn, Wish(table, columns, **wishes), Models(Host(), shelf))
        assert isinstance(made, OwnPlan)
        return made

    return make


def search(conn: Any, text: str, count: int = 1) -> list[int]:
    sql = "SELECT rowid FROM docs WHERE content MATCH ? AND k = ?"
    return [row[0] for row in conn.execute(sql, (text, count))]


def config(conn: Any) -> dict[str, Any]:
    return dict(conn.execute("SELECT key, value FROM docs_config"))


def test_another_model_takes_the_place_of_the_first(
    conn: Any, planned: Callable[..., OwnPlan], shelf: Shelf
) -> None:
    with pytest.raises(ValueError, match=r"'docs' was made with another model file \(words\); "):
        planned(model="other")
    made = planned(model="other", force=True)
    assert (len(made.difference.new), made.difference.unchanged) == (40, 0)
    last = list(run(made, 16))[-1]
    assert (last.done, last.total) == (40, 40)
    assert [len(batch) for batch in shelf.models["other"].batches] == [16, 16, 8]
    kept = config(conn)
    assert (kept["model"], kept["dimensions"], kept["metric"]) == ("other", 64, "l2")
    rows = conn.execute("SELECT rowid, content, year FROM docs").fetchall()
    assert rows == [*((i, text, 2000 + i) for i, text in TEXTS.items()), (99, None, 1)]
    assert search(conn, TEXTS[12]) == [12]
    assert conn.execute("SELECT count(*) FROM named").fetchone() == (41,)
    assert [table.name for table in vector_tables(conn)] == ["docs"]
    left = conn.execute("SELECT name FROM sqlite_master WHERE name LIKE '%~_new%' ESCAPE '~'")
    assert left.fetchall() == []
    (made_so,) = conn.execute("SELECT sql FROM sqlite_master WHERE name = 'docs'").fetchone()
    assert arguments_of(made_so)[-2:] == ['+"year" INT', '+"a, (b)" TEXT']
    assert "m=8" in arguments_of(made_so)
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")
    conn.execute("INSERT INTO docs(content, year) VALUES ('zebra', 5)")
    assert search(conn, "zebra") == [100]
    assert planned().difference.todo == 0


def test_what_is_written_meanwhile_is_taken_over(
    conn: Any, planned: Callable[..., OwnPlan], open_text: Connect
) -> None:
    other = open_text(timeout=0)
    steps = run(planned(model="other", force=True), 10)
    next(steps)
    next(steps)
    other.execute("UPDATE docs SET content = 'changed after' WHERE rowid = 3")
    other.execute("UPDATE docs SET content = 'changed before' WHERE rowid = 33")
    other.execute("UPDATE docs SET year = 7 WHERE rowid = 4")
    other.execute("DELETE FROM docs WHERE rowid IN (5, 35)")
    other.execute("INSERT INTO docs(rowid, content) VALUES (200, 'newly written')")
    other.execute("UPDATE docs SET content = NULL WHERE rowid = 6")
    assert search(other, "changed after") == [3]  # the old table is there all the time
    expected = other.execute("SELECT rowid, content, year FROM docs").fetchall()
    for _ in steps:
        pass
    assert conn.execute("SELECT rowid, content, year FROM docs").fetchall() == expected
    assert config(conn)["model"] == "other"
    for text, id_ in (("changed after", 3), ("changed before", 33), ("newly written", 200)):
        assert search(other, text) == [id_]
    assert sorted(search(conn, "text", 100)) == [i for i, text, _ in expected if text]
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_an_interrupted_run_goes_on(
    conn: Any, planned: Callable[..., OwnPlan], shelf: Shelf
) -> None:
    steps = run(planned(model="other", force=True), 10)
    for _ in range(3):
        next(steps)
    steps.close()
    assert config(conn)["model"] == "words"
    assert [table.name for table in vector_tables(conn)] == ["docs"]
    made = planned(model="other", force=True)
    assert (len(made.difference.new), made.difference.unchanged) == (20, 20)
    list(run(made, 10))
    embedded = [text for text in shelf.models["other"].texts if text.startswith("doc: ")]
    assert sorted(embedded) == sorted(f"doc: {text}" for text in TEXTS.values())  # none twice
    assert config(conn)["model"] == "other"


def test_a_half_made_table_is_denied_with_its_owner(
    conn: Any, planned: Callable[..., OwnPlan]
) -> None:
    steps = run(planned(model="other", force=True), 10)
    next(steps)
    next(steps)
    derived = derived_tables(lambda *given: conn.execute(*given).fetchall())
    others = {name for name in derived if name.startswith("_muninn_")}
    assert f"_muninn_{config(conn)['id']}_new_content" in others
    assert {derived[name] for name in others} <= {"docs", ""}


def test_a_large_table_ends_with_a_saved_index(
    conn: Any, planned: Callable[..., OwnPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlite_utils_muninn.vectors.index.index.SCANNED_FLOATS", 1000)
    list(run(planned(model="other", force=True), 16))
    assert conn.execute("SELECT count(*) > 0 FROM docs_edges").fetchone() == (1,)
    assert search(conn, TEXTS[12]) == [12]
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def test_passages_of_own_texts(conn: Any, planned: Callable[..., OwnPlan], shelf: Shelf) -> None:
    shelf.models["words"].context = 16
    conn.execute(
        "UPDATE docs SET content = 'One two three four five. ' || content || '. Six ' || "
        "'seven eight nine ten eleven twelve.'"
    )
    with pytest.raises(ValueError, match="has one vector for each row; --force"):
        planned(chunk=True)
    list(run(planned(chunk=True, max_tokens=16, force=True), 16))
    assert config(conn)["max_tokens"] == 16
    assert conn.execute("SELECT count(*) > 40 FROM docs_passages").fetchone() == (1,)
    assert search(conn, f"{TEXTS[9]}.") == [9]


def test_vectors_that_were_lost_are_made_again(
    conn: Any, planned: Callable[..., OwnPlan], shelf: Shelf, open_text: Connect
) -> None:
    conn.execute("UPDATE docs_rows SET hash = NULL WHERE id IN (2, 3)")
    conn.execute("DELETE FROM docs_nodes WHERE id IN (2, 3)")
    model = shelf.models.pop("words")
    open_text(timeout=0).execute("INSERT INTO docs(docs) VALUES ('rebuild')")  # without the model
    assert 3 not in search_vector(conn, model, TEXTS[3])
    shelf.models["words"] = model
    model.batches.clear()
    made = planned(("content",))
    assert (made.difference.changed, made.difference.unchanged) == ([2, 3], 38)
    list(run(made))
    assert model.texts == [TEXTS[2], TEXTS[3]]
    assert search(conn, TEXTS[3]) == [3]
    conn.execute("INSERT INTO docs(docs) VALUES ('integrity-check')")


def search_vector(conn: Any, model: Words, text: str) -> list[int]:
    vector = model.embed_report([text]).vectors[0].tobytes()
    sql = "SELECT rowid FROM docs WHERE vector MATCH ? AND k = 1"
    return [row[0] for row in conn.execute(sql, (vector,))]


def test_what_cannot_be_asked(conn: Any, planned: Callable[..., OwnPlan]) -> None:
    conn.execute("CREATE VIRTUAL TABLE points USING hnsw_index(dimensions=2, metric=l2)")
    with pytest.raises(ValueError, match="'points' has no texts to embed"):
        planned(table="points")
    for wish in ({"columns": ("year",)}, {"where": "1"}, {"name": "x"}):
        with pytest.raises(ValueError, match="keeps its texts itself"):
            planned(**wish)
