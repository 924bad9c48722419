"""What the search page of a knowledge graph and its JSON answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette

import sqlite_utils_muninn
from sqlite_utils_muninn.search.stored import define
from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models
from tests.served import PATIENT
from tests.web.graph_library import HOSTILE
from tests.web.graph_page import PATH, Page, get

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio


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
    fixed = Datasette(
        [], immutables=[str(town.file())], config={"plugins": plugins}, settings=PATIENT
    )
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


async def test_a_graph_without_a_model_is_searched_by_words(
    town_file: Path, tmp_path: Path
) -> None:
    empty = {"datasette-muninn": {"models_directory": str(tmp_path / "none")}}
    instance = Datasette([str(town_file)], config={"plugins": empty}, settings=PATIENT)
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
        {
            **{"table": "people", "vectors": "people_vectors"},
            **{"rows": 2, "left_out": 0, "where": None},
        }
    ]
    page = (await instance.client.get(f"{PATH}?q=bread")).text
    assert "2 rows of people have no up-to-date vector" in page


async def test_rows_that_were_left_out_are_no_rows_that_wait(town: Any) -> None:
    """The fault: "rows have no up-to-date vector" of those that `embed --where` left out."""
    path = town.file()
    conn = sqlite_utils_muninn.connect(path, town.host, isolation_level=None)
    conn.execute("DROP TABLE people_vectors")
    where = "bio <> '<b>'"
    wish = Wish(table="people", columns=("name", "bio"), model="tiny", where=f"id < 3 AND {where}")
    list(run(plan(conn, wish, Models(town.host)), 100))
    left = conn.execute("SELECT count(*) FROM people").fetchone()[0] - 2
    (told,) = (await get(town(), "q=bread"))["waiting"]
    assert (told["rows"], told["left_out"], told["where"]) == (0, left, wish.where)
    instance = town()
    assert "up-to-date" not in (await instance.client.get(f"{PATH}?q=bread")).text
    page = (await instance.client.get(PATH)).text
    assert f"{left} rows of people are found by words alone" in page
    assert "bio &lt;&gt; &#39;&lt;b&gt;&#39;" in page


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
    instance = Datasette(
        [str(tmp_path / "kinds.db")], config={"databases": {"kinds": config}}, settings=PATIENT
    )
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
