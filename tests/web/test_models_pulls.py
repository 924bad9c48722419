"""Installing a model from its page: by who may, seen as it goes on, stopped and gone on with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from datasette_muninn.models import pulls
from tests.models.file_server import FileServer
from tests.web.test_models import LIST, as_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

NAME = "jina-reranker-v1-tiny-en"  # of which the catalogue has no checksum
PAGE = f"{LIST}/{NAME}"
MANAGES = {"permissions": {"muninn-manage-models": {"id": "root"}}}


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pytest.importorskip("gguf", reason="gguf is not installed: tiny models cannot be written")
    from tests.tiny_gguf import BertReranker

    path = BertReranker().write(tmp_path_factory.mktemp("tiny") / "reranker.gguf")
    return bytes(path.read_bytes())


@pytest.fixture
def hub(model_file: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server on the loopback that stands for the hub, and gives one file for every path."""
    with FileServer(model_file) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url.rpartition("/")[0])
        yield server


@pytest.fixture
def instance(datasette: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    made = datasette(MANAGES, models_directory=str(tmp_path / "models"))
    yield made
    pulls.close(made)


async def ask(instance: Any, do: str, path: str = f"{PAGE}.json") -> Any:
    return await as_root(instance, path, method="POST", data={"do": do})


async def ended(instance: Any) -> dict[str, Any]:
    """The JSON of the page when nothing goes on any more."""
    for _ in range(6000):
        body: dict[str, Any] = (await as_root(instance, f"{PAGE}.json")).json()
        if body["pull"]["state"] not in (pulls.WAITING, pulls.RUNNING):
            return body
        await asyncio.sleep(0.02)
    raise AssertionError(body)


async def test_only_managers_may(instance: Any, hub: FileServer) -> None:
    response = await instance.client.post(PAGE, data={"do": "pull"})
    assert response.status_code == 403
    page = (await instance.client.get(PAGE)).text
    assert 'value="pull"' not in page
    assert "sqlite-utils muninn models pull" in page
    assert hub.does.requests == []


async def test_a_model_is_installed_and_can_be_tried(instance: Any, hub: FileServer) -> None:
    assert 'value="pull"' in (await as_root(instance, PAGE)).text
    response = await ask(instance, "pull", PAGE)
    assert (response.status_code, response.headers["location"]) == (302, PAGE)
    body = await ended(instance)
    assert body["pull"]["state"] == pulls.DONE, body
    assert body["pull"]["done"] == body["pull"]["total"] == len(hub.does.content)
    assert (body["model"]["installed"], body["model"]["task"]) == (True, "reranking")
    tried = (await as_root(instance, f"{PAGE}.json?text=x&candidates=one%0Atwo")).json()
    assert len(tried["trial"]["ranking"]) == 2
    page = (await as_root(instance, PAGE)).text
    assert 'value="pull"' not in page
    assert "http-equiv" not in page


async def test_it_is_seen_stopped_and_gone_on_with(instance: Any, hub: FileServer) -> None:
    hub.does.cut_after, hub.does.cuts = 1000, 1  # the first answer breaks off
    hub.does.held = frozenset({2})
    await ask(instance, "pull")
    while len(hub.does.requests) < 2:  # it tries again by itself
        await asyncio.sleep(0.02)
    page = (await as_root(instance, PAGE)).text
    assert '<meta http-equiv="refresh"' in page
    assert '<progress class="muninn-progress"' in page
    await ask(instance, "stop")
    hub.does.go_on.set()
    body = await ended(instance)
    assert body["pull"]["state"] == pulls.STOPPED
    assert body["model"]["installed"] is False
    assert "Go on" in (await as_root(instance, PAGE)).text
    await ask(instance, "pull")
    assert (await ended(instance))["pull"]["state"] == pulls.DONE
    assert int(hub.does.requests[-1]["Range"].removeprefix("bytes=").removesuffix("-")) >= 1000


async def test_what_went_wrong_is_said(instance: Any, hub: FileServer) -> None:
    hub.does.status = 404
    await ask(instance, "pull")
    body = await ended(instance)
    assert body["pull"]["state"] == pulls.FAILED
    assert "the server answered 404" in body["pull"]["said"]
    assert "the server answered 404" in (await as_root(instance, PAGE)).text
    assert "pull" not in (await instance.client.get(f"{PAGE}.json")).json()


async def test_pages_are_served_meanwhile(instance: Any, hub: FileServer) -> None:
    hub.does.held = frozenset({1})
    await ask(instance, "pull")
    again = (await ask(instance, "pull")).json()  # changes nothing
    assert again["pull"]["state"] in (pulls.WAITING, pulls.RUNNING)
    assert (await instance.client.get(f"{LIST}.json")).status_code == 200
    hub.does.go_on.set()
    assert (await ended(instance))["pull"]["state"] == pulls.DONE
    assert len(hub.does.requests) == 1


async def test_a_damaged_file_is_not_kept(instance: Any, hub: FileServer, tmp_path: Path) -> None:
    hub.does.content = b"GGUF" + bytes(2000)
    await ask(instance, "pull")
    body = await ended(instance)
    assert body["pull"]["state"] == pulls.FAILED
    assert body["model"]["installed"] is False
    assert not list((tmp_path / "models").glob("*.gguf"))


async def test_models_that_nobody_knows_cannot_be_pulled(instance: Any) -> None:
    response = await ask(instance, "pull", f"{LIST}/tiny.json")
    assert response.status_code == 400
    assert "catalogue" in response.text
