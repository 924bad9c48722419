"""The search page of a knowledge graph and its JSON."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette
from datasette.utils import StartupError

import sqlite_utils_muninn
from datasette_muninn import asked, database_settings, inference
from sqlite_utils_muninn.search.options import Options
from sqlite_utils_muninn.search.stored import define
from sqlite_utils_muninn.vectors.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.embedder import Models
from tests.web.graph_library import HOSTILE, PLACES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

PATH = "/town/-/muninn/search"


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reranker, whose judgements mean nothing but are real."""
    from tests.tiny_gguf import BertReranker

    return str(BertReranker().write(tmp_path_factory.mktemp("tiny") / "judge.gguf"))


async def get(instance: Any, parameters: str, status: int = 200) -> Any:
    response = await instance.client.get(f"{PATH}.json?{parameters}")
    assert response.status_code == status, response.text
    return response.json()


async def test_json_has_rows_with_reasons(town: Any) -> None:
    body = await get(town(), "q=bread")
    assert {key: body[key] for key in ("ok", "database", "graph", "graphs", "query")} == {
        "ok": True,
        "database": "town",
        "graph": "town",
        "graphs": ["town"],
        "query": "bread",
    }
    rows = body["rows"]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    found = {row["label"]: row for row in rows}
    assert {"Cleo", "The mill"} <= set(found), "they have the word"
    assert {"Dora", "Ada"} <= set(found), "they are linked to those"
    cleo = found["Cleo"]
    assert (cleo["url"], cleo["type"], cleo["table"]) == ("/town/people/3", "baker", "people")
    assert cleo["snippet"] == "Cleo bakes bread with wild yeast."
    assert cleo["fts_rank"] is not None
    assert found["The mill"]["url"] == "/town/places/mill"
    assert found["The mill"]["node"] == "mill"
    for row in rows:
        assert row["via"]["sentence"]
        path = row["via"]["path"]
        shares = row["via"]["direct"] + row["via"]["rest"] + (path[-1]["share"] if path else 0)
        assert shares == pytest.approx(1)


async def test_the_answer_is_the_engines_own(town: Any, town_file: Path) -> None:
    """The fault: the page ranks in its own way, and SQL and the command line in another."""
    from sqlite_utils_muninn.search.stored import graph_named

    rows = (await get(town(), "q=bread+and+bridges&_size=5&expand_hops=1"))["rows"]
    conn = sqlite_utils_muninn.connect(town_file, town.host)
    answer = sqlite_utils_muninn.search(
        conn, "bread and bridges", graph=graph_named(conn, "town"), top_k=5, expand_hops=1
    )
    assert [(row["table"], row["node"]) for row in rows] == [(r.table, r.node) for r in answer.rows]
    assert [row["score"] for row in rows] == pytest.approx([row.score for row in answer.rows])
    assert [row["via"]["sentence"] for row in rows] == [r.via.sentence() for r in answer.rows]
    sql = (
        "SELECT label, score, reason FROM knowledge_graph_search('bread and bridges') "
        "WHERE graph = 'town' AND top_k = 5 AND expand_hops = 1"
    )
    found = await town().get_database("town").execute(sql)
    assert [(r["label"], r["via"]["sentence"]) for r in rows] == [(r[0], r[2]) for r in found.rows]
    assert [row["score"] for row in rows] == pytest.approx([row[1] for row in found.rows])


async def test_json_has_the_drawn_graph(town: Any) -> None:
    body = await get(town(), "q=bread")
    nodes = {node["id"]: node for node in body["nodes"]}
    assert len(nodes) == len(body["nodes"])
    assert {row["id"] for row in body["rows"]} <= set(nodes)
    assert len({(node["x"], node["y"]) for node in nodes.values()}) == len(nodes)
    for row in body["rows"]:
        node = nodes[row["id"]]
        assert (node["rank"], node["label"], node["url"]) == (row["rank"], row["label"], row["url"])
    assert body["edges"]
    named = {(nodes[e["source"]]["label"], e["type"], nodes[e["target"]]["label"])
             for e in body["edges"]}  # fmt: skip
    assert ("Cleo", "works at", "The mill") in named, "edges point the way that the table says"
    assert ("Cleo", "taught", "Dora") in named
    reasons = [edge for edge in body["edges"] if edge["path"]]
    assert reasons


async def test_paths_are_edges_that_are_drawn(town: Any) -> None:
    for query in ("bread", "bridges", "flour", "cakes"):
        body = await get(town(), f"q={query}&_size=3")
        drawn = {(e["source"], e["type"], e["target"]) for e in body["edges"]}
        for row in body["rows"]:
            for step in row["via"]["path"]:
                ends = [f"{step['source_table']}/{step['source']}",
                        f"{step['target_table']}/{step['target']}"]  # fmt: skip
                if step["direction"] == "reverse":
                    ends.reverse()
                assert (ends[0], step["type"], ends[1]) in drawn


async def test_the_page_shows_what_the_json_says(town: Any) -> None:
    instance = town()
    body = await get(instance, "q=bread")
    response = await instance.client.get(f"{PATH}?q=bread")
    assert response.status_code == 200
    page = Page(response.text)
    assert page.data["nodes"] == body["nodes"]
    assert page.data["edges"] == body["edges"]
    assert page.rows == [row["id"] for row in body["rows"]]
    for row in body["rows"]:
        assert row["via"]["sentence"].removeprefix(f"{row['label']} ") in page.text
        assert f"{row['score']:.4g}" in page.text
        for step in row["via"]["path"][-1:]:
            assert f"{step['share']:.0%}: {step['source_label']}" in page.text


async def test_nothing_of_the_data_is_markup(town: Any) -> None:
    """The fault: a label ends the script that holds the graph, and begins one of its own."""
    instance = town()
    html = (await instance.client.get(f"{PATH}?q=rye+hostile")).text
    assert "hostile name" in html
    assert "alert('label')" not in html.replace("&#39;", "'").replace(
        "&lt;script&gt;alert('label')&lt;/script&gt;", ""
    )
    assert "<img src=x" not in html
    page = Page(html)
    labels = [node["label"] for node in page.data["nodes"]]
    assert HOSTILE in labels, "and it is there in full"
    harmless = Page((await instance.client.get(f"{PATH}?q=bread&node_types=engineer")).text)
    assert page.scripts_with_text == harmless.scripts_with_text


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


async def test_texts_that_are_no_unicode_are_shown_as_far_as_they_are(town: Any) -> None:
    """The fault: one damaged row takes every search that finds it down."""
    instance = town(embed=False)
    await instance.get_database("town").execute_write(
        "UPDATE people SET name = CAST(x'42FF72' AS TEXT), job = CAST(x'FF' AS TEXT) WHERE id = 3"
    )
    rows = (await get(instance, "q=bread"))["rows"]
    assert "B\ufffdr" in {row["label"] for row in rows}
    assert (await instance.client.get(f"{PATH}?q=bread")).status_code == 200


async def test_ids_of_any_type(town: Any) -> None:
    instance = town(embed=False)
    db = instance.get_database("town")
    for id_ in (b"\x00\xff", 1.5, "", "a b/c?d", 2**60):
        await db.execute_write(
            "INSERT INTO places(code, name, about) VALUES (?, 'Odd', 'unicorns')", [id_]
        )
    await db.execute_write("INSERT INTO places_fts(places_fts) VALUES ('rebuild')")
    body = await get(instance, "q=unicorns")
    odd = [row for row in body["rows"] if row["label"] == "Odd"]
    assert len({row["id"] for row in odd}) == 5
    assert {"$base64": True, "encoded": "AP8="} in [row["node"] for row in odd]
    assert (await instance.client.get(f"{PATH}?q=unicorns")).status_code == 200


async def test_immutable_files_and_memory(town: Any) -> None:
    plugins = town().config["plugins"]
    fixed = Datasette([], immutables=[str(town.file())], config={"plugins": plugins})
    try:
        assert (await get(fixed, "q=bread"))["rows"]
        named = fixed.add_memory_database("named")
        await named.execute_write("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        await named.execute_write("CREATE VIRTUAL TABLE t_fts USING fts5(name, content='t')")
        await named.execute_write("INSERT INTO t VALUES (1, 'raven')")
        await named.execute_write("INSERT INTO t_fts(t_fts) VALUES ('rebuild')")
        response = await fixed.client.get("/named/-/muninn/search.json?q=raven")
        assert [row["url"] for row in response.json()["rows"]] == ["/named/t/1"]
    finally:
        fixed.close()


async def test_documents_without_relations_are_a_list(town: Any) -> None:
    nodes = [{"table": "people", "label": "name", "text": "bio", "fts": "people_fts"}]
    instance = town(graphs={"town": {"nodes": nodes}})
    body = await get(instance, "q=bread")
    assert body["edges"] == []
    page = (await instance.client.get(f"{PATH}?q=bread")).text
    assert "muninn-graph-data" not in page
    assert "There are no edges" in page


async def test_explain_tells_the_stages(town: Any) -> None:
    instance = town()
    assert "stages" not in await get(instance, "q=bread")
    stages = (await get(instance, "q=bread&explain=1"))["stages"]
    assert {"name", "milliseconds", "count"} == set(stages[0])
    assert sum(stage["milliseconds"] for stage in stages) > 0
    page = (await instance.client.get(f"{PATH}?q=bread&explain=1")).text
    for stage in stages:
        assert f"<td>{stage['name']}</td>" in page


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
    assert settings | {"reranker", "edge_table"} == set(asked.OPTIONS)


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
        ("alpha=nan", "'alpha' must be from 0 to 1"),
        ("damping=7", "'damping' must be from 0 to 1"),
        ("type_weights=taught", "type_weights must be a JSON object of edge types and weights"),
        ("type_weights=[1]", "type_weights must be a JSON object of edge types and weights"),
        ("edge_table=_muninn_graphs", "'edge_table' must be an edge table of the graph"),
        ("reranker=none&rerank_top=101", "rerank_top must be at most 100, got 101"),
        ("rank_by=beauty", "'rank_by' must be one of ppr, score"),
        ("reranker=none-such", "reranker 'none-such' cannot be chosen: none is configured"),
        ("_where=id+<", "where"),
        ("_where=1)+OR+(1", "where"),
    ],
)
async def test_wrong_arguments_are_named(town: Any, parameters: str, message: str) -> None:
    instance = town()
    body = await get(instance, f"q=bread&{parameters}", 400)
    assert message in body["error"]
    page = await instance.client.get(f"{PATH}?q=bread&{parameters}")
    assert page.status_code == 400
    assert 'role="alert"' in page.text


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
    assert "node_types: baker · edge_types: taught · expand_hops: 1 · where: id &gt; 0" in page


async def test_before_a_search_there_are_questions_and_what_is_searched(town: Any) -> None:
    instance = town(questions=["Who bakes <b>bread</b>?"])
    page = (await instance.client.get(PATH)).text
    assert "Who bakes &lt;b&gt;bread&lt;/b&gt;?" in page
    assert 'href="/town/-/muninn/search?q=Who+bakes+%3Cb%3Ebread%3C%2Fb%3E%3F"' in page
    assert 'href="/town/people"' in page
    assert "autofocus" in page
    assert "muninn-graph-data" not in page


async def test_a_graph_without_a_model_is_searched_by_words(
    town_file: Path, tmp_path: Path
) -> None:
    empty = {"datasette-muninn": {"models_directory": str(tmp_path / "none")}}
    instance = Datasette([str(town_file)], config={"plugins": empty})
    try:
        body = await get(instance, "q=bread")
        assert {"Cleo", "The mill"} <= {row["label"] for row in body["rows"]}
        assert any("'tiny' is not loaded" in sentence for sentence in body["missing"])
        assert str(town_file.parent) not in json.dumps(body)
        page = (await instance.client.get(f"{PATH}?q=bread")).text
        assert "&#39;tiny&#39; is not loaded" in page
    finally:
        instance.close()


async def test_vectors_of_two_models_are_both_searched(town: Any, tmp_path: Path) -> None:
    """The fault: one vector of the query for all tables, of the same size but another model."""
    from tests.tiny_gguf import Bert
    from tests.web.graph_library import town as graph

    other = str(Bert(seed=7).write(tmp_path / "other.gguf"))
    host = replace(town.host, models={**town.host.models, "other": other})
    path = town.file()
    conn = sqlite_utils_muninn.connect(path, host, isolation_level=None)
    list(run(plan(conn, Wish(table="places", columns=("name", "about"), model="other"),
                  Models(host))))  # fmt: skip
    people, places = graph().nodes
    both = replace(graph(), nodes=(people, replace(places, vectors="places_vectors")))
    define(conn, both)
    for models in (host.models, {"other": other}):
        instance = town(plugin={"models": dict(models)})
        rows = (await get(instance, "q=bread&_size=50"))["rows"]
        own = sqlite_utils_muninn.connect(path, replace(host, models=models))
        answer = sqlite_utils_muninn.search(own, "bread", top_k=50)
        assert [row["distance"] for row in rows] == [row.distance for row in answer.rows]
        assert [row["label"] for row in rows] == [row.label for row in answer.rows]
        with_vectors = {row["table"] for row in rows if row["distance"] is not None}
        assert with_vectors == ({"people", "places"} if len(models) == 2 else {"places"})


async def test_rows_that_wait_for_their_vectors_are_counted(town: Any) -> None:
    instance = town()
    assert (await get(instance, "q=bread"))["waiting"] == []
    instance = town()
    await instance.get_database("town").execute_write("UPDATE people SET bio = 'x' WHERE id < 3")
    assert (await get(instance, "q=bread"))["waiting"] == [
        {"table": "people", "vectors": "people_vectors", "rows": 2}
    ]
    page = (await instance.client.get(f"{PATH}?q=bread")).text
    assert "2 rows of people have no up-to-date vector" in page


async def test_no_graph_is_declared_the_tables_are_searched(town: Any) -> None:
    instance = town(declare=False)
    body = await get(instance, "q=bread")
    assert body["tables"] == ["people"], "as before there were graphs"
    body = await get(instance, "q=bread&graph=knowledge")
    assert (body["graph"], body["declared"]) == ("knowledge", False)
    assert {"Cleo", "The mill"} <= {row["label"] for row in body["rows"]}
    page = (await instance.client.get(f"{PATH}?graph=knowledge")).text
    assert "Nobody has declared a knowledge graph" in page


async def test_nothing_embedded_nothing_declared_words_and_keys_make_a_graph(town: Any) -> None:
    body = await get(town(declare=False, embed=False), "q=bread")
    assert (body["graph"], body["declared"]) == ("knowledge", False)
    assert {"Cleo", "The mill"} <= {row["label"] for row in body["rows"]}


async def test_one_table_can_still_be_searched_by_meaning_alone(town: Any) -> None:
    body = await get(town(), "q=bread&table=people")
    assert body["table"] == "people"
    assert {row["vectors"] for row in body["rows"]} == {"people_vectors"}


async def test_an_unknown_graph(town: Any) -> None:
    for suffix in ("", ".json"):
        response = await town().client.get(f"{PATH}{suffix}?q=x&graph=nowhere")
        assert response.status_code == 404
        assert "no knowledge graph" in response.text


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


async def test_tables_of_any_kind_lead_to_their_rows(town: Any, tmp_path: Path) -> None:
    """Keys that are texts with slashes, compound, or not the id; no rowid; views, without pages."""
    conn = sqlite_utils_muninn.connect(tmp_path / "kinds.db", isolation_level=None)
    conn.executescript("""
        CREATE TABLE texts (code TEXT PRIMARY KEY, name TEXT);
        INSERT INTO texts VALUES ('a/b?', 'raven one');
        CREATE TABLE pairs (a INTEGER, b TEXT, name TEXT, number INTEGER, PRIMARY KEY (a, b));
        INSERT INTO pairs VALUES (1, 'x,y', 'raven two', 7);
        CREATE TABLE without (code TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
        INSERT INTO without VALUES ('w', 'raven three');
        CREATE TABLE plain (name TEXT);
        INSERT INTO plain VALUES ('raven four');
        CREATE VIEW seen AS SELECT 9 AS id, 'raven five' AS name;
    """)
    conn.close()
    nodes = [{"table": t, "label": "name", "text": "name"} for t in ("texts", "without", "plain")]
    nodes.append({"table": "pairs", "id": "number", "label": "name", "text": "name"})
    nodes.append({"table": "seen", "id": "id", "label": "name", "text": "name"})
    config = {"plugins": {"datasette-muninn": {"graphs": {"kinds": {"nodes": nodes}}}}}
    instance = Datasette([str(tmp_path / "kinds.db")], config={"databases": {"kinds": config}})
    try:
        response = await instance.client.get("/kinds/-/muninn/search.json?q=raven")
        urls = {row["label"]: row["url"] for row in response.json()["rows"]}
        assert set(urls) == {f"raven {n}" for n in ("one", "two", "three", "four", "five")}
        assert urls.pop("raven five") is None
        for label, url in urls.items():
            page = await instance.client.get(f"{url}.json?_shape=objects")
            assert page.json()["rows"][0]["name"] == label
        assert (await instance.client.get("/kinds/-/muninn/search?q=raven")).status_code == 200
    finally:
        instance.close()


async def test_a_search_by_meaning_offers_the_relations(town: Any) -> None:
    page = (await town(declare=False).client.get(f"{PATH}?q=bread")).text
    assert "/town/-/muninn/search?q=bread&amp;graph=knowledge" in page


async def test_search_is_offered_on_the_databases_page(town: Any) -> None:
    page = (await town().client.get("/town")).text
    assert 'action="/town/-/muninn/search"' in page


async def test_links_follow_the_base_url(town: Any) -> None:
    instance = town(settings={"base_url": "/data/"}, questions=["Who?"])
    body = (await instance.client.get("/town/-/muninn/search.json?q=bread")).json()
    assert {row["url"].split("/")[1] for row in body["rows"]} == {"data"}
    assert {node["url"].split("/")[1] for node in body["nodes"]} == {"data"}
    page = (await instance.client.get("/town/-/muninn/search")).text
    assert 'href="/data/town/-/muninn/search?q=Who%3F"' in page


class Page(HTMLParser):
    """What the page says, to people and to its script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[str] = []
        self.text = ""
        self.data: Any = None
        self.scripts_with_text = 0
        self._in: dict[str, str | None] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "li" and "data-node" in given:
            self.rows.append(given["data-node"] or "")
        self._in = given if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in is None:
            self.text += data
        elif self._in.get("id") == "muninn-graph-data":
            self.data = json.loads(data)
        elif "src" not in self._in and data.strip():
            self.scripts_with_text += 1
