"""The plugin is there, its configuration is checked, and its SQL is on every connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from datasette.utils import StartupError

from datasette_muninn import settings
from sqlite_utils_muninn.models.limits import limits
from tests.served import PATIENT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio


async def query(datasette: Any, sql: str, database: str = "library", **parameters: str) -> Any:
    path = f"/{database}/-/query.json?" + urlencode({"sql": sql, **parameters})
    return (await datasette.client.get(path)).json()


async def test_plugin_is_listed(datasette: Any) -> None:
    plugins = (await datasette().client.get("/-/plugins.json")).json()
    plugins = plugins["plugins"] if isinstance(plugins, dict) else plugins
    mine = next(plugin for plugin in plugins if plugin["name"] == "datasette-muninn")
    assert (mine["static"], mine["templates"]) == (True, True)


async def test_functions_are_on_every_connection(datasette: Any) -> None:
    instance = datasette()
    instance.add_memory_database("named")
    sql = "SELECT length(muninn_embed('tiny', 'hello')) AS bytes"
    for database in ("library", "named"):
        found = await query(instance, sql, database)
        assert found.get("rows") == [{"bytes": 128}], found
    written = await instance.get_database("library").execute_write_fn(
        lambda conn: conn.execute(sql).fetchone()[0]
    )
    assert written == 128


async def test_vector_tables_answer_sql(datasette: Any) -> None:
    sql = "SELECT rowid FROM articles_vectors WHERE content MATCH :q ORDER BY distance LIMIT 2"
    found = await query(datasette(), sql, q="bread")
    assert len(found["rows"]) == 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT muninn_embed_model('/etc/passwd')", "files cannot be named"),
        ("SELECT lembed_model_from_file('/etc/passwd')", "files cannot be named"),
        ("SELECT muninn_embed('/tmp/x.gguf', 'a')", "model '/tmp/x.gguf' is not loaded"),
        ("SELECT muninn_embed('tiny', printf('%.*c', 20001, 'x'))", "at most 20,000 are allowed"),
        (
            "SELECT count(*) FROM muninn_embed_batch('tiny', "
            "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c LIMIT 1001) "
            "SELECT json_group_array('x') FROM c))",
            "at most 1,000 are allowed",
        ),
    ],
)
async def test_what_sql_from_the_web_may_not_do(datasette: Any, sql: str, message: str) -> None:
    found = await query(datasette(), sql)
    assert found["ok"] is False
    assert message in found["error"]


async def test_models_cannot_be_registered_from_the_web(datasette: Any, models: Any) -> None:
    db = datasette().get_database("library")
    for name in ("muninn_models", "lembed_models"):
        sql = f"INSERT INTO temp.{name}(name) VALUES ('mine')"
        with pytest.raises(Exception, match=r"models? can ?not be registered|not allowed|refused"):
            await db.execute_write(sql)


async def test_models_table_shows_no_paths_to_the_web(datasette: Any, models: Any) -> None:
    found = await query(datasette(), "SELECT * FROM muninn_models")
    assert "tiny" in [row["name"] for row in found["rows"]]
    assert models["tiny"] not in str(found["rows"])


async def test_a_page_view_keeps_the_terms_of_the_connection(datasette: Any) -> None:
    """The fault: Datasette wraps its connections in sqlite_utils.Database, and our sqlite-utils
    hook then loaded the functions once more, without Datasette's limits.
    """
    instance = datasette()
    for path in ("/library/articles", "/library/articles/1", "/library/articles.json?_facet=title"):
        assert (await instance.client.get(path)).status_code == 200
    for _ in range(6):  # all reading threads
        found = await query(instance, "SELECT muninn_embed_model('/etc/passwd')")
        assert "files cannot be named" in found["error"]


async def test_a_load_that_failed_is_not_finished_on_other_terms(
    datasette: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: Datasette's load fails, and sqlite-utils' hook then loads without limits."""
    from sqlite_utils_muninn import loading

    instance = datasette()
    db = instance.add_memory_database("named")
    whole = loading.surface

    def of_public(host: Any) -> Any:
        if host.public:
            raise RuntimeError("this host's surface is broken")
        return whole(host)

    monkeypatch.setattr(loading, "surface", of_public)

    def wrapped(conn: Any) -> Any:
        import sqlite_utils

        sqlite_utils.Database(conn)
        return conn.execute("SELECT muninn_embed_model('/etc/passwd')").fetchone()

    with pytest.raises(Exception, match="no such function: muninn_embed_model"):
        await db.execute_fn(wrapped)


async def test_immutable_and_read_only_files(library: Path, datasette: Any) -> None:
    from datasette.app import Datasette

    options = datasette().config["plugins"]
    instance = Datasette(
        [], immutables=[str(library)], config={"plugins": options}, settings=PATIENT
    )
    try:
        response = await instance.client.get("/library/-/muninn/search.json?q=bread&_size=1")
        assert response.status_code == 200
        found = await query(instance, "SELECT name FROM temp.muninn_models")
        assert {"name": "tiny"} in found["rows"]
    finally:
        instance.close()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("max_txt", 5, "unknown option 'max_txt', there are: encoder, gpu_layers, max_query"),
        ("max_text", 0, "max_text must be a whole number above 0, got 0"),
        ("max_seconds", "fast", "max_seconds must be a number of seconds above 0, got 'fast'"),
        ("models", ["a.gguf"], "models must map names to paths of GGUF files"),
        ("models_directory", 3, "models_directory must be the path of a directory, got 3"),
        ("models_memory", "2 GB", "models_memory must be a whole number above 0, got '2 GB'"),
        ("gpu_layers", -1, "gpu_layers must be a whole number, 0 or more, got -1"),
        ("encoder", "fast", "encoder must be one of auto, int8, llama.cpp, got 'fast'"),
    ],
)
async def test_wrong_options_are_named_at_start(option: str, value: Any, message: str) -> None:
    with pytest.raises(StartupError) as caught:
        settings.read({option: value})
    assert message in str(caught.value)


async def test_what_models_may_take_is_told_to_the_process(
    datasette: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bytes", "gpu_layers", "encoder"):
        monkeypatch.setattr(limits, name, getattr(limits, name))
    await datasette(models_memory=10**9, gpu_layers=0, encoder="llama.cpp").invoke_startup()
    assert (limits.bytes, limits.gpu_layers, limits.encoder) == (10**9, 0, "llama.cpp")


async def test_wrong_options_stop_the_start(datasette: Any) -> None:
    with pytest.raises(StartupError, match="max_text"):
        await datasette(max_text=-1).invoke_startup()
