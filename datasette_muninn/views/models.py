"""`/-/muninn/models`, the page of each model, and their JSON."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from datasette.utils import tilde_decode, tilde_encode
from datasette.utils.asgi import NotFound, Response

from ..inference import BusyError, inference_of
from ..models import trial as trials
from ..models.entries import ModelEntry, entries, entry_of, facts, file_of, known_model
from ..models.pulls import pulls_of
from ..models.trial import MOST_CANDIDATES, Trial
from ..permissions import MANAGE_MODELS, VIEW_MODELS
from ..settings import settings_of
from .json_answers import json_answer, json_error

if TYPE_CHECKING:
    from datasette.app import Datasette

    from ..models.pulls import Pull


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
    header = await _header(datasette, entry)
    trial, error, status = await _try(request, datasette, entry)
    if request.url_vars["format"]:
        if error:
            return json_error(datasette, error, status)
        body = {"ok": True, "model": asdict(entry), "file": header, "trial": _results(trial)}
        if manages and pull:
            body["pull"] = pull.as_json()
        return json_answer(datasette, body)
    return await _html(request, datasette, entry, header, trial, error, status, manages, pull)


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


async def _try(
    request: Any, datasette: Datasette, entry: ModelEntry
) -> tuple[Trial, str | None, int]:
    """Return the trial that a request asks for, what went wrong, and the HTTP status."""
    args = request.args
    lines = [line.strip() for line in (args.get("candidates") or "").splitlines()]
    trial = Trial(args.get("text") or "", args.get("other") or "", [line for line in lines if line])
    if not trial.text or not entry.installed:
        return trial, None, 200
    settings = settings_of(datasette)
    for text in (trial.text, trial.other, *trial.candidates):
        if len(text) > settings.max_query:
            said = f"a text has {len(text):,} characters, at most {settings.max_query:,} are tried"
            return trial, said, 400
    if len(trial.candidates) > MOST_CANDIDATES:
        return trial, f"at most {MOST_CANDIDATES} lines are ranked", 400
    work = trials.rerank if entry.task == "reranking" else trials.embed
    try:
        await inference_of(datasette).run(lambda db: work(db, settings.host, entry.name, trial))
    except BusyError as error:
        return trial, str(error), 503
    except (ValueError, ImportError, TimeoutError) as error:  # ImportError: no llama.cpp here
        return trial, str(error), 500
    entry.loaded = True
    return trial, None, 200


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


async def _html(
    request: Any,
    datasette: Datasette,
    entry: ModelEntry,
    header: dict[str, Any] | None,
    trial: Trial,
    error: str | None,
    status: int,
    manages: bool,
    pull: Pull | None,
) -> Response:
    asked = {
        "text": trial.text, "other": trial.other, "candidates": "\n".join(trial.candidates)
    }  # fmt: skip
    query = urlencode({name: value for name, value in asked.items() if value})
    url = model_url(datasette, entry.name)
    context = {
        "entry": entry,
        "header": _besides(header, entry),
        "trial": trial,
        "asked": asked,
        "error": error,
        "url": url,
        "json_url": f"{url}.json" + (f"?{query}" if query else ""),
        "models_url": str(datasette.urls.path("/-/muninn/models")),
        "path": str(file_of(datasette, entry.name)) if manages and entry.installed else None,
        "manages": manages,
        "can_install": known_model(entry.name) is not None,
        "pull": pull if manages and not entry.installed else None,
        "max_query": settings_of(datasette).max_query,
        "most_candidates": MOST_CANDIDATES,
        "megabytes": _megabytes,
    }
    html = await datasette.render_template("muninn/model.html", context, request=request)
    return Response.html(html, status=status)


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
