"""sqlite-utils muninn models: verify, bench, compare, quantize."""

# ruff: noqa: D301 - click wants a real backspace before a block that it must not rewrap

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .database import plain_errors
from .model_directory import directory_option, open_store, try_out
from .progress import megabytes

if TYPE_CHECKING:
    from sqlite_utils_muninn.models.files.store import InstalledModel, ModelStore
    from sqlite_utils_muninn.models.model import Model


def register(group: click.Group) -> None:
    """Hang the commands under `sqlite-utils muninn models`."""
    for command in (verify, bench, compare, quantize):
        group.add_command(command)


@click.command()
@click.argument("name")
@directory_option
def verify(name: str, directory: Path | None) -> None:
    """Check a model's file and whether it behaves as it should

    The checksum, a paraphrase against an unrelated text, batches against single
    texts, and repetition. Ends with code 1 where something is wrong.

    For example:

    \b
        sqlite-utils muninn models verify all-MiniLM-L6-v2
    """
    with plain_errors():
        from sqlite_utils_muninn.models.quality.verify import check_behaviour, check_file

        store = open_store(directory)
        path, expected = _file(store, name)
        failed = 0
        checked = check_file(path, expected)
        _say(checked)
        failed += not checked.passed
        try_out(path)
        for check in check_behaviour(_opened(store, name)):
            _say(check)
            failed += not check.passed
    if failed:
        raise click.ClickException(f"{name} failed {failed} of its checks")


@click.command()
@click.argument("name")
@click.option("--texts", type=click.IntRange(10), default=400, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Cores to use  [default: all]")
@directory_option
def bench(name: str, texts: int, threads: int | None, directory: Path | None) -> None:
    """Measure a model's speed and memory on this machine

    Short texts have 20 tokens, long ones 250.

    For example:

    \b
        sqlite-utils muninn models bench all-MiniLM-L6-v2 --threads 1
    """
    with plain_errors():
        from sqlite_utils_muninn.models.quality.bench import bench as measure
        from sqlite_utils_muninn.settings import default_threads

        model = _opened(open_store(directory), name)
        speed = measure(model, texts=texts, threads=threads or default_threads())
        click.echo(json.dumps(dataclasses.asdict(speed), indent=4))


@click.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "--sample",
    type=click.File(encoding="utf-8"),
    help="File of texts, one a line  [default: 96 sentences]",
)
@directory_option
def compare(first: str, second: str, sample: Any, directory: Path | None) -> None:
    """Compare what two model files make of the same texts

    For a model and a quantization of it: the mean squared error of the vectors
    and whether texts have the same neighbours.

    For example:

    \b
        sqlite-utils muninn models compare all-MiniLM-L6-v2 all-MiniLM-L6-v2-q8_0
    """
    with plain_errors():
        from sqlite_utils_muninn.models.quality.compare import compare as measure
        from sqlite_utils_muninn.models.quality.samples import sentences

        texts = [line.strip() for line in sample if line.strip()] if sample else sentences()
        store = open_store(directory)
        one, other = _opened(store, first), _opened(store, second)
        found = dataclasses.asdict(measure(one, other, texts))
        sizes = {"first_size": one.engine.header.size, "second_size": other.engine.header.size}
        click.echo(json.dumps({"first": first, "second": second, **sizes, **found}, indent=4))


@click.command()
@click.argument("name")
@click.argument("type_", metavar="TYPE")
@click.option("--name", "new_name", help="Name of the new model  [default: NAME-TYPE]")
@click.option("--replace", is_flag=True, help="Replace an installed model of that name")
@directory_option
def quantize(
    name: str, type_: str, new_name: str | None, replace: bool, directory: Path | None
) -> None:
    """Make a smaller file of a model

    TYPE is bf16, q8_0, q5_0, q4_0 or one of llama.cpp's K-quants, such as q4_k_m.
    K-quants need matrices with rows of a multiple of 256; others of the model
    get the next larger type, and the result shows the mix.

    For example:

    \b
        sqlite-utils muninn models quantize all-MiniLM-L6-v2 q8_0
    """
    from sqlite_utils_muninn.models.files.facts import mix_of
    from sqlite_utils_muninn.models.files.header import read_header

    with plain_errors():
        store = open_store(directory)
        source, _ = _file(store, name)
        chosen = new_name or f"{_plain_name(store, name)}-{type_.lower()}"
        model = _quantized(store, name, source, chosen, type_.lower(), replace)
        click.echo(
            f"{model.name}: {model.path} ({megabytes(model.size)}, was "
            f"{megabytes(source.stat().st_size)})"
        )
        mix = mix_of(read_header(model.path))
        whole = sum(mix.values())
        for kind, weights in mix.items():
            click.echo(f"  {kind}: {weights / whole:.1%} of the weights")


def _quantized(
    store: ModelStore, name: str, source: Path, chosen: str, wanted: str, replace: bool
) -> InstalledModel:
    """Make the file beside the others, try it, and record it with what is known of its source."""
    from sqlite_utils_muninn.models import quantize as room
    from sqlite_utils_muninn.models.errors import StoreError
    from sqlite_utils_muninn.models.files.locks import move_into_place

    if not replace and (taken := store.get(chosen)):
        raise StoreError(f"A model named {taken.name!r} is installed already: {taken.path}")
    store.prepare()
    target = store.directory / f"{chosen}.gguf"
    unfinished = target.with_name(target.name + ".part")
    try:
        room.quantize(source, unfinished, wanted)
        try_out(unfinished)
        move_into_place(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    original = _opened(store, name)
    return store.add(
        chosen,
        target,
        query_prefix=original.query_prefix,
        document_prefix=original.document_prefix,
        pooling=original.pooling,
        replace=True,
    )


def _file(store: ModelStore, name: str) -> tuple[Path, dict[str, str]]:
    """Return the file of a name or path, and the checksums that it may have."""
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        return path, {}
    here = store.find(name)
    known = store.catalogue.get(name)
    expected = {}
    if here.sha256:
        expected["recorded when it came"] = here.sha256
    if known and not here.sha256:
        made = known.conversion.sha256 if known.conversion else None
        pairs = {"the published file": known.sha256, "the conversion": made}
        expected = {source: checksum for source, checksum in pairs.items() if checksum}
    return here.path, expected


def _opened(store: ModelStore, name: str) -> Model:
    from sqlite_utils_muninn.models.registry import registry

    return registry().open(name, store.directory)


def _plain_name(store: ModelStore, name: str) -> str:
    return Path(name).stem if name.endswith(".gguf") else store.find(name).name


def _say(check: Any) -> None:
    click.echo(f"{'ok' if check.passed else 'FAILED':6}  {check.name}: {check.detail}")
