"""The page of models, the page of one, their JSON, and who may see and do what."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from sqlite_utils_muninn.models.files.catalogue import catalogue
from tests.web.conftest import PRIVATE_SECRETS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

LIST = "/-/muninn/models"
TINY = f"{LIST}/tiny"


@pytest.fixture(scope="session")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.tiny_gguf import BertReranker

    return str(BertReranker().write(tmp_path_factory.mktemp("tiny") / "reranker.gguf"))


async def as_root(instance: Any, path: str, **options: Any) -> Any:
    cookies = {"ds_actor": instance.client.actor_cookie({"id": "root"})}
    return await instance.client.request(
        options.pop("method", "GET"), path, cookies=cookies, **options
    )


async def test_json_lists_the_catalogue_and_what_is_here(datasette: Any) -> None:
    body = (await datasette().client.get(f"{LIST}.json")).json()
    models = {model["name"]: model for model in body["models"]}
    assert body["ok"] is True
    assert {known.name for known in catalogue()} < set(models)
    tiny = models["tiny"]
    assert (tiny["installed"], tiny["task"], tiny["dimensions"]) == (True, "embedding", 32)
    assert (tiny["context"], tiny["pooling"], tiny["architecture"]) == (64, "mean", "bert")
    assert len(tiny["sha256"]) == 64
    assert tiny["size"] > 1000
    assert body["models"][0]["name"] == "tiny"
    assert models["nomic-embed-text-v1.5"]["installed"] is False
    assert models["jina-reranker-v1-tiny-en"]["task"] == "reranking"


async def test_tables_that_use_a_model(datasette: Any) -> None:
    body = (await datasette().client.get(f"{TINY}.json")).json()
    assert [table["table"] for table in body["model"]["tables"]] == ["articles", "own", "secrets"]
    assert body["model"]["tables"][0] == {
        "database": "library",
        "table": "articles",
        "url": "/library/articles",
    }


async def test_private_tables_are_not_named(datasette: Any) -> None:
    instance = datasette(PRIVATE_SECRETS)
    for path in (f"{LIST}.json", LIST, TINY, f"{TINY}.json"):
        assert "secrets" not in (await instance.client.get(path)).text
    assert "secrets" in (await as_root(instance, TINY)).text


async def test_no_path_of_the_server_is_shown(datasette: Any, models: dict[str, str]) -> None:
    instance = datasette()
    directory = models["tiny"].rpartition("/")[0]
    for path in (f"{LIST}.json", LIST, TINY, f"{TINY}.json?text=x"):
        response = await instance.client.get(path)
        assert response.status_code == 200
        assert directory not in response.text


async def test_page_of_one_shows_the_header_and_tries_the_model(datasette: Any) -> None:
    instance = datasette()
    page = (await instance.client.get(TINY)).text
    assert "WordPiece" in page
    body = (await instance.client.get(f"{TINY}.json?text=raven&other=raven")).json()
    assert body["file"]["parameters"] > 1000
    trial = body["trial"]
    assert trial["tokens"] == ["[CLS]", " raven", "[SEP]"]
    assert trial["norm"] == pytest.approx(1)
    assert trial["cosine"] == pytest.approx(1)
    assert trial["dimensions"] == 32
    page = (await instance.client.get(f"{TINY}?text=raven&other=raven")).text
    assert "1.0000" in page
    assert (await instance.client.get(f"{TINY}.json")).json()["trial"] is None


async def test_lines_are_ranked(datasette: Any, models: dict[str, str], reranker: str) -> None:
    instance = datasette(models={**models, "judge": reranker})
    path = f"{LIST}/judge.json?text=raven&candidates=the%20raven%0Asearching%0A%0Aabc"
    body = (await instance.client.get(path)).json()
    ranking = body["trial"]["ranking"]
    assert {row["text"] for row in ranking} == {"the raven", "searching", "abc"}
    scores = [row["score"] for row in ranking]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    many = "%0A".join("x" * 21)
    refused = await instance.client.get(f"{LIST}/judge.json?text=a&candidates={many}")
    assert (refused.status_code, refused.json()["ok"]) == (400, False)


async def test_long_texts_are_refused(datasette: Any) -> None:
    response = await datasette(max_query=10).client.get(f"{TINY}.json?text=" + "x" * 11)
    assert response.status_code == 400
    assert "11 characters, at most 10" in response.json()["error"]


async def test_what_is_asked_is_escaped(datasette: Any) -> None:
    page = (await datasette().client.get(f"{TINY}?text=%3Cscript%3Ealert(1)%3C/script%3E")).text
    assert "<script>alert(1)" not in page


async def test_names_with_dots_and_names_that_are_none(datasette: Any) -> None:
    instance = datasette()
    for name in ("bge-small-en-v1.5", "bge-small-en-v1~2E5", "BGE-small"):
        body = (await instance.client.get(f"{LIST}/{name}.json")).json()
        assert body["model"]["name"] == "bge-small-en-v1.5"
        assert body["file"] is None
    assert (await instance.client.get(f"{LIST}/nothing")).status_code == 404


async def test_a_damaged_file_is_said(datasette: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    instance = datasette(models={"broken": str(broken)})
    body = (await instance.client.get(f"{LIST}/broken.json?text=x")).json()
    assert body["model"]["problem"] == "its file is gone or damaged"
    assert "gone or damaged" in (await instance.client.get(LIST)).text


async def test_view_models_may_be_denied(datasette: Any) -> None:
    instance = datasette({"permissions": {"muninn-view-models": {"id": "root"}}})
    for path in (LIST, f"{LIST}.json", TINY, f"{TINY}.json"):
        assert (await instance.client.get(path)).status_code == 403
        assert (await as_root(instance, path)).status_code == 200


async def test_the_menu_leads_to_the_page(datasette: Any) -> None:
    link = 'href="/-/muninn/models"'
    assert link in (await datasette().client.get("/")).text
    denied = datasette({"permissions": {"muninn-view-models": {"id": "root"}}})
    assert link not in (await denied.client.get("/")).text


async def test_a_private_instance_shows_no_models(datasette: Any) -> None:
    instance = datasette({"allow": {"id": "root"}})
    assert (await instance.client.get(f"{LIST}.json")).status_code == 403


async def test_managing_is_denied_unless_granted(datasette: Any) -> None:
    load = {"method": "POST", "data": {"do": "load"}}
    instance = datasette()
    response = await instance.client.post(TINY, data={"do": "load"})
    assert response.status_code == 403
    granted = datasette({"permissions": {"muninn-manage-models": {"id": "root"}}})
    assert (await granted.client.post(TINY, data={"do": "load"})).status_code == 403
    for do in ("unload", "load", "unload"):
        response = await as_root(granted, f"{TINY}.json", **{**load, "data": {"do": do}})
        assert response.json() == {"ok": True, "name": "tiny", "loaded": do == "load"}
        body = (await granted.client.get(f"{TINY}.json")).json()
        assert body["model"]["loaded"] is (do == "load")
    assert (await as_root(granted, TINY, **load)).status_code == 302
    response = await as_root(granted, f"{TINY}.json", method="POST", data={"do": "delete"})
    assert response.status_code == 400
    assert 'value="unload"' in (await as_root(granted, TINY)).text
    assert "tiny.gguf" in (await as_root(granted, TINY)).text  # its path, to who manages


class Page(HTMLParser):
    """What a screen reader needs of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.labelled: set[str] = set()
        self.fields: set[str] = set()
        self.headings: list[int] = []
        self.tables = self.captions = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "label":
            self.labelled.add(given.get("for") or "")
        if tag in ("textarea", "select") or (tag == "input" and given.get("type") == "text"):
            self.fields.add(given.get("id") or "")
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        self.tables += tag == "table"
        self.captions += tag == "caption"


async def test_pages_can_be_read_by_ear(datasette: Any) -> None:
    instance = datasette()
    for path in (LIST, TINY, f"{TINY}?text=raven"):
        page = Page((await instance.client.get(path)).text)
        assert page.fields <= page.labelled
        assert page.headings[0] == 1
        assert page.headings.count(1) == 1
        assert page.tables == page.captions


async def test_numbers_have_names_where_there_are_no_columns(datasette: Any) -> None:
    """The fault: on a phone, where Datasette lays each row out as a card, 384 stood for itself."""
    page = (await datasette().client.get(LIST)).text
    heads = set(re.findall(r'<th scope="col"[^>]*>([^<]+)</th>', page))
    cells = re.findall(r"<td[^>]*>", page)
    assert cells
    names = [re.search(r'data-label="([^"]+)"', cell) for cell in cells]
    assert {name and name[1] for name in names} == heads - {"Name"}


async def test_the_page_of_a_model_says_nothing_twice(datasette: Any) -> None:
    """The fault: what a file's header says stood there again, sizes in bytes without commas."""
    page = (await datasette().client.get(TINY)).text
    names = [name.casefold() for name in re.findall(r"<dt>([^<]+)</dt>", page)]
    assert sorted(names) == sorted(set(names))
