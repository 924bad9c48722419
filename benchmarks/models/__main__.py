"""Measure everything and write a report.

    python -m benchmarks.models MODEL.gguf [--peers-python PYTHON --weights DIRECTORY]

MODEL is an f16 or f32 file, best all-MiniLM-L6-v2. The peers run with an interpreter of their own,
which has torch, transformers, onnx and onnxruntime, on the weights in a directory (config.json,
model.safetensors, tokenizer.json). Shortened vectors are tried on the texts of demo/, where its
data is installed. Rates are texts per second of CPU time, one thread, so that a busy machine
disturbs the comparison little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.models import quantized, rates, report, shortened, start
from sqlite_utils_muninn.models import encoder
from sqlite_utils_muninn.models.quality.samples import long_texts, short_texts

RESULTS = Path("benchmarks/results/models")
PAGE = Path("docs/models.md")
"""Shows the figures of the results that are kept."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peers-python", help="interpreter that has torch and onnxruntime")
    parser.add_argument("--weights", type=Path, help="directory of the published weights")
    parser.add_argument("--texts", type=int, default=320, help="short texts; long: a tenth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()

    texts = {"short": short_texts(given.texts), "long": long_texts(max(8, given.texts // 10))}
    found: dict[str, Any] = {"machine": machine(), "model": given.model.name}
    with tempfile.TemporaryDirectory() as directory:
        small = Path(directory) / "q8_0.gguf"
        found["quantized"] = quantized.measure(given.model, Path(directory), texts, given.rounds)
        say(found["quantized"])
        found["start"] = {"f16": start.measure(given.model), "q8_0": start.measure(small)}
        say(found["start"])
        found["rates"] = rates.measure(given.model, small, texts, given.rounds)
    found["shortened"] = shortened.measure(given.model)
    say(found["shortened"])
    if given.peers_python and given.weights:
        found["rates"] |= peers(given.peers_python, given.weights, texts, given.rounds)
    say(found["rates"])
    given.output.mkdir(parents=True, exist_ok=True)
    report.write(found, given.output)
    if given.output == RESULTS:
        PAGE.write_text(report.fill(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(given.output / "report.md")


def peers(python: str, weights: Path, texts: dict[str, list[str]], rounds: int) -> dict[str, Any]:
    """Run `peers.py` with its own interpreter."""
    script = Path(__file__).with_name("peers.py")
    request = json.dumps({"weights": str(weights), "texts": texts, "rounds": rounds})
    done = subprocess.run(
        [python, str(script)], input=request, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the peers failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    from importlib.metadata import version

    cpu = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    return {
        "cpu": cpu,
        "python": platform.python_version(),
        "llama-cpp-python": version("llama-cpp-python"),
        "built for": instructions(),
        "int8": ", ".join(encoder.instructions()) or "none",
        "load": f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores",
    }


def instructions() -> str:
    """Return the instruction sets that llama.cpp was built for."""
    from sqlite_utils_muninn.models.llama import library

    said = library().llama_print_system_info().decode()
    return " ".join(
        part.split("=")[0].strip().removeprefix("CPU : ") for part in said.split("|")
    ).strip()


def say(figures: Any) -> None:
    print(json.dumps(figures, indent=1), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
