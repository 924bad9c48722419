"""What datasette.yaml says of the search page: graphs, questions, a reranker, limits."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.utils import StartupError

from datasette_muninn import database_settings, inference
from tests.web.graph_page import PATH, get

pytestmark = pytest.mark.asyncio


async def test_the_configuration_defines_and_overrides_graphs(town: Any) -> None:
    small = {"nodes": [{"table": "places", "label": "name", "text": "about", "fts": "places_fts"}]}
    instance = town(graphs={"town": small, "harbours": small})
    body = await get(instance, "q=bridges")
    assert body["graphs"] == ["harbours", "town"]
    for name in ("town", "harbours"):
        rows = (await get(instance, f"q=bridges+bread&graph={name}"))["rows"]
        assert {row["table"] for row in rows} == {"places"}
    page = (await instance.client.get(f"{PATH}?q=bridges&graph=town")).text
    assert '<option value="town" selected>' in page


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"graps": {}}, "database 'town': unknown option 'graps', there are: graphs, questions"),
        ({"graphs": []}, "database 'town': graphs must map names to knowledge graphs, got []"),
        ({"graphs": {"g": {}}}, "knowledge graph 'g': 'nodes' must name at least one table"),
        ({"graphs": {"g": {"nodes": [{"tabel": "x"}]}}}, "nodes[0]: unknown key 'tabel'"),
        ({"questions": "Who?"}, "database 'town': questions must be a list of texts, got 'Who?'"),
        ({"reranker": 3}, "database 'town': reranker must be the name of a model, got 3"),
        (["x"], "database 'town': the configuration must be a mapping, got ['x']"),
    ],
)
async def test_wrong_configurations_stop_the_start(config: Any, message: str) -> None:
    whole = {"databases": {"town": {"plugins": {"datasette-muninn": config}}}}
    with pytest.raises(StartupError) as caught:
        await database_settings.check_all(Datasette([], config=whole))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"table": "peopel"}, "names the table 'peopel', which is not there"),
        ({"table": "people", "label": "nam"}, "names 'nam' as the label of 'people', which has no"),
        ({"table": "people", "fts": "places_fts"}, "'places_fts'"),
    ],
)
async def test_graphs_of_the_configuration_must_be_in_the_file(
    town: Any, node: Any, message: str
) -> None:
    with pytest.raises(StartupError) as caught:
        await town(graphs={"g": {"nodes": [node]}}).invoke_startup()
    assert "database 'town': knowledge graph 'g'" in str(caught.value)
    assert message in str(caught.value)


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reranker, whose judgements mean nothing but are real."""
    from tests.tiny_gguf import BertReranker

    return str(BertReranker().write(tmp_path_factory.mktemp("tiny") / "judge.gguf"))


async def test_rows_are_judged_again_where_that_is_configured(town: Any, judge: str) -> None:
    models = {**town.host.models, "judge": judge}
    instance = town(plugin={"models": models}, reranker="judge")
    judged = await get(instance, "q=bread&explain=1")
    assert "rerank" in [stage["name"] for stage in judged["stages"]]
    assert all(0 < row["rerank_score"] < 1 for row in judged["rows"] if row["hop"] == 0)
    plain = await get(instance, "q=bread&reranker=none&explain=1")
    assert "rerank" not in [stage["name"] for stage in plain["stages"]]
    assert {row["rerank_score"] for row in plain["rows"]} == {None}
    page = (await instance.client.get(f"{PATH}?q=bread&reranker=none")).text
    assert '<option value="none" selected>' in page
    other = await get(instance, "q=bread&reranker=tiny", 400)
    assert "it may be judge or none" in other["error"]


async def test_rows_are_judged_without_threads_too(town: Any, judge: str) -> None:
    """The fault: the one thread waits for a model whose turn it would have to give."""
    models = {**town.host.models, "judge": judge}
    instance = town(plugin={"models": models}, reranker="judge", settings={"num_sql_threads": 0})
    assert (await get(instance, "q=bread"))["rows"][0]["rerank_score"] is not None


async def test_a_judge_that_is_gone_is_said(town: Any) -> None:
    body = await get(town(reranker="gone"), "q=bread")
    assert body["rows"]
    assert any(said.startswith("not reranked: ") for said in body["missing"])


async def test_searches_beyond_the_queue_are_told_to_come_back(town: Any) -> None:
    instance = town(plugin={"max_waiting": 1})
    await instance.invoke_startup()
    gate = threading.Event()
    running = asyncio.ensure_future(inference.inference_of(instance).run(lambda db: gate.wait(20)))
    await asyncio.sleep(0.1)
    try:
        body = await get(instance, "q=bread", 503)
        assert "try again" in body["error"]
        assert (await instance.client.get("/town/people.json")).status_code == 200
    finally:
        gate.set()
        await running
    await get(instance, "q=bread")


async def test_a_search_has_an_end(town: Any) -> None:
    body = await get(town(plugin={"max_seconds": 1e-6}, embed=False), "q=bread", 500)
    assert "stopped after 1e-06 seconds" in body["error"]


async def test_before_a_search_there_are_questions_and_what_is_searched(town: Any) -> None:
    instance = town(questions=["Who bakes <b>bread</b>?"])
    page = (await instance.client.get(PATH)).text
    assert "Who bakes &lt;b&gt;bread&lt;/b&gt;?" in page
    assert 'href="/town/-/muninn/search?q=Who+bakes+%3Cb%3Ebread%3C%2Fb%3E%3F"' in page
    assert 'href="/town/people"' in page
    assert "autofocus" in page
    assert "muninn-graph-data" not in page


async def test_the_page_says_which_columns_hold_other_names(town: Any) -> None:
    """The fault: codes are searched, and who read what is searched could not know."""
    people = {"table": "people", "label": "name", "text": "bio", "aliases": ["job", "name"]}
    page = (await town(graphs={"town": {"nodes": [people]}}).client.get(PATH)).text
    assert "people</a>: bio; other names: job, name</li>" in page


async def test_links_follow_the_base_url(town: Any) -> None:
    instance = town(settings={"base_url": "/data/"}, questions=["Who?"])
    body = (await instance.client.get("/town/-/muninn/search.json?q=bread")).json()
    assert {row["url"].split("/")[1] for row in body["rows"]} == {"data"}
    assert {node["url"].split("/")[1] for node in body["nodes"]} == {"data"}
    page = (await instance.client.get("/town/-/muninn/search")).text
    assert 'href="/data/town/-/muninn/search?q=Who%3F"' in page
