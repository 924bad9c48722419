"""The demo's declaration, and the first search that a visitor sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from datasette.app import Datasette
from datasette.utils import parse_metadata

from demo.graph import NAME, declare_graph
from demo.serve import FOLDER, SEARCH_PATH
from tests.demo.test_command import run
from tests.served import PATIENT

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_declared_once_and_said(database: Path) -> None:
    arguments = ("--database", str(database), "--no-embed", "--no-serve")
    first, second = run(*arguments), run(*arguments)
    assert "Declared its knowledge graph" in first.output
    assert "Declared" not in second.output
    assert declare_graph(database) is False


@pytest.mark.asyncio
async def test_the_first_search_shows_the_graph(database: Path) -> None:
    run("--database", str(database), "--no-embed", "--no-serve")
    datasette = Datasette(
        [str(database)],
        config=parse_metadata((FOLDER / "datasette.yaml").read_text()),
        settings=PATIENT,
    )
    try:
        assert (await datasette.client.get(f"/{SEARCH_PATH}")).status_code == 200
        path = SEARCH_PATH.partition("?")[0]
        body = (await datasette.client.get(f"/{path}.json?q=passwords")).json()
        assert body["graph"] == NAME
        rows = {row["label"]: row for row in body["rows"]}
        assert "Mal" in rows, "it steals passwords"
        assert "Obfuscation" in rows, "what Mal uses"
        assert rows["Obfuscation"]["via"]["sentence"].startswith("Mal -[uses]-> Obfuscation")
        assert {edge["type"] for edge in body["edges"]} == {"uses", "subtechnique-of"}
        start = (await datasette.client.get("/attack/-/muninn/search")).text
        assert "How can phishing be stopped?" in start
    finally:
        datasette.close()
