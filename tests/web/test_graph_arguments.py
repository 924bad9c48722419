"""The arguments of the search page: what may be asked for, and what is said of the rest."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

import pytest

from datasette_muninn import parameters
from datasette_muninn.graph_search.found import COUNTED
from sqlite_utils_muninn.search.options import Options
from tests.web.graph_library import HOSTILE, PLACES
from tests.web.graph_page import PATH, get

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("parameters", "labels"),
    [
        ("node_types=baker", {"Cleo", "Dora"}),
        ("node_types=baker&node_types=engineer", {"Cleo", "Dora", "Ada", "Bert"}),
        ("node_types=baker,engineer", {"Cleo", "Dora", "Ada", "Bert"}),
        ("node_types=baker%2C+retired", {HOSTILE}),
        ("node_types=places", {name for _, name, _ in PLACES}),
        ("_where=id+<+3", {"Ada", "Bert"}),
        ("_where=id+<+3&_where=id+>+1", {"Bert"}),
    ],
)
async def test_filters(town: Any, parameters: str, labels: set[str]) -> None:
    rows = (await get(town(), f"q=bread+bridges&_size=50&{parameters}"))["rows"]
    assert rows
    assert {row["label"] for row in rows} <= labels


async def test_edge_types(town: Any) -> None:
    body = await get(town(), "q=bread&edge_types=taught")
    assert {edge["type"] for edge in body["edges"]} <= {"taught"}
    steps = [step for row in body["rows"] for step in row["via"]["path"]]
    assert {step["type"] for step in steps} == {"taught"}


async def test_all_settings_of_the_engine_can_be_asked_for() -> None:
    """The fault: SQL and the command line learn an argument, and the page does not."""
    settings = {field.name for field in fields(Options)} - {"top_k", "where"}
    assert settings | {"reranker", "edge_table"} == set(parameters.OPTIONS)


async def test_weights_of_types_and_one_table_of_edges(town: Any) -> None:
    instance = town()
    weighted = await get(instance, 'q=bread&type_weights={"taught":0,"met":0,"married":0}')
    steps = {step["type"] for row in weighted["rows"] for step in row["via"]["path"]}
    assert steps == {"works at", "visits"}
    one = await get(instance, "q=bread&edge_table=knows")
    assert {edge["table"] for edge in one["edges"]} == {"knows"}


async def test_without_hops_there_are_matches_alone(town: Any) -> None:
    rows = (await get(town(embed=False), "q=bread&expand_hops=0"))["rows"]
    assert {row["label"] for row in rows} == {"Cleo", "The mill"}
    assert {row["hop"] for row in rows} == {0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("_size=0", "_size must be a whole number from 1 to 100, got '0'"),
        ("expand_hops=two", "expand_hops must be a whole number, got 'two'"),
        ("expand_hops=1&expand_hops=2", "expand_hops is given 2 times, it may be given once"),
        ("alpha=x", "alpha must be a number, got 'x'"),
        ("alpha=nan", "alpha must be from 0 to 1, got nan"),
        ("damping=7", "damping must be from 0 to 1"),
        ("type_weights=taught", "type_weights must be a JSON object of edge types and weights"),
        ("type_weights=[1]", "type_weights must be a JSON object of edge types and weights"),
        ("edge_table=_muninn_graphs", "edge_table must be an edge table of the graph"),
        ("reranker=none&rerank_top=101", "rerank_top must be at most 100, got 101"),
        ("rank_by=beauty", "rank_by must be one of ppr, score"),
        ("reranker=none-such", "reranker 'none-such' cannot be chosen: none is configured"),
        ("_where=id+<", "_where"),
        ("_where=1)+OR+(1", "_where must be a SQL condition"),
    ],
)
async def test_wrong_arguments_are_named(town: Any, parameters: str, message: str) -> None:
    instance = town()
    body = await get(instance, f"q=bread&{parameters}", 400)
    assert message in body["error"]
    page = await instance.client.get(f"{PATH}?q=bread&{parameters}")
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    # The fault: the search box was empty, and the question had to be typed again.
    assert 'name="q" value="bread"' in page.text
    assert '/town/-/muninn/search?q=bread">' in page.text


async def test_empty_parameters_are_as_if_not_given(town: Any) -> None:
    """The fault: a form without JavaScript sends all its fields."""
    instance = town()
    plain = await get(instance, "q=bread")
    sent = await get(instance, "q=bread&expand_hops=&rank_by=&_size=&_where=&node_types=")
    assert sent["rows"] == plain["rows"]


async def test_the_form_keeps_what_was_set(town: Any) -> None:
    page = (await town().client.get(
        f"{PATH}?q=bread&node_types=baker&expand_hops=1&_where=id+>+0&edge_types=taught"
    )).text  # fmt: skip
    assert re.search(r'name="node_types" value="baker" checked', page)
    assert re.search(r'name="edge_types" value="taught" checked', page)
    assert '<option value="1" selected>' in page
    assert "id &gt; 0" in page
    said = "show only rows of type: baker · follow only relations of type: taught"
    assert f"{said} · relations followed: 1 · show only rows where: id &gt; 0" in page
    assert "node_types:" not in page


async def test_the_next_search_keeps_what_has_no_field(town: Any) -> None:
    """The fault: `alpha=1` was said to be set, and was gone with the next query."""
    page = (await town().client.get(f"{PATH}?q=bread&alpha=1&explain=1&expand_hops=1&x=y")).text
    form = page.partition("<form")[2].partition("</form>")[0]
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    assert hidden == {"alpha": "1", "explain": "1"}
    wrong = (await town().client.get(f"{PATH}?q=bread&alpha=x")).text
    assert 'name="alpha"' not in wrong


async def test_a_whole_paragraph_is_not_said_again(town: Any) -> None:
    """The fault: the line above the results, and the window's title, had all of it."""
    text = "Who bakes bread with wild yeast, and where? " * 30
    page = (await town().client.get(f"{PATH}?{urlencode({'q': text})}")).text
    assert page.count(text.strip()) == 1, "in the box, where it can be changed"
    assert "rows for “Who bakes bread with wild yeast, and where? " in page


async def test_explain_tells_the_stages(town: Any) -> None:
    instance = town()
    assert "stages" not in await get(instance, "q=bread")
    stages = (await get(instance, "q=bread&explain=1"))["stages"]
    assert {"name", "milliseconds", "count"} == set(stages[0])
    assert sum(stage["milliseconds"] for stage in stages) > 0
    page = (await instance.client.get(f"{PATH}?q=bread&explain=1")).text
    for stage in stages:
        counted = f"{COUNTED[stage['name']]}: {stage['count']:,}"
        assert re.search(rf"<b>{stage['name']}</b> [\d.]+ ms <span[^>]*>{counted}</span>", page)


async def test_one_table_can_still_be_searched_by_meaning_alone(town: Any) -> None:
    body = await get(town(), "q=bread&table=people")
    assert body["table"] == "people"
    # The fault: the next search from there was one of the whole graph, and none led to it.
    page = (await town().client.get(f"{PATH}?q=bread&table=people")).text
    assert '<input type="hidden" name="table" value="people">' in page
    assert '<a href="/town/-/muninn/search?q=bread">Search all of town</a>' in page
    apart = (await town(declare=False).client.get(f"{PATH}?q=bread&table=people")).text
    assert "Search all of" not in apart
    assert {row["vectors"] for row in body["rows"]} == {"people_vectors"}


async def test_an_unknown_graph(town: Any) -> None:
    for suffix in ("", ".json"):
        response = await town().client.get(f"{PATH}{suffix}?q=x&graph=nowhere")
        assert response.status_code == 404
        assert "no knowledge graph" in response.text


async def test_a_hostile_query_is_text(town: Any) -> None:
    from urllib.parse import quote_plus

    for text in (
        '"><script>alert(2)</script>',
        "' OR 1=1 --",
        "NEAR(",
        "what's C++?",
        "*",
        "a AND",
    ):
        response = await town().client.get(f"{PATH}?q={quote_plus(text)}")
        assert response.status_code == 200
        assert "<script>alert(2)" not in response.text


@pytest.mark.parametrize(
    "query", ["%00", "bread%00flour", "%ED%A0%80", "%FF", "%F0%9F%A6%84", "a" * 2000, "%27%22%60"]
)
async def test_odd_queries_are_answered(town: Any, query: str) -> None:
    instance = town()
    for path in (f"{PATH}.json?q={query}", f"{PATH}?q={query}"):
        assert (await instance.client.get(path)).status_code == 200
