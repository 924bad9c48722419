"""Texts searched in a real Datasette while they are written and embedded: nothing stale, no lock.

The source table is written through Datasette's own JSON API; its rows get their vectors from a
plugin's write, or from another process that catches up, as `sqlite-utils embed` does. A row's text
says which row it is and which version. So a row that is found must have a text that it had during
the search, and be at distance 0 from a question exactly if that is its text.
"""

from __future__ import annotations

import json
import random
import string
import threading
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from sqlite_utils_muninn import connect
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models
from tests.served import served
from tests.web.conftest import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 120
WISH = Wish(table="docs", columns=("body",))
SAME = 1e-6  # distances of a text from itself
SQL = "select rowid, distance, content from docs_vectors where content match :q and k = 10"
LIMITED = "select rowid, distance, content from docs_vectors where content match :q limit 10"
JOINED = (
    "select v.rowid, v.distance, body as content from docs_vectors v "
    "join docs on docs.id = v.rowid where v.content match :q order by v.distance limit 10"
)

# A plugin that embeds what was just written, on Datasette's thread and connection for writes.
EMBEDDER = """
from datasette import Response, hookimpl

@hookimpl
def register_routes():
    return [(r"/embed/(?P<id>[0-9]+)$", embed)]

async def embed(datasette, request):
    id_ = int(request.url_vars["id"])
    sql = "INSERT OR REPLACE INTO docs_vectors(rowid) VALUES (?)"
    await datasette.get_database("library").execute_write(sql, [id_])
    return Response.json({"ok": True})
"""


def text_of(id_: int, version: int) -> str:
    """Letters, as the tiny model knows no digits; each version is far from the one before it."""
    number, letters = zlib.crc32(f"{id_} {version}".encode()), ""
    while number:
        number, rest = divmod(number, 26)
        letters += string.ascii_lowercase[rest]
    return letters


VERSIONS = {
    text_of(id_, version): (id_, version) for id_ in range(1, ROWS + 1) for version in range(500)
}


class Library:
    """The file, and the Datasette that serves it."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.path, self.host, self.address = folder / "library.db", host, ""
        conn = self.open()
        conn.execute("PRAGMA journal_mode = wal")
        conn.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)")
        rows = ((id_, text_of(id_, 1)) for id_ in range(1, ROWS + 1))
        conn.executemany("INSERT INTO docs VALUES (?, ?)", rows)
        list(run(plan(conn, replace(WISH, model="tiny"), Models(host))))
        conn.close()

    def open(self) -> Any:
        return connect(self.path, self.host, isolation_level=None, timeout=30)


@pytest.fixture
def library(tmp_path: Path, models: dict[str, str], models_directory: Path) -> Iterator[Library]:
    """`datasette library.db` over a table of texts, as a process of its own."""
    host = Host(models=models, models_directory=models_directory, threads=1)
    made = Library(tmp_path, host)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "embedder.py").write_text(EMBEDDER)
    allowed = dict.fromkeys(("insert-row", "update-row", "delete-row"), True)
    models_here = {
        "models": models,
        "models_directory": str(models_directory),
        "threads": 1,
        **SLOW,
    }
    config = {
        "plugins": {"datasette-muninn": models_here},
        "databases": {"library": {"permissions": allowed}},
    }
    (tmp_path / "datasette.json").write_text(json.dumps(config))
    options = ("--plugins-dir", tmp_path / "plugins", "--config", tmp_path / "datasette.json")
    with served(made.path, *options) as made.address:
        yield made


class Crowd:
    """Everybody who asks, and what must have been seen."""

    def __init__(self, library: Library, seconds: float, least: dict[str, int]) -> None:
        self.library = library
        self.end, self.least = time.monotonic() + seconds, least
        self.committed = [1] * (ROWS + 1)
        self.asked = [1] * (ROWS + 1)
        self.embedded = [1] * (ROWS + 1)
        self.counts = dict.fromkeys(least, 0)
        self.errors: list[str] = []

    def run(self) -> None:
        steps = (self._read, self._read, self._read, self._write)
        workers = [threading.Thread(target=self._guarded, args=(step,)) for step in steps]
        workers.append(threading.Thread(target=self._catch_up))
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _goes_on(self) -> bool:
        """Until the time is over and each did its part, however slow the machine."""
        is_enough = all(self.counts[part] > least for part, least in self.least.items())
        return not (is_enough and time.monotonic() > self.end) and not self.errors

    def _guarded(self, step: Any) -> None:
        chance = random.Random(threading.get_ident())
        with httpx2.Client(timeout=60, base_url=self.library.address) as client:
            while self._goes_on():
                try:
                    step(client, chance)
                except Exception as error:
                    self.errors.append(f"{type(error).__name__}: {error}")

    # ---- Writing ----

    def _write(self, client: Any, chance: random.Random) -> None:
        id_ = chance.randrange(1, ROWS + 1)
        version = self.asked[id_] + 1
        self.asked[id_] = version
        if version % 5 == 0:
            _answer(client.post(f"/library/docs/{id_}/-/delete", json={}))
        row = {"id": id_, "body": text_of(id_, version)}
        _answer(client.post("/library/docs/-/upsert", json={"rows": [row]}))
        self.committed[id_] = version
        if chance.random() < 0.5:
            _answer(client.get(f"/embed/{id_}"))
            self.embedded[id_] = version
        self.counts["written"] += 1

    def _catch_up(self) -> None:
        """What `sqlite-utils embed library.db docs` does, again and again."""
        conn = self.library.open()
        try:
            while self._goes_on():
                before = list(self.committed)
                list(run(plan(conn, WISH, Models(self.library.host)), 8))
                self.embedded[:] = map(max, self.embedded, before)
                self.counts["caught up"] += 1
                time.sleep(0.2)
        except Exception as error:
            self.errors.append(f"catching up: {type(error).__name__}: {error}")
        finally:
            conn.close()

    # ---- Reading ----

    def _read(self, client: Any, chance: random.Random) -> None:
        id_ = chance.randrange(1, ROWS + 1)
        committed, embedded = list(self.committed), self.embedded[id_]
        # An older version is nobody's text: what was embedded of it must not be found.
        version = max(1, embedded - chance.choice((0, 0, 1)))
        text, quiet = text_of(id_, version), self.asked[id_] == embedded
        rows = self._found(client, chance, text)
        asked = list(self.asked)
        for row in rows:
            whose, seen = VERSIONS[row["content"]]
            assert whose == row["rowid"]
            assert committed[whose] <= seen <= asked[whose], f"version {seen} is stale"
            is_same = row["content"] == text
            assert (abs(row["distance"]) < SAME) == is_same, f"{row} is not as far from {text!r}"
        if quiet and version == embedded == asked[id_]:
            assert id_ in [row["rowid"] for row in rows], f"{text!r} is not found"
            self.counts["certain"] += 1
        self.counts["read"] += 1

    def _found(self, client: Any, chance: random.Random, text: str) -> list[dict[str, Any]]:
        sql = chance.choice((SQL, LIMITED, JOINED, None))
        if sql:
            query = {"sql": sql, "q": text, "_shape": "array"}
            rows: list[dict[str, Any]] = _answer(client.get("/library/-/query.json", params=query))
            return rows
        asked = {"q": text, "table": "docs", "_size": "10"}
        found = _answer(client.get("/library/-/muninn/search.json", params=asked))["rows"]
        # What is shown of a row is its label, and what its text says besides: of the same version.
        return [{**row, "content": f"{row['label']} {row['snippet']}".strip()} for row in found]


def _answer(response: Any) -> Any:
    assert response.status_code in (200, 201), response.text
    return response.json()


def crowd(library: Library, seconds: float, least: dict[str, int]) -> None:
    """So often at least each part was done."""
    made = Crowd(library, seconds, least)
    made.run()
    assert made.errors == []
    conn = library.open()
    list(run(plan(conn, WISH, Models(library.host))))
    assert plan(conn, WISH, Models(library.host)).difference.todo == 0
    conn.execute("INSERT INTO docs_vectors(docs_vectors) VALUES ('integrity-check')")
    expected = [(id_, text_of(id_, made.committed[id_])) for id_ in range(1, ROWS + 1)]
    assert conn.execute("SELECT rowid, content FROM docs_vectors").fetchall() == expected
    nearest = "SELECT rowid, distance FROM docs_vectors WHERE content MATCH ? AND k = 1"
    for id_, text in expected:
        ((found, far),) = conn.execute(nearest, (text,))
        assert found == id_
        assert abs(far) < SAME
    conn.close()


def test_texts_are_written_embedded_and_searched_at_once(library: Library) -> None:
    crowd(library, 4, {"read": 1, "certain": 10, "written": 1, "caught up": 1})


@pytest.mark.long
def test_texts_are_written_embedded_and_searched_for_a_minute(library: Library) -> None:
    crowd(library, 60, {"read": 20, "certain": 200, "written": 20, "caught up": 20})
