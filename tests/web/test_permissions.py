"""Nobody reads vectors, logs or texts of a table that they may not view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from datasette.resources import TableResource

from datasette_muninn.permissions import derived_of
from tests.web.conftest import PRIVATE_SECRETS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

ROOT = {"id": "root"}


async def allowed(instance: Any, table: str, actor: Any = None) -> bool:
    await instance.invoke_startup()
    resource = TableResource("library", table)
    return await instance.allowed(action="view-table", resource=resource, actor=actor)


async def behind(instance: Any, source: str) -> list[str]:
    derived = await derived_of(instance.get_database("library"))
    return [table for table, of in derived.items() if of == source]


async def test_everything_behind_a_private_table_is_private(datasette: Any) -> None:
    instance = datasette(PRIVATE_SECRETS)
    await instance.invoke_startup()
    tables = await behind(instance, "secrets")
    assert "secrets_vectors" in tables
    assert any(table.startswith("_muninn_") for table in tables)
    assert {f"secrets_vectors_{part}" for part in ("config", "nodes", "log")} <= set(tables)
    for table in tables:
        assert not await allowed(instance, table), table
        assert await allowed(instance, table, ROOT), table
        assert (await instance.client.get(f"/library/{table}.json")).status_code == 403
    for table in [*await behind(instance, "articles"), *await behind(instance, "own"), "own"]:
        assert await allowed(instance, table), table


async def test_private_vectors_are_not_listed(datasette: Any) -> None:
    instance = datasette(PRIVATE_SECRETS)
    body = (await instance.client.get("/library.json?_show_hidden=1")).json()
    names = [table["name"] for table in body["tables"]]
    assert "articles_vectors" in names
    assert not [name for name in names if name.startswith("secrets")]
    hidden = set(await behind(instance, "secrets"))
    assert not hidden & set(names)


async def test_every_table_of_a_vector_table_is_known(datasette: Any) -> None:
    """The fault: a new kind of shadow table that permissions have not heard of."""
    db = datasette().get_database("library")
    derived = await derived_of(db)
    others = {"articles", "secrets", "plain", "own", "sqlite_sequence"}
    assert set(await db.table_names()) - others == set(derived)


async def test_private_tables_are_not_searched(datasette: Any) -> None:
    instance = datasette(PRIVATE_SECRETS)
    for path in ("search.json?q=safe", "search.json?q=safe&_size=100"):
        body = (await instance.client.get(f"/library/-/muninn/{path}")).json()
        assert body["tables"] == ["articles", "own"]
        assert {row["table"] for row in body["rows"]} == {"articles", "own"}
    for name in ("secrets", "secrets_vectors", "nowhere"):
        response = await instance.client.get(f"/library/-/muninn/search.json?q=safe&table={name}")
        assert response.status_code == 404
        assert response.json()["errors"] == [
            f"there is no embedded table {name!r} that you may view"
        ]
    html = (await instance.client.get("/library/-/muninn/search?q=safe")).text
    assert "secrets" not in html
    assert "painting" not in html


async def test_who_may_view_the_table_may_search_it(datasette: Any) -> None:
    instance = datasette(PRIVATE_SECRETS)
    cookies = {"ds_actor": instance.client.actor_cookie(ROOT)}
    url = "/library/-/muninn/search.json?q=safe&table=secrets"
    body = (await instance.client.get(url, cookies=cookies)).json()
    assert {row["table"] for row in body["rows"]} == {"secrets"}


async def test_a_private_database_has_no_search_page(datasette: Any) -> None:
    instance = datasette({"databases": {"library": {"allow": {"id": "root"}}}})
    for path in ("/library/-/muninn/search", "/library/-/muninn/search.json?q=x"):
        assert (await instance.client.get(path)).status_code == 403


async def test_a_source_that_is_gone_hides_what_was_made_from_it(
    datasette: Any, library: Path
) -> None:
    instance = datasette()
    db = instance.get_database("library")
    assert await allowed(instance, "secrets_vectors")
    await db.execute_write("DROP TABLE secrets")
    assert not await allowed(instance, "secrets_vectors")
    assert await allowed(instance, "articles_vectors")


async def test_a_source_that_was_renamed_keeps_what_was_made_from_it(datasette: Any) -> None:
    """The fault: `secrets` is renamed, and its vectors are judged by a name that is gone."""
    instance = datasette(PRIVATE_SECRETS)
    await instance.invoke_startup()
    db = instance.get_database("library")
    await db.execute_write("ALTER TABLE secrets RENAME TO treasures")
    assert "secrets_vectors" in await behind(instance, "treasures")
    assert await behind(instance, "secrets") == []


async def test_vectors_without_an_owner_are_nobodys(datasette: Any) -> None:
    """A file may be crafted: the owner's config names another id, or is no table of ours."""
    instance = datasette()
    db = instance.get_database("library")
    (inner,) = [t for t in await behind(instance, "secrets") if t.startswith("_muninn_")]
    await db.execute_write("UPDATE secrets_vectors_config SET value = 'x' WHERE key = 'id'")
    await db.execute_write("CREATE TABLE touch (x)")  # the schema is looked at again
    assert not await allowed(instance, inner)


async def test_a_source_that_is_itself_made_from_a_table_is_not_asked(datasette: Any) -> None:
    """The fault: a chain of tables whose middle one is asked about without our rules."""
    instance = datasette(PRIVATE_SECRETS)
    db = instance.get_database("library")
    # Triggers tell the source's name before the config does.
    triggers = await db.execute(
        "SELECT name FROM sqlite_master WHERE tbl_name = 'articles' AND type = 'trigger'"
    )
    for (name,) in triggers.rows:
        await db.execute_write(f"DROP TRIGGER {name}")
    await db.execute_write(
        "UPDATE articles_vectors_config SET value = 'secrets_vectors_nodes' WHERE key = 'content'"
    )
    await db.execute_write("CREATE TABLE touch (x)")
    assert not await allowed(instance, "articles_vectors")
    assert not await allowed(instance, "secrets_vectors_nodes")
