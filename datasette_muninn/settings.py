"""The plugin's configuration in datasette.yaml, checked once.

plugins:
  datasette-muninn:
    models:
      mine: /path/of/mine.gguf
    max_results: 50
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from datasette.utils import StartupError

from sqlite_utils_muninn.models.limits import limits
from sqlite_utils_muninn.settings import (
    ENCODERS,
    Host,
    default_models_directory,
    default_threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datasette.app import Datasette

    Check = Callable[[str, Any], Any]
    """Takes what an option is called in errors, and its value; gives the value as it is kept."""

PLUGIN = "datasette-muninn"


@dataclass(frozen=True)
class Settings:
    """What the administrator may set."""

    models: dict[str, str] = field(default_factory=dict)
    """Name -> path of a GGUF file: models besides those that are installed."""
    models_directory: Path = field(default_factory=default_models_directory)
    """Where installed models are."""
    threads: int = field(default_factory=default_threads)
    """Cores that one call of a model may use."""
    models_memory: int | None = None
    """Bytes of model files in memory, of the whole process; those not used for longest go first."""
    gpu_layers: int | None = None
    """Layers of a model that go to a graphics card; by default llama.cpp decides."""
    encoder: str | None = None
    """What computes small models on the CPU: auto, int8 or llama.cpp."""
    max_text: int = 20_000
    """Characters of a text that SQL may have embedded or tokenized."""
    max_rows: int = 1_000
    """Texts in one call from SQL."""
    max_seconds: float = 5.0
    """Time of one call of a model from SQL."""
    max_query: int = 2_000
    """Characters of a query on the search page."""
    max_results: int = 100
    """Most results on one page."""
    max_waiting: int = 20
    """Searches that may wait for a model; further ones are told to come back."""

    @property
    def host(self) -> Host:
        """What SQL from the web may do: read and embed; no files, no network, no registration."""
        return Host(
            public=True,
            max_text=self.max_text,
            max_rows=self.max_rows,
            max_seconds=self.max_seconds,
            models=self.models,
            models_directory=self.models_directory,
            threads=self.threads,
        )

    def limit_process(self) -> None:
        """Tell the models of this process what they may take, where that is set."""
        limits.bytes = self.models_memory or limits.bytes
        limits.encoder = self.encoder or limits.encoder
        if self.gpu_layers is not None:
            limits.gpu_layers = self.gpu_layers


_settings: WeakKeyDictionary[Datasette, Settings] = WeakKeyDictionary()


def settings_of(datasette: Datasette) -> Settings:
    """The settings of an instance. Raises StartupError, naming the option that is wrong."""
    if datasette not in _settings:
        _settings[datasette] = read(datasette.plugin_config(PLUGIN) or {})
        _settings[datasette].limit_process()
    return _settings[datasette]


def read(config: Any) -> Settings:
    """Check a configuration. Raises StartupError, naming the option that is wrong."""
    return Settings(**checked(PLUGIN, config, _CHECKS))


def checked(where: str, config: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """Return the options that are set, each as its check gives it.

    Raises StartupError, which begins with `where`, for an option that is unknown or wrong.
    """
    if not isinstance(config, dict):
        raise StartupError(f"{where}: the configuration must be a mapping, got {config!r}")
    for name in config:
        if name not in checks:
            known = ", ".join(sorted(checks))
            raise StartupError(f"{where}: unknown option {name!r}, there are: {known}")
    return {name: checks[name](f"{where}: {name}", value) for name, value in config.items()}


def _models(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(path, str) for path in value.values()):
        raise StartupError(f"{where} must map names to paths of GGUF files, got {value!r}")
    return {str(model): path for model, path in value.items()}


def _directory(where: str, value: Any) -> Path:
    if not isinstance(value, str) or not value:
        raise StartupError(f"{where} must be the path of a directory, got {value!r}")
    return Path(value).expanduser()


def _positive(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise StartupError(f"{where} must be a whole number above 0, got {value!r}")
    return value


def _layers(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise StartupError(f"{where} must be a whole number, 0 or more, got {value!r}")
    return value


def _encoder(where: str, value: Any) -> str:
    if value not in ENCODERS:
        known = ", ".join(ENCODERS)
        raise StartupError(f"{where} must be one of {known}, got {value!r}")
    return str(value)


def _seconds(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise StartupError(f"{where} must be a number of seconds above 0, got {value!r}")
    return float(value)


_CHECKS: dict[str, Check] = {
    "models": _models,
    "models_directory": _directory,
    "threads": _positive,
    "models_memory": _positive,
    "gpu_layers": _layers,
    "encoder": _encoder,
    "max_text": _positive,
    "max_rows": _positive,
    "max_seconds": _seconds,
    "max_query": _positive,
    "max_results": _positive,
    "max_waiting": _positive,
}
