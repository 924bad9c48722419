"""A small library of embedded tables, and Datasette over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from datasette.app import Datasette

from sqlite_utils_muninn import connect
from sqlite_utils_muninn.settings import Host
from sqlite_utils_muninn.vectors.texts.embed import Wish, plan, run
from sqlite_utils_muninn.vectors.texts.embedder import Models
from tests.served import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARTICLES = [
    (1, "Baking bread", "Knead the dough and bake it in the oven."),
    (2, "Stock markets", "Shares fell when the central bank raised its rates."),
    (3, "House cats", "Cats sleep most of the day and hunt at dusk."),
    (4, "Sourdough", "A loaf made with wild yeast needs a long rise."),
]
SLOW = {"max_seconds": 60}  # the limit of one search, on a machine that is busy
SECRETS = [(1, "The safe is behind the painting."), (2, "The code is 1234.")]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A model by name: a tiny one, whose vectors mean nothing but are real."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed: tiny models cannot be written")
    from tests.tiny_gguf import Bert

    return {"tiny": str(Bert().write(tmp_path_factory.mktemp("tiny") / "tiny.gguf"))}


@pytest.fixture
def library(tmp_path: Path, models: dict[str, str], models_directory: Path) -> Path:
    """articles (public) and secrets, both embedded; own, with texts of its own."""
    path = tmp_path / "library.db"
    host = Host(models=models, models_directory=models_directory, threads=1)
    conn = connect(path, host, isolation_level=None)
    conn.execute("CREATE TABLE articles (id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
    conn.executemany("INSERT INTO articles VALUES (?, ?, ?)", ARTICLES)
    conn.execute("CREATE TABLE secrets (id INTEGER PRIMARY KEY, body TEXT)")
    conn.executemany("INSERT INTO secrets VALUES (?, ?)", SECRETS)
    conn.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, name TEXT)")
    for table, columns in (("articles", ("title", "body")), ("secrets", ("body",))):
        wish = Wish(table=table, columns=columns, model="tiny")
        list(run(plan(conn, wish, Models(host))))
    conn.execute("CREATE VIRTUAL TABLE own USING hnsw_text(model='tiny')")
    conn.execute("INSERT INTO own(rowid, content) VALUES (7, 'a note of its own')")
    conn.close()
    return path


@pytest.fixture
def datasette(
    library: Path, models: dict[str, str], models_directory: Path
) -> Iterator[Callable[..., Datasette]]:
    """Makes Datasette instances over the library; keyword arguments are the plugin's options."""
    made: list[Datasette] = []

    def make(
        config: dict[str, Any] | None = None, files: list[Path] | None = None, **options: Any
    ) -> Datasette:
        plugin = {"models": models, "models_directory": str(models_directory), **SLOW, **options}
        whole = {"plugins": {"datasette-muninn": plugin}, **(config or {})}
        paths = [str(path) for path in files or [library]]
        made.append(Datasette(paths, config=whole, settings=PATIENT))
        return made[-1]

    yield make
    for instance in made:
        instance.close()


PRIVATE_SECRETS = {
    "databases": {"library": {"tables": {"secrets": {"allow": {"id": "root"}}}}},
}


class Town:
    """Makes Datasette instances over the town; keyword arguments are the database's options."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.folder, self.host = folder, host
        self.made: list[Datasette] = []

    def file(self, *, declare: bool = True, embed: bool = True) -> Path:
        from tests.web.graph_library import write_town

        folder = self.folder / f"declare {declare} embed {embed}"
        if not folder.exists():
            folder.mkdir()
            write_town(folder / "town.db", self.host, declare=declare, embed=embed)
        return folder / "town.db"

    def __call__(
        self,
        config: dict[str, Any] | None = None,
        *,
        declare: bool = True,
        embed: bool = True,
        settings: dict[str, Any] | None = None,
        plugin: dict[str, Any] | None = None,
        **options: Any,
    ) -> Datasette:
        whole = dict(config or {})
        top = {"models": dict(self.host.models), "threads": 1, **SLOW, **(plugin or {})}
        top.setdefault("models_directory", str(self.host.models_directory))
        whole["plugins"] = {"datasette-muninn": top}
        databases = whole["databases"] = dict(whole.get("databases") or {})
        databases["town"] = {
            **databases.get("town", {}), "plugins": {"datasette-muninn": options}
        }  # fmt: skip
        path = str(self.file(declare=declare, embed=embed))
        self.made.append(Datasette([path], config=whole, settings={**PATIENT, **(settings or {})}))
        return self.made[-1]


@pytest.fixture
def town(tmp_path: Path, models: dict[str, str], models_directory: Path) -> Iterator[Town]:
    """A declared graph of people and places, and Datasette over it."""
    host = Host(models=models, models_directory=models_directory, threads=1)
    found = Town(tmp_path, host)
    yield found
    for instance in found.made:
        instance.close()


@pytest.fixture
def town_file(town: Town) -> Path:
    return town.file()
