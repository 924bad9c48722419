"""No node, edge, path, label, count or choice shows through a table that the actor may not view."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from datasette.resources import TableResource

from datasette_muninn.permissions import tables_named
from tests.web.graph_page import PATH

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

ROOT = {"id": "root"}
QUERIES = ("bread", "bridges", "flour secret cellar", "cakes market", "steel", "hostile")
# What is in one table alone, and must not be seen without it.
OF_PLACES = ("Northbridge", "The mill", "The vault", "vault", "places", "harbour", "secret cellar")
OF_PEOPLE = ("Ada", "Bert", "Cleo", "Dora", "people", "engineer", "baker", "rye")
OF_VISITS = ("works at", "workplace of", "visits")
OF_KNOWS = ("taught", "married", "knows")


def private(*tables: str) -> dict[str, Any]:
    """A configuration in which root alone views some tables."""
    return {"databases": {"town": {"tables": {t: {"allow": {"id": "root"}} for t in tables}}}}


async def everything(instance: Any, *, as_root: bool = False) -> str:
    """All that the pages and their JSON say, with what the visitor asked taken out."""
    cookies = {"ds_actor": instance.client.actor_cookie(ROOT)} if as_root else {}
    said = []
    for query in ("", *QUERIES):
        asked = f"q={query.replace(' ', '+')}&_size=50&explain=1"
        for path in (f"{PATH}.json?{asked}", f"{PATH}?{asked}"):
            response = await instance.client.get(path, cookies=cookies)
            assert response.status_code == 200, response.text
            said.append(
                response.text.replace(query, "").replace(asked, "") if query else response.text
            )
    return "\n".join(said)


@pytest.mark.parametrize(
    ("tables", "hidden"),
    [
        (("places",), (*OF_PLACES, *OF_VISITS)),
        (("people",), (*OF_PEOPLE, *OF_VISITS, *OF_KNOWS)),
        (("visits",), OF_VISITS),
        (("knows",), OF_KNOWS),
        (("places", "knows"), (*OF_PLACES, *OF_VISITS, *OF_KNOWS)),
    ],
    ids=["one of two node tables", "the other", "an edge table", "the other edge table", "both"],
)
async def test_nothing_shows_through(town: Any, tables: tuple[str, ...], hidden: Any) -> None:
    instance = town(private(*tables))
    said = await everything(instance)
    for word in hidden:
        assert word not in said, word
    told = await everything(instance, as_root=True)
    for word in hidden:
        assert word in told or word in ("workplace of",), word


async def test_what_is_left_is_searched(town: Any) -> None:
    instance = town(private("places"))
    body = (await instance.client.get(f"{PATH}.json?q=bread")).json()
    assert {"Cleo", "Dora"} <= {row["label"] for row in body["rows"]}
    assert {edge["type"] for edge in body["edges"]} <= {"taught", "married", "met"}


async def test_no_path_leads_through_a_private_table(town: Any) -> None:
    """The fault: Bert and Dora are both at the vault, and one leads to the other through it."""
    public = (await town().client.get(f"{PATH}.json?q=tunnels&edge_types=visits")).json()
    assert "Dora" in {row["label"] for row in public["rows"]}
    for tables in (("places",), ("visits",)):
        instance = town(private(*tables), embed=False)
        body = (await instance.client.get(f"{PATH}.json?q=tunnels&edge_types=visits")).json()
        assert {row["label"] for row in body["rows"]} == {"Bert"}
        assert (body["edges"], len(body["nodes"])) == ([], 1)


async def test_scores_do_not_tell_of_private_rows(town: Any, tmp_path: Path) -> None:
    """The fault: a score or a share that depends on edges that the actor may not see."""
    import sqlite_utils_muninn
    from tests.web.graph_library import town as graph

    instance = town(private("visits", "places"), embed=False)
    rows = (await instance.client.get(f"{PATH}.json?q=bread")).json()["rows"]
    conn = sqlite_utils_muninn.connect(town.file(embed=False), town.host)
    conn.execute("DELETE FROM visits")
    conn.execute("DELETE FROM places")
    conn.execute("INSERT INTO places_fts(places_fts) VALUES ('rebuild')")
    alone = sqlite_utils_muninn.search(conn, "bread", graph=graph(embed=False), top_k=20)
    conn.rollback()
    assert [row["label"] for row in rows] == [row.label for row in alone.rows]
    assert [row["score"] for row in rows] == pytest.approx([row.score for row in alone.rows])


async def test_a_graph_of_private_tables_is_none(town: Any) -> None:
    instance = town(private("people", "places"))
    for path in (PATH, f"{PATH}?q=bread", f"{PATH}.json?q=bread"):
        response = await instance.client.get(path)
        assert response.status_code == 200
        assert "Cleo" not in response.text
        assert "people" not in response.text
    response = await instance.client.get(f"{PATH}.json?q=bread&graph=town")
    assert response.status_code == 404
    assert "muninn/search" not in (await instance.client.get("/town")).text


async def test_proposals_are_cut_alike(town: Any) -> None:
    said = await everything(town(private("places"), declare=False, embed=False))
    for word in (*OF_PLACES, *OF_VISITS):
        assert word not in said, word


async def test_edges_that_do_not_say_where_they_end(town: Any) -> None:
    """The fault: an end that is no node that may be seen is a node all the same, without a name."""
    nodes = [
        {"table": "people", "label": "name", "text": "bio", "fts": "people_fts"},
        {"table": "Places", "label": "name"},
    ]
    edges = [{"table": "VISITS", "source": "who", "target": "place"}]
    graphs = {"town": {"nodes": nodes, "edges": edges}}
    public = (await town(graphs=graphs).client.get(f"{PATH}.json?q=tunnels")).json()
    assert "Dora" in {row["label"] for row in public["rows"]}
    instance = town(private("places"), graphs=graphs)
    said = await everything(instance)
    for word in OF_PLACES:
        assert word not in said, word
    body = (await instance.client.get(f"{PATH}.json?q=tunnels")).json()
    assert ({row["label"] for row in body["rows"]}, body["edges"]) == ({"Bert"}, [])


async def test_full_text_and_vectors_that_may_not_be_viewed_are_not_used(town: Any) -> None:
    instance = town(private("people_vectors", "places_fts"))
    body = (await instance.client.get(f"{PATH}.json?q=flour+bread")).json()
    assert {row["distance"] for row in body["rows"]} == {None}
    found = {row["label"]: row for row in body["rows"]}
    assert found["Cleo"]["fts_rank"] is not None
    assert found["The mill"]["fts_rank"] is None


async def test_where_needs_execute_sql(town: Any) -> None:
    instance = town({"databases": {"town": {"allow_sql": {"id": "root"}}}})
    for condition in ("1", "id < 3", "EXISTS (SELECT 1 FROM places)"):
        path = f"{PATH}.json?q=bread&_where={condition.replace(' ', '+')}"
        response = await instance.client.get(path)
        assert response.status_code == 403
        assert response.json()["error"] == "_where= is not allowed"
        cookies = {"ds_actor": instance.client.actor_cookie(ROOT)}
        assert (await instance.client.get(path, cookies=cookies)).status_code == 200
    assert '"_where"' not in (await instance.client.get(f"{PATH}?q=bread")).text


async def test_declarations_name_tables_and_are_as_private_as_these(town: Any) -> None:
    async def may_view(instance: Any, actor: Any) -> bool:
        await instance.invoke_startup()
        verdict: bool = await instance.allowed(
            action="view-table", resource=TableResource("town", "_muninn_graphs"), actor=actor
        )
        return verdict

    assert await may_view(town(), None)
    for table in ("people", "visits", "places_fts"):
        instance = town(private(table))
        assert not await may_view(instance, None), table
        assert await may_view(instance, ROOT), table
        assert (await instance.client.get("/town/_muninn_graphs.json")).status_code == 403
        listed = (await instance.client.get("/town.json?_show_hidden=1")).json()["tables"]
        assert "_muninn_graphs" not in {each["name"] for each in listed}


@pytest.mark.parametrize(
    "definition",
    [
        "no JSON, people",
        json.dumps({"nodes": [{"table": "PEOPLE", "from": "tomorrow"}]}),
        json.dumps({"people": 1}),
        json.dumps([[["people"]]]),
        "[" * 100_000,
        None,
    ],
)
async def test_definitions_that_cannot_be_read_hide_no_less(town: Any, definition: Any) -> None:
    instance = town(private("people"))
    db = instance.get_database("town")
    await db.execute_write("UPDATE _muninn_graphs SET definition = ?", [definition])
    assert "people" in await tables_named(db)
    assert (await instance.client.get("/town/_muninn_graphs.json")).status_code == 403
    assert (await instance.client.get(f"{PATH}.json?q=bread")).status_code == 200


async def test_a_private_database_has_no_search_page(town: Any) -> None:
    instance = town({"databases": {"town": {"allow": {"id": "root"}}}})
    for path in (PATH, f"{PATH}.json?q=bread", f"{PATH}?graph=town"):
        assert (await instance.client.get(path)).status_code == 403
