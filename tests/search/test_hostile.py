"""Whatever is asked, and whatever the file holds: an answer or one sentence, never a crash."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlite_utils_muninn import search
from sqlite_utils_muninn.search import from_json, propose

from .conftest import ATTACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(query=st.text())
def test_any_text_is_a_query(attack: Any, query: str) -> None:
    for row in search(attack, query).rows:
        assert row.via.sentence()


@pytest.mark.parametrize(
    "query", ["\x00", "crack\x00password", "\ud800", "crack \udfff", "word " * 5000, "'" * 999]
)
def test_odd_texts_are_queries_too(attack: Any, query: str) -> None:
    assert isinstance(search(attack, query).rows, list)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("objects"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "nodes",
                    "edges",
                    "table",
                    "id",
                    "label",
                    "text",
                    "type",
                    "fts",
                    "vectors",
                    "source",
                    "target",
                    "weight",
                    "type_weights",
                    "inverses",
                    "entity",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(definition=_JSON)
def test_any_json_is_a_graph_or_one_sentence(definition: Any) -> None:
    with contextlib.suppress(ValueError):
        graph = from_json("g", definition)
        assert from_json("g", graph.to_json()) == graph


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE objects SET name = NULL, description = NULL",
        "UPDATE objects SET name = x'00ff', type = x'ff'",
        "UPDATE objects SET type = NULL",
        "UPDATE relationships SET type = NULL",
        "UPDATE relationships SET type = x'ff00'",
        "UPDATE relationships SET source = target",
        "UPDATE relationships SET source = 'x', target = 2.5",
        "DELETE FROM relationships",
        "DELETE FROM objects",
        "UPDATE objects_fts_data SET block = x''",
        "DELETE FROM objects_fts_data WHERE id = 1",
        "INSERT INTO relationships(source, type, target) SELECT 1, 'uses', 1 FROM objects",
    ],
)
def test_odd_data_do_no_harm(attack: Any, change: str) -> None:
    attack.execute("PRAGMA foreign_keys = off")
    attack.execute(change)
    try:
        rows = search(attack, "crack password service").rows
    except attack.Error as error:  # a damaged full-text table says so itself
        if "objects_fts" not in change or "malformed" not in str(error):
            raise
        return
    for row in rows:
        last = row.via.path[-1].share if row.via.path else 0
        assert row.via.direct + last + row.via.rest == pytest.approx(1)
        assert row.label


def test_many_threads_search_one_graph(connect: Callable[..., Any], tmp_path: Path) -> None:
    """They share its arrays, and lend each other memory."""
    first = connect(tmp_path / "a.db")
    first.executescript(ATTACK)
    queries = ["crack password service", "phishing", "apt29", "teach people", "aes"]
    wanted = [search(first, query).rows for query in queries]
    problems: list[BaseException] = []

    def work() -> None:
        try:
            conn = connect(tmp_path / "a.db")
            for _ in range(20):
                found = [search(conn, query).rows for query in queries]
                assert found == wanted
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


def test_ids_that_several_tables_have_are_told(conn: Any) -> None:
    conn.executescript(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE b (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE TABLE e (source INTEGER, target INTEGER);"
        "INSERT INTO a VALUES (1, 'apple'), (2, 'bread'); INSERT INTO b VALUES (2, 'cider');"
        "INSERT INTO e VALUES (1, 2);"
    )
    graph = propose(conn)
    answer = search(conn, "apple", graph=graph)
    assert (
        "1 id is in several of the tables 'a', 'b': edges of 'e' lead to the first of them; "
        "say which with source_table and target_table"
    ) in answer.missing
