"""Tables behind a vector table that are gone, others, or empty: said in one sentence, mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sqlite_utils_muninn.vectors.storage.derived import derived_tables

from .embedders import Shelf, Words
from .lost_tables import (
    CASES,
    DAMAGE,
    MADE,
    MATRIX,
    OTHERS,
    OWN_TABLES,
    TEXTS,
    Case,
    command,
    harm,
    is_exact,
    make,
    stored,
    suffixes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Connect


@pytest.fixture
def model() -> Words:
    return Words(dimensions=64, context=16)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_each_table_can_be_lost(case: Case, open_text: Connect, path: Path) -> None:
    """Gone, another table in its place, or empty: never a wrong answer, and 'rebuild' mends it,
    or says why it does not, and what to do."""
    first = open_text()
    make(first, case.kind)
    first.close()
    harm(path, DAMAGE[case.damage].format(f"v_{case.suffix}"))
    conn = open_text()
    look(conn, case)
    problem = command(conn, "integrity-check") or ""
    assert f"v_{case.suffix}" in problem or case.damage == "empty"
    assert problem.startswith("hnsw_")
    assert "no such" not in problem
    said = command(conn, "rebuild")
    if OWN_TABLES.get(case.kind) == case.suffix:
        assert f"table 'v' cannot be rebuilt: v_{case.suffix} is" in str(said)
        assert "restore a backup" in str(said)
        assert conn.execute("SELECT count(*) FROM v").fetchone() == (30 + (case.kind != "index"),)
        conn.execute("DROP TABLE v")
        return
    if case.damage == "another":
        assert said
        assert f"v_{case.suffix} is a table of (a TEXT, b), not of (" in said
        assert f"DROP TABLE \"v_{case.suffix}\", and 'rebuild' makes it anew" in said
        conn.execute(f"DROP TABLE v_{case.suffix}")
        said = command(conn, "rebuild")
    assert said is None
    assert command(conn, "integrity-check") is None
    mended(conn, case)


def look(conn: Any, case: Case) -> None:
    """Whatever is read is right, or there is one sentence that says what is damaged."""
    probe = (MATRIX[3] if case.kind == "index" else np.ones(64, "<f4")).tobytes()
    columns = {"index": "vector", "own": "content"}.get(case.kind.split()[0], "rowid")
    values = {"vector": probe, "content": "a text that is new. And more.", "rowid": 3}
    conn.execute("BEGIN")
    for sql, given in (
        (f"INSERT OR REPLACE INTO v({columns}) VALUES (?)", (values[columns],)),
        ("SELECT rowid FROM v", ()),
        ("SELECT rowid, distance FROM v WHERE vector MATCH ? AND k = 3", (probe,)),
        ("SELECT rowid, distance, vector FROM v WHERE vector MATCH ? ORDER BY distance", (probe,)),
        ("SELECT rowid, vector FROM v WHERE rowid = 4", ()),
        ("UPDATE v SET rowid = 4 WHERE rowid = 4", ()),
        ("DELETE FROM v WHERE rowid = 4000", ()),
    ):
        try:
            conn.execute(sql, given).fetchall()
        except Exception as error:
            words = str(error)
            assert "table 'v' is damaged: " in words or "does not say which model" in words
            assert "'rebuild'" in words or "restore a backup" in words or "model" in words
            assert "no such" not in words
    conn.execute("ROLLBACK")


def mended(conn: Any, case: Case) -> None:
    vectors = stored(conn)
    if case.kind == "index":
        assert sorted(vectors) == list(TEXTS)
        assert is_exact(conn, "l2")
        years = [None if case.suffix == "rows" else 2000 + i for i in TEXTS]
        assert [row[0] for row in conn.execute("SELECT year FROM v ORDER BY rowid")] == years
        conn.execute("INSERT INTO v(vector, year) VALUES (?, 7)", (MATRIX[0].tobytes(),))
        return
    if not case.kind.startswith("own"):  # what is not sure waits for sqlite-utils embed
        lost = case.suffix in ("nodes", "passages")
        assert sorted(vectors) == ([] if lost else list(TEXTS))
        sql = "INSERT OR REPLACE INTO v(rowid) SELECT id FROM docs"
        conn.execute(sql)
    assert sorted(stored(conn)) == list(TEXTS)
    assert is_exact(conn, "cosine")
    assert dict(conn.execute("SELECT rowid, content FROM v")) == {**TEXTS, 31: None}
    for i in (3, 17, 30):
        sql = "SELECT rowid FROM v WHERE content MATCH ? AND k = 1"
        assert conn.execute(sql, (TEXTS[i],)).fetchall() == [(i,)]


# ---- What else is lost with a table ----


def found(conn: Any, text: str, count: int = 1) -> list[int]:
    sql = "SELECT rowid FROM v WHERE content MATCH ? AND k = ?"
    return [row[0] for row in conn.execute(sql, (text, count))]


@pytest.mark.parametrize("kind", MADE)
def test_all_but_what_the_user_wrote_is_lost(
    lose: Callable[..., Any], path: Path, kind: str
) -> None:
    kept = {OWN_TABLES.get(kind, "nodes"), "config"} | {"nodes"}
    conn = lose(kind, *(suffix for suffix in suffixes(kind) if suffix not in kept))
    problem = command(conn, "integrity-check") or ""
    assert problem.count(" is missing: 'rebuild' makes it anew") == len(suffixes(kind)) - len(kept)
    assert command(conn, "rebuild") is None
    assert command(conn, "integrity-check") is None
    if "another's" in kind:
        conn.execute("INSERT OR REPLACE INTO v(rowid) SELECT id FROM docs")
    mended(conn, Case(kind, "rows", "gone"))


@pytest.mark.parametrize("kind", ["own", "own passages", "another's", "another's passages"])
def test_nothing_is_embedded_that_has_its_vector(
    lose: Callable[..., Any], model: Words, kind: str
) -> None:
    conn = lose(kind, "config", "rows", "log", "edges")
    assert "nothing shows that it was 'words'" in str(command(conn, "rebuild"))
    conn = lose_again(conn, kind, lose)
    model.batches.clear()
    assert command(conn, "rebuild") is None
    assert model.texts == []
    assert [found(conn, TEXTS[i]) for i in TEXTS] == [[i] for i in TEXTS]
    truncated = dict(conn.execute("SELECT rowid, truncated FROM v WHERE rowid < 3"))
    assert truncated == {1: None, 2: None}  # nothing tells


def lose_again(conn: Any, kind: str, lose: Callable[..., Any]) -> Any:
    conn.execute("DROP TABLE v")
    conn.execute("DROP TABLE docs")
    conn.close()
    return lose(kind, "rows", "log", "edges")


def test_a_vector_of_another_text_is_not_taken_for_that_of_a_row(
    lose: Callable[..., Any], model: Words
) -> None:
    """The hash of a row that is lost is made of its text now: the vector must be of that."""
    before = """
        UPDATE docs SET body = 'changed after it was embedded' WHERE id = 3;
        INSERT OR REPLACE INTO v(rowid, content) VALUES (4, 'given beside the text of docs');
        DELETE FROM docs WHERE id = 5;
        INSERT INTO docs VALUES (50, 'never embedded');
        DELETE FROM docs WHERE id = 6;
        INSERT INTO docs VALUES (6, 'in the place of another')"""
    conn = lose("another's", "rows", before=before)
    assert command(conn, "rebuild") is None
    model.batches.clear()
    rows = {3, 4, 5, 6, 50, 31}
    assert sorted(found(conn, "one", 50)) == [i for i in TEXTS if i not in rows]
    conn.execute("INSERT OR REPLACE INTO v(rowid) SELECT id FROM docs")
    assert sorted(set(model.texts) - {"one"}) == [
        "changed after it was embedded",
        TEXTS[4],
        "in the place of another",
        "never embedded",
    ]
    assert found(conn, "never embedded") == [50]
    assert command(conn, "integrity-check") is None


def test_rows_that_vacuum_may_have_renumbered_are_embedded_again(
    open_text: Connect, path: Path
) -> None:
    conn = open_text()
    conn.execute("CREATE TABLE docs(body TEXT)")
    conn.executemany("INSERT INTO docs(rowid, body) VALUES (?, ?)", TEXTS.items())
    conn.execute(OTHERS.format(""))
    conn.execute("INSERT INTO v(rowid) SELECT rowid FROM docs")
    conn.close()
    harm(path, "DELETE FROM docs WHERE rowid = 1; VACUUM; DROP TABLE v_rows")
    conn = open_text()
    assert command(conn, "rebuild") is None
    assert found(conn, "one", 50) == []
    conn.execute("INSERT OR REPLACE INTO v(rowid) SELECT rowid FROM docs")
    ((rowid,),) = conn.execute("SELECT rowid FROM docs WHERE body = ?", (TEXTS[9],))
    assert found(conn, TEXTS[9]) == [rowid]


def test_the_model_must_be_the_one_that_made_the_vectors(
    lose: Callable[..., Any], open_text: Connect
) -> None:
    conn = lose("own", "config")
    assert open_text(find=Shelf({})).execute("SELECT content FROM v WHERE rowid = 2").fetchone()
    for models, reason in (
        ({}, "to find out the model must be here: model 'words' is not loaded. Loaded: none"),
        ({"words": Words(sha256="b" * 64, dimensions=64)}, "nothing shows that it was 'words' as"),
    ):
        without = open_text(find=Shelf(models))
        said = command(without, "rebuild") or ""
        assert said.startswith("hnsw_text: v_config does not say which model made the vectors, and")
        assert reason in said
        assert "v_config is missing" in str(command(without, "integrity-check"))
    assert command(conn, "rebuild") is None
    assert found(conn, TEXTS[7]) == [7]


def test_no_file_is_opened_because_a_damaged_table_names_it(
    open_text: Connect, path: Path, model: Words
) -> None:
    conn = open_text(find=Shelf({"/tmp/model.gguf": model}))
    conn.execute("CREATE VIRTUAL TABLE v USING hnsw_text(model='/tmp/model.gguf')")
    conn.execute("INSERT INTO v(content) VALUES ('text')")
    conn.close()
    harm(path, "DROP TABLE v_config")
    asked = []

    class Asked(Shelf):
        def __call__(self, db: Any, host: Any, name: str, caller: str) -> Words:
            asked.append(name)
            return super().__call__(db, host, name, caller)

    said = command(open_text(find=Asked({"/tmp/model.gguf": model})), "rebuild")
    assert "the model file '/tmp/model.gguf' is not loaded under that name; load it" in str(said)
    assert asked == []


@pytest.mark.parametrize("kind", ["another's", "another's passages"])
def test_the_notes_of_another_table_are_found_again(
    lose: Callable[..., Any], path: Path, kind: str
) -> None:
    """The id that names them was in v_config; the other table has been renamed besides."""
    conn = lose(kind, "config", before="ALTER TABLE docs RENAME TO papers")
    assert command(conn, "rebuild") is None
    conn.execute("UPDATE papers SET body = 'other words' WHERE id = 9")
    notes = [row[0] for row in conn.execute("SELECT name FROM sqlite_master") if "_mun" in row[0]]
    assert len(notes) == 3  # a table and two triggers
    ((id_,),) = conn.execute("SELECT value FROM v_config WHERE key = 'id'")
    assert all(name.startswith(f"_muninn_{id_}_") for name in notes)
    assert conn.execute(f"SELECT id FROM _muninn_{id_}_pending WHERE id = 9").fetchall() == [(9,)]
    assert sorted(found(conn, "one", 50)) == [i for i in TEXTS if i != 9]
    conn.execute("DROP TABLE v")
    assert conn.execute("SELECT name FROM sqlite_master").fetchall() == [("papers",)]


def test_notes_that_are_missing_make_the_other_table_unwritable(
    open_text: Connect, sqlite: Any, path: Path
) -> None:
    conn = open_text()
    make(conn, "another's")
    ((id_,),) = conn.execute("SELECT value FROM v_config WHERE key = 'id'")
    harm(path, f"DROP TABLE _muninn_{id_}_pending")
    conn = open_text()
    with pytest.raises(sqlite.OperationalError, match="no such table"):
        conn.execute("UPDATE docs SET body = 'x' WHERE id = 1")
    assert "docs are missing, and it cannot be written" in str(command(conn, "integrity-check"))
    assert command(conn, "rebuild") is None
    conn.execute("UPDATE docs SET body = 'x' WHERE id = 1")
    ((noted,),) = conn.execute(f"SELECT count(*) FROM _muninn_{id_}_pending")
    assert noted == 31  # whatever changed meanwhile is looked for
    assert command(conn, "integrity-check") is None


def test_some_rows_of_a_table_are_lost(lose: Callable[..., Any], path: Path) -> None:
    conn = lose("own")
    harm(path, "DELETE FROM v_content WHERE id = 3; DELETE FROM v_rows WHERE id = 4")
    problem = command(conn, "integrity-check") or ""
    assert "rows whose text is lost from v_content: 3" in problem
    assert "texts of v_content that have no row: 4" in problem
    assert command(conn, "rebuild") is None
    assert command(conn, "integrity-check") is None
    rows = conn.execute("SELECT rowid, content, year FROM v WHERE rowid IN (3, 4)").fetchall()
    assert rows == [(3, None, 2003), (4, TEXTS[4], None)]
    assert sorted(found(conn, "one", 50)) == [i for i in TEXTS if i != 3]


def test_who_may_not_read_a_table_may_not_read_its_vectors_whatever_is_lost(
    lose: Callable[..., Any],
) -> None:
    """The fault: without the config nothing told whose vectors they are."""
    conn = lose("another's", "config", "rows")
    derived = derived_tables(conn.execute)
    assert {name: derived[name] for name in ("v", "v_nodes", "v_log")} == dict.fromkeys(
        ("v", "v_nodes", "v_log"), "docs"
    )


def test_a_text_that_is_no_text_has_no_vector(lose: Callable[..., Any], path: Path) -> None:
    """The fault: an error of Python's, at the next commit."""
    conn = lose("own", "rows")
    harm(path, "UPDATE v_content SET content = x'00ff' WHERE id = 3")
    assert command(conn, "rebuild") is None
    assert command(conn, "integrity-check") is None
    assert sorted(found(conn, "one", 50)) == [i for i in TEXTS if i != 3]


def test_dimensions_are_those_of_the_vectors(lose: Callable[..., Any], path: Path) -> None:
    conn = lose("own")
    for wrong in ("7", "-1", "NULL", "'x'", "9000000000"):
        harm(path, f"UPDATE v_config SET value = {wrong} WHERE key = 'dimensions'")
        conn.execute("VACUUM")  # forget what was read of the config
        assert "v_config" in (command(conn, "integrity-check") or "") or wrong == "7"
        assert command(conn, "rebuild") is None
        assert command(conn, "integrity-check") is None
        assert is_exact(conn, "cosine")


def test_a_config_that_names_another_model_is_put_right(
    lose: Callable[..., Any], path: Path
) -> None:
    """The fault: all texts were taken for texts of another model, and the right one refused."""
    conn = lose("own")
    for key in ("sha256", "document_prefix"):
        harm(path, f"UPDATE v_config SET value = 'other' WHERE key = '{key}'")
        assert "names another model than the texts" in str(command(conn, "integrity-check"))
        assert command(conn, "rebuild") is None
        assert command(conn, "integrity-check") is None
        assert found(conn, TEXTS[5]) == [5]
