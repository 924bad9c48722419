"""``python -m demo`` and what Datasette shows of its result."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click.testing
import pytest
from datasette.app import Datasette
from datasette.utils import parse_metadata

from demo.__main__ import main
from demo.serve import FOLDER
from tests.served import PATIENT

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, arguments)


def test_it_builds_once_and_says_so(database: Path) -> None:
    arguments = ("--database", str(database), "--no-embed", "--no-serve")
    first, second = run(*arguments), run(*arguments)
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "Built" in first.output
    assert "is up to date" in second.output


def test_another_file_name_would_lose_the_notice(tmp_path: Path) -> None:
    result = run("--database", str(tmp_path / "mine.db"), "--no-serve")
    assert result.exit_code == 2
    assert "must be called attack.db, got 'mine.db'" in result.output


def test_a_busy_port_is_told_before_any_work(database: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        result = run("--database", str(database), "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port} is not free" in result.output
    assert not database.exists()


@pytest.mark.asyncio
async def test_datasette_shows_the_tables_the_notice_and_the_queries(database: Path) -> None:
    run("--database", str(database), "--no-embed", "--no-serve")
    datasette = Datasette(
        [str(database)],
        metadata=parse_metadata((FOLDER / "metadata.yaml").read_text()),
        config=parse_metadata((FOLDER / "datasette.yaml").read_text()),
        settings=PATIENT,
    )
    page = (await datasette.client.get("/attack")).text
    assert "reproduced and distributed with the permission" in page
    objects = await datasette.client.get("/attack/objects?_search=password")
    assert objects.status_code == 200
    assert "steals passwords" in objects.text
    edges = await datasette.client.get("/attack/relationships")
    assert ">Obfuscation: Junk Data<" in edges.text, "foreign keys show the object's name"
    for query in (
        "most_used_techniques.json",
        "arsenal.json?group=Crew",
        "defences.json?technique=T1001",
    ):
        assert (await datasette.client.get(f"/attack/{query}")).status_code == 200, query
