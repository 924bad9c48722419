"""What each quantization costs in exactness, and gives in size and speed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.models.rates import opened, turns
from sqlite_utils_muninn.models.files.facts import mix_of
from sqlite_utils_muninn.models.quality.compare import compare
from sqlite_utils_muninn.models.quality.samples import sentences
from sqlite_utils_muninn.models.quantize import quantize

if TYPE_CHECKING:
    from pathlib import Path

    from sqlite_utils_muninn.models.model import Model

TYPES = ("bf16", "q8_0", "q6_k", "q5_0", "q4_k_m", "q4_0")


def measure(
    source: Path, directory: Path, texts: dict[str, list[str]], rounds: int
) -> dict[str, dict[str, Any]]:
    """Return figures by type, the source's own first."""
    reference = opened(source)
    models: dict[str, Model] = {reference.quantization.lower(): reference}
    for kind in TYPES:
        target = directory / f"{kind}.gguf"
        quantize(source, target, kind, threads=1)
        models[kind] = opened(target)
    ways = {
        kind: (lambda given, model=model: model.embed(given, threads=1))
        for kind, model in models.items()
    }
    rates = turns(ways, texts, rounds)  # type: ignore[arg-type]
    found = {}
    for kind, model in models.items():
        mix = mix_of(model.engine.header)
        whole = sum(mix.values())
        found[kind] = {
            "size": model.size,
            "computed_by": model.engine.computed_by,
            "mix": {name: round(count / whole, 3) for name, count in mix.items()},
            "rates": rates[kind],
            **asdict(compare(reference, model, sentences())),
        }
    return found
