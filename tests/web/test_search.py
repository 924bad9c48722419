"""The search page and its JSON."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette

from datasette_muninn import inference
from sqlite_utils_muninn import connect
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models
from tests.served import PATIENT
from tests.web.conftest import ARTICLES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

PATH = "/library/-/muninn/search"


async def test_json_has_the_ranked_rows(datasette: Any) -> None:
    body = (await datasette().client.get(f"{PATH}.json?q=bread&table=articles")).json()
    assert {key: body[key] for key in ("ok", "database", "query", "table", "tables")} == {
        "ok": True,
        "database": "library",
        "query": "bread",
        "table": "articles",
        "tables": ["articles", "own", "secrets"],
    }
    rows = body["rows"]
    assert sorted(row["rowid"] for row in rows) == [1, 2, 3, 4]
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    for row in rows:
        _, title, text = ARTICLES[row["rowid"] - 1]
        assert (row["label"], row["snippet"]) == (title, text)
        assert row["url"] == f"/library/articles/{row['rowid']}"
        assert row["score"] == pytest.approx(max(0.0, 1 - row["distance"]))


async def test_page_and_sql_agree_on_the_order(datasette: Any) -> None:
    instance = datasette()
    body = (await instance.client.get(f"{PATH}.json?q=wild+yeast&table=articles")).json()
    sql = "SELECT rowid FROM articles_vectors WHERE content MATCH 'wild yeast' AND k = 4"
    found = await instance.get_database("library").execute(sql)
    assert [row["rowid"] for row in body["rows"]] == [row[0] for row in found.rows]


async def test_the_model_ranks_by_meaning(
    minilm_path: Path, tmp_path: Path, models_directory: Path
) -> None:
    from sqlite_utils_muninn import Host, connect

    path = tmp_path / "meaning.db"
    models = {"MiniLM": str(minilm_path)}
    conn = connect(path, Host(models=models, models_directory=models_directory))
    conn.execute("CREATE VIRTUAL TABLE notes USING hnsw_text(model='MiniLM')")
    conn.executemany("INSERT INTO notes(rowid, content) VALUES (?, ?)", [a[::2] for a in ARTICLES])
    conn.commit()
    conn.close()
    options = {"models": models, "models_directory": str(models_directory)}
    instance = Datasette(
        [str(path)], config={"plugins": {"datasette-muninn": options}}, settings=PATIENT
    )
    try:
        url = "/meaning/-/muninn/search.json?q=the+economy"
        rows = (await instance.client.get(url)).json()["rows"]
        assert rows[0]["rowid"] == 2
        rows = (await instance.client.get(url.replace("the+economy", "pets"))).json()["rows"]
        assert rows[0]["rowid"] == 3
    finally:
        instance.close()


async def test_page_links_to_the_rows_and_escapes_what_it_shows(datasette: Any) -> None:
    instance = datasette()
    db = instance.get_database("library")
    await db.execute_write("UPDATE articles SET title = '<b>Bread</b>' WHERE id = 1")
    # A row that was changed is found again once it is embedded.
    await db.execute_write("INSERT OR REPLACE INTO articles_vectors(rowid) VALUES (1)")
    response = await instance.client.get(f"{PATH}?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert response.status_code == 200
    html = response.text
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<b>Bread</b>" not in html
    assert '<a href="/library/articles/1">&lt;b&gt;Bread&lt;/b&gt;</a>' in html
    assert html.count("<meter") == 7
    assert 'role="search"' in html


async def test_links_follow_the_base_url(library: Path, datasette: Any) -> None:
    plugins = datasette().config["plugins"]
    instance = Datasette(
        [str(library)], config={"plugins": plugins}, settings={**PATIENT, "base_url": "/data/"}
    )
    try:
        html = (await instance.client.get("/library/-/muninn/search?q=bread")).text
        assert 'href="/data/library/articles/1"' in html
        assert 'action="/data/library/-/muninn/search"' in html
    finally:
        instance.close()


@pytest.mark.parametrize(
    ("parameters", "status", "message"),
    [
        ("q=x&table=plain", 404, "there is no embedded table 'plain' that you may view"),
        ("q=x&_size=0", 400, "_size must be a whole number from 1 to 100, got '0'"),
        ("q=x&_size=101", 400, "_size must be a whole number from 1 to 100, got '101'"),
        ("q=x&_size=ten", 400, "_size must be a whole number from 1 to 100, got 'ten'"),
        ("q=" + "x" * 2001, 400, "q has 2,001 characters, at most 2,000 are allowed"),
    ],
)
async def test_wrong_requests_are_told_what_is_wrong(
    datasette: Any, parameters: str, status: int, message: str
) -> None:
    instance = datasette()
    response = await instance.client.get(f"{PATH}.json?{parameters}")
    assert (response.status_code, response.json()["ok"]) == (status, False)
    assert response.json()["errors"] == [message]
    page = await instance.client.get(f"{PATH}?{parameters}")
    assert page.status_code == status
    assert 'role="alert"' in page.text


async def test_no_such_database(datasette: Any) -> None:
    response = await datasette().client.get("/nowhere/-/muninn/search.json?q=x")
    assert response.status_code == 404


async def test_without_a_query_there_is_a_form(datasette: Any) -> None:
    page = (await datasette().client.get(PATH)).text
    assert "autofocus" in page
    assert '<option value="secrets">' in page
    assert "<meter" not in page


async def test_a_database_without_embedded_tables_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bare.db"
    sqlite3.connect(path).execute("CREATE TABLE t (x)")
    instance = Datasette([str(path)], settings=PATIENT)
    try:
        page = (await instance.client.get("/bare/-/muninn/search?q=x")).text
        assert "sqlite-utils embed bare.db" in page
        assert "Search by meaning" not in (await instance.client.get("/bare")).text
        body = (await instance.client.get("/bare/-/muninn/search.json?q=x")).json()
        assert (body["tables"], body["rows"]) == ([], [])
    finally:
        instance.close()


async def test_a_model_that_is_gone_is_said_and_the_texts_stay_readable(
    library: Path, tmp_path: Path
) -> None:
    empty = {"datasette-muninn": {"models_directory": str(tmp_path / "none")}}
    instance = Datasette([str(library)], config={"plugins": empty}, settings=PATIENT)
    try:
        response = await instance.client.get(f"{PATH}.json?q=bread")
        assert response.status_code == 500
        assert "model 'tiny' is not loaded" in response.json()["error"]
        assert str(library.parent) not in response.text
        rows = (await instance.client.get("/library/own.json?_shape=array")).json()
        assert [row["content"] for row in rows] == ["a note of its own"]
    finally:
        instance.close()


async def test_a_long_text_is_no_title(
    library: Path, models: dict[str, str], models_directory: Path, datasette: Any
) -> None:
    """Datasette takes the only text column for a label: the page was one heading of all of it."""
    host = Host(models=models, models_directory=models_directory, threads=1)
    conn = connect(library, host, isolation_level=None)
    text = "whales sleep near the surface " * 60
    conn.execute("INSERT INTO secrets VALUES (99, ?)", (text,))
    list(run(plan(conn, Wish(table="secrets", columns=("body",), model="tiny"), Models(host))))
    conn.close()
    body = (await datasette().client.get(f"{PATH}.json?q=whales&table=secrets")).json()
    (row,) = [row for row in body["rows"] if row["rowid"] == 99]
    assert len(row["label"]) <= 82
    assert row["label"].startswith("whales sleep near")
    assert row["snippet"].startswith("whales sleep near")


async def test_rows_deleted_since_are_not_shown(datasette: Any) -> None:
    instance = datasette()
    await instance.get_database("library").execute_write("DELETE FROM articles WHERE id = 1")
    body = (await instance.client.get(f"{PATH}.json?q=bread&table=articles")).json()
    assert sorted(row["rowid"] for row in body["rows"]) == [2, 3, 4]


async def test_searches_beyond_the_queue_are_told_to_come_back(datasette: Any) -> None:
    instance = datasette(max_waiting=1)
    await instance.invoke_startup()
    gate = threading.Event()
    running = asyncio.ensure_future(inference.inference_of(instance).run(lambda db: gate.wait(20)))
    await asyncio.sleep(0.1)
    try:
        response = await instance.client.get(f"{PATH}.json?q=bread")
        assert response.status_code == 503
        assert "try again" in response.json()["error"]
        assert (await instance.client.get("/library/articles.json")).status_code == 200
    finally:
        gate.set()
        await running
    assert (await instance.client.get(f"{PATH}.json?q=bread")).status_code == 200


async def test_search_is_offered_on_datasettes_own_pages(datasette: Any) -> None:
    instance = datasette()
    database = (await instance.client.get("/library")).text
    assert 'action="/library/-/muninn/search"' in database
    assert "Search by meaning" in database
    assert (
        "/library/-/muninn/search?table=articles"
        in (await instance.client.get("/library/articles")).text
    )
    assert "muninn/search" not in (await instance.client.get("/library/plain")).text


async def test_commands_that_a_page_shows_name_the_file(datasette: Any, tmp_path: Path) -> None:
    """The fault: a file called archive.sqlite was said to be archive.db."""
    path = tmp_path / "archive.sqlite"
    sqlite3.connect(path).close()
    page = (await datasette(files=[path]).client.get("/archive/-/muninn/search")).text
    assert "sqlite-utils embed archive.sqlite articles title body" in page
