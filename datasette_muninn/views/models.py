"""`/-/muninn/models`, the page of each model, and their JSON."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import NotFound, Response

from ..inference import BusyError, inference_of
from ..models import trial as trials
from ..models.entries import ModelEntry, entries, entry_of, facts, file_of, known_model
from ..models.pulls import pulls_of
from ..models.trial import MOST_CANDIDATES, Trial
from ..parameters import RefusedError
from ..permissions import MANAGE_MODELS, VIEW_MODELS
from ..settings import settings_of
from .json_answers import json_answer, json_error

if TYPE_CHECKING:
    from datasette.app import Datasette

    from ..models.pulls import Pull


@dataclass
class Page:
    """What the page of a model and its JSON are made of."""

    entry: ModelEntry
    manages: bool
    """Whether the actor may install, load and unload it."""
    pull: Pull | None = None
    """Its installation, where that goes on or has ended, for who manages it."""
    header: dict[str, Any] | None = None
    trial: Trial = field(default_factory=Trial)
    error: str | None = None
    status: int = 200


async def models(request: Any, datasette: Datasette) -> Response:
    """Answer with the list of models."""
    await _ensure_view(datasette, request.actor)
    found = await entries(datasette, request.actor)
    if request.url_vars["format"]:
        rows = [{**asdict(entry), "url": model_url(datasette, entry.name)} for entry in found]
        return json_answer(datasette, {"ok": True, "models": rows})
    context = {
        "installed": [entry for entry in found if entry.installed or entry.problem],
        "available": [entry for entry in found if not entry.installed and not entry.problem],
        "url_of": lambda entry: model_url(datasette, entry.name),
        "json_url": str(datasette.urls.path("/-/muninn/models.json")),
        "megabytes": _megabytes,
    }
    html = await datasette.render_template("muninn/models.html", context, request=request)
    return Response.html(html)


async def model(request: Any, datasette: Datasette) -> Response:
    """Answer with what is known of one model, and what it makes of the texts that are asked."""
    await _ensure_view(datasette, request.actor)
    name = tilde_decode(request.url_vars["name"])
    # Before the files are looked at: a pull that has ended has left its file there.
    known = known_model(name)
    pull = pulls_of(datasette).now(known.name) if known else None
    entry = await entry_of(datasette, request.actor, name)
    if entry is None:
        raise NotFound(f"Model not found: {name}")
    manages = await datasette.allowed(action=MANAGE_MODELS, actor=request.actor)
    if request.method == "POST":
        return await _manage(request, datasette, entry, manages)
    page = Page(entry, manages, pull if manages else None)
    page.header = await _header(datasette, entry)
    await _try(page, request, datasette)
    if request.url_vars["format"]:
        return _json(datasette, page)
    return await _html(request, datasette, page)


def model_url(datasette: Datasette, name: str) -> str:
    """Return the path of a model's page."""
    return str(datasette.urls.path(f"/-/muninn/models/{tilde_encode(name)}"))


def menu(datasette: Datasette, actor: Any) -> Any:
    """Return the entry of Datasette's menu, for who may see the page."""

    async def links() -> list[dict[str, str]]:
        if not await datasette.allowed(action=VIEW_MODELS, actor=actor):
            return []
        return [{"href": str(datasette.urls.path("/-/muninn/models")), "label": "Models"}]

    return links


async def _ensure_view(datasette: Datasette, actor: Any) -> None:
    await datasette.ensure_permission(action="view-instance", actor=actor)
    await datasette.ensure_permission(action=VIEW_MODELS, actor=actor)


async def _header(datasette: Datasette, entry: ModelEntry) -> dict[str, Any] | None:
    path = file_of(datasette, entry.name) if entry.installed else None
    if path is None:
        return None
    try:
        return await asyncio.to_thread(facts, path, settings_of(datasette).models_directory)
    except ValueError:
        return None


async def _try(page: Page, request: Any, datasette: Datasette) -> None:
    """Fill in the trial that a request asks for, or what went wrong with it."""
    args, entry = request.args, page.entry
    lines = [line.strip() for line in (args.get("candidates") or "").splitlines()]
    trial = Trial(args.get("text") or "", args.get("other") or "", [line for line in lines if line])
    page.trial = trial
    if not trial.text or not entry.installed:
        return
    settings = settings_of(datasette)
    work = trials.rerank if entry.task == "reranking" else trials.embed
    try:
        _check(trial, settings.max_query)
        await inference_of(datasette).run(lambda db: work(db, settings.host, entry.name, trial))
        entry.loaded = True
    except RefusedError as refused:
        page.error, page.status = str(refused), refused.status
    except BusyError as error:
        page.error, page.status = str(error), 503
    except (ValueError, ImportError, TimeoutError) as error:  # ImportError: no llama.cpp here
        page.error, page.status = str(error), 500


def _check(trial: Trial, longest: int) -> None:
    """Raise RefusedError for more than a visitor may have tried."""
    for text in (trial.text, trial.other, *trial.candidates):
        if len(text) > longest:
            raise RefusedError(
                f"a text has {len(text):,} characters, at most {longest:,} are tried"
            )
    if len(trial.candidates) > MOST_CANDIDATES:
        raise RefusedError(
            f"{len(trial.candidates)} lines to rank, at most {MOST_CANDIDATES} are ranked"
        )


def _json(datasette: Datasette, page: Page) -> Response:
    if page.error:
        return json_error(datasette, page.error, page.status)
    body = {
        "ok": True,
        "model": asdict(page.entry),
        "file": page.header,
        "trial": _results(page.trial),
    }
    if page.pull:
        body["pull"] = page.pull.as_json()
    return json_answer(datasette, body)


async def _manage(request: Any, datasette: Datasette, entry: ModelEntry, manages: bool) -> Response:
    """Do what a manager asks of a model: bring it here, load it into memory, or free that."""
    if not manages:
        return Response.error("Permission denied: muninn-manage-models", 403)
    asked = (await request.post_vars()).get("do")
    if asked in ("pull", "stop"):
        return _pull(request, datasette, entry, asked)
    return await _load(request, datasette, entry, asked)


async def _load(
    request: Any, datasette: Datasette, entry: ModelEntry, asked: str | None
) -> Response:
    if asked not in ("load", "unload") or not entry.installed:
        said = "do must be load or unload, of a model that is installed, or pull or stop"
        return Response.error(said, 400)

    host = settings_of(datasette).host

    def work(db: Any) -> None:
        from sqlite_utils_muninn.models.names import lookup_local

        engine = lookup_local(db, host, entry.name, "muninn").engine
        if asked == "unload":
            engine.unload()
        else:
            with engine.weights():
                pass

    try:
        await inference_of(datasette).run(work)
    except BusyError as error:
        return Response.error(str(error), 503)
    except (ValueError, ImportError) as error:
        return Response.error(str(error), 500)
    if request.url_vars["format"]:
        return json_answer(datasette, {"ok": True, "name": entry.name, "loaded": asked == "load"})
    return Response.redirect(model_url(datasette, entry.name))


def _pull(request: Any, datasette: Datasette, entry: ModelEntry, asked: str) -> Response:
    """Begin, go on with or stop the installation of a model of the catalogue."""
    known = known_model(entry.name)
    if known is None:
        return Response.error("pull and stop are for models of the catalogue", 400)
    pulls = pulls_of(datasette)
    if asked == "pull" and not entry.installed:
        pulls.start(known)
    else:
        pulls.stop(known.name)
    if request.url_vars["format"]:
        pull = pulls.of(known.name)
        body = {"ok": True, "name": known.name, "pull": pull.as_json() if pull else None}
        return json_answer(datasette, body)
    return Response.redirect(model_url(datasette, entry.name))


async def _html(request: Any, datasette: Datasette, page: Page) -> Response:
    entry, trial = page.entry, page.trial
    asked = {
        "text": trial.text, "other": trial.other, "candidates": "\n".join(trial.candidates)
    }  # fmt: skip
    query = urlencode({name: value for name, value in asked.items() if value})
    url = model_url(datasette, entry.name)
    may_see_path = page.manages and entry.installed
    context = {
        "entry": entry,
        "header": _besides(page.header, entry),
        "trial": trial,
        "asked": asked,
        "error": page.error,
        "url": url,
        "json_url": f"{url}.json" + (f"?{query}" if query else ""),
        "models_url": str(datasette.urls.path("/-/muninn/models")),
        "path": str(file_of(datasette, entry.name)) if may_see_path else None,
        "manages": page.manages,
        "can_install": known_model(entry.name) is not None,
        "pull": None if entry.installed else page.pull,
        "max_query": settings_of(datasette).max_query,
        "most_candidates": MOST_CANDIDATES,
        "megabytes": _megabytes,
    }
    html = await datasette.render_template("muninn/model.html", context, request=request)
    return Response.html(html, status=page.status)


def _besides(header: dict[str, Any] | None, entry: ModelEntry) -> dict[str, str | int]:
    """What a file's header says and the page does not say already, as it is shown."""
    told = asdict(entry)
    found: dict[str, str | int] = {}
    for name, value in (header or {}).items():
        if str(value).casefold() == str(told.get(name)).casefold():
            continue
        if isinstance(value, dict):
            found[name] = ", ".join(f"{key}: {count:,}" for key, count in value.items())
        elif isinstance(value, list | tuple):
            found[name] = ", ".join(map(str, value))
        else:
            found[name] = value
    return found


def _results(trial: Trial) -> dict[str, Any] | None:
    if not trial.text:
        return None
    return {name: value for name, value in asdict(trial).items() if value not in (None, "", [])}


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f} MB"
