"""What fewer dimensions cost in answers, and give in memory, on the texts of MITRE ATT&CK.

Two figures of recall: the share of the ten nearest descriptions that stay when vectors are cut, and
the share of names whose own description is among the ten nearest. Memory and file are those of an
`hnsw_index` table, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.models.rates import opened

if TYPE_CHECKING:
    from sqlite_utils_muninn.models.model import Model

NEAREST = 10
_TABLE = """
import json, sqlite3, sys
import numpy as np
import sqlite_utils_muninn

def anonymous():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) * 1024

path, vectors = sys.argv[1], np.load(sys.argv[2])
conn = sqlite_utils_muninn.connect(path)
ask = "SELECT rowid FROM {} WHERE vector MATCH ? AND k = 10"
conn.execute(f"CREATE VIRTUAL TABLE few USING hnsw_index(dimensions={vectors.shape[1]})")
with conn:
    conn.executemany("INSERT INTO few(rowid, vector) VALUES (?, ?)",
                     ((i, v.tobytes()) for i, v in enumerate(vectors[:100])))
conn.execute(ask.format("few"), (vectors[0].tobytes(),)).fetchall()
conn.execute(f"CREATE VIRTUAL TABLE v USING hnsw_index(dimensions={vectors.shape[1]})")
with conn:
    conn.executemany("INSERT INTO v(rowid, vector) VALUES (?, ?)",
                     ((i, v.tobytes()) for i, v in enumerate(vectors)))
conn.close()
conn = sqlite_utils_muninn.connect(path)
conn.execute(ask.format("few"), (vectors[0].tobytes(),)).fetchall()
before = anonymous()
for vector in vectors[:50]:
    conn.execute(ask.format("v"), (vector.tobytes(),)).fetchall()
print(json.dumps({"memory": anonymous() - before}))
"""


def measure(path: Path, cuts: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Return figures by dimensions, the most last; nothing without the demo's data."""
    try:
        from demo.attack import package_folder, read_attack

        attack = read_attack(package_folder())
    except (ImportError, OSError):
        return {}
    objects = [each for each in attack.objects if each.status == "current" and each.description]
    model = opened(path)
    whole = embedded(model, [each.description for each in objects])
    names = embedded(model, [each.name for each in objects])
    nearest = ranking(whole, whole)
    found = {}
    for dimensions in cuts or (64, 128, 256, model.dimensions):
        texts, queries = cut(whole, dimensions), cut(names, dimensions)
        found[str(dimensions)] = {
            "kept": float(np.mean([len(set(a) & set(b)) / NEAREST
                          for a, b in zip(nearest, ranking(texts, texts), strict=True)])),
            "found": float(np.mean(ranking(queries, texts) == np.arange(len(texts))[:, None]))
            * NEAREST,
            **table(texts),
        }  # fmt: skip
    return {"texts": len(objects), "dimensions": found}


def embedded(model: Model, texts: list[str]) -> np.ndarray:
    return model.embed(texts, threads=2)


def cut(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Cut vectors and bring them to length 1 again."""
    shorter = vectors[:, :dimensions]
    return np.ascontiguousarray(shorter / np.linalg.norm(shorter, axis=1, keepdims=True))


def ranking(queries: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return the numbers of the nearest texts of each query, exactly."""
    return np.argsort(-(queries @ texts.T), axis=1, kind="stable")[:, :NEAREST]


def table(vectors: np.ndarray) -> dict[str, float]:
    """Return bytes in memory and in the file of an hnsw_index table, for each vector."""
    with tempfile.TemporaryDirectory() as directory:
        path, saved = Path(directory) / "v.db", Path(directory) / "v.npy"
        np.save(saved, vectors)
        done = subprocess.run(
            [sys.executable, "-c", _TABLE, str(path), str(saved)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        taken = json.loads(done.stdout)["memory"]
        return {
            "memory": round(taken / len(vectors)),
            "file": round(path.stat().st_size / len(vectors)),
        }
