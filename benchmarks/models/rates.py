"""Texts per CPU second of one thread: this package, llama.cpp alone, llama-cpp-python's embed."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlite_utils_muninn.models.model import Model


def measure(
    path: Path, quantized: Path, texts: dict[str, list[str]], rounds: int
) -> dict[str, dict[str, float]]:
    """Return name -> kind of texts -> rate; the ways take turns, and the best round counts.

    `path` is computed by llama.cpp, `quantized` is the same model in q8_0, which is computed in
    8-bit integers where the CPU can.
    """
    model, small = opened(path), opened(quantized)
    ways: dict[str, Callable[[list[str]], object]] = {
        "muninn, in batches": lambda given: model.embed(given, threads=1),
        "muninn, one by one": lambda given: [model.embed([text], threads=1) for text in given],
        "llama.cpp alone": Alone(path),
        "SQL: muninn_embed_batch": sql_in_batches(path),
        "SQL: INSERT ... SELECT": sql_insert(path),
        "SQL: muninn_embed a row": sql_row_by_row(path),
        "q8_0: muninn, in batches": lambda given: small.embed(given, threads=1),
        "q8_0: muninn, one by one": lambda given: [
            small.embed([text], threads=1) for text in given
        ],
        "q8_0: SQL: muninn_embed_batch": sql_in_batches(quantized),
        "q8_0: SQL: INSERT ... SELECT": sql_insert(quantized),
        "q8_0: SQL: muninn_embed a row": sql_row_by_row(quantized),
        "q8_0: llama.cpp alone": Alone(quantized),
        **llama_cpp_python(path),
    }
    return turns(ways, texts, rounds)


def turns(
    ways: dict[str, Callable[[list[str]], object]], texts: dict[str, list[str]], rounds: int
) -> dict[str, dict[str, float]]:
    """Time each way on each kind of texts; rates of the best of several rounds."""
    best: dict[str, dict[str, float]] = {name: {} for name in ways}
    for work in ways.values():
        work(texts["short"][:8])
    for _ in range(rounds):
        for kind, given in texts.items():
            for name, work in ways.items():
                started = time.process_time()
                work(given)
                rate = len(given) / (time.process_time() - started)
                best[name][kind] = round(max(rate, best[name].get(kind, 0)), 2)
    return best


def opened(path: Path) -> Model:
    from sqlite_utils_muninn.models.registry import Registry
    from sqlite_utils_muninn.settings import default_models_directory

    return Registry(threads=1).open_file(path, directory=default_models_directory())


class Alone:
    """The best that llama.cpp gives: batches of like length, tokens and arrays made beforehand."""

    def __init__(self, path: Path) -> None:
        from sqlite_utils_muninn.models.files.header import read_header
        from sqlite_utils_muninn.models.llama import Context, Weights

        self.weights = Weights(path)
        self.context = Context(self.weights, 512, read_header(path).pooling)
        self.ready: dict[tuple[str, ...], list[list[np.ndarray]]] = {}

    def __call__(self, texts: list[str]) -> None:
        for batch in self.batches(texts):
            self.context.embed(batch)

    def batches(self, texts: list[str]) -> list[list[np.ndarray]]:
        from sqlite_utils_muninn.models.batches import plan
        from sqlite_utils_muninn.models.llama import SEQUENCES

        if tuple(texts) not in self.ready:
            ids = [self.weights.encode(text, 512)[0] for text in texts]
            lengths = np.array([len(each) for each in ids])
            self.ready[tuple(texts)] = [
                [ids[row] for row in rows] for rows in plan(lengths, 1, SEQUENCES)
            ]
        return self.ready[tuple(texts)]


def connection(path: Path) -> Any:
    from sqlite_utils_muninn import load
    from sqlite_utils_muninn.settings import Host

    conn = sqlite3.connect(":memory:")
    load(conn, Host(models={"m": str(path)}, threads=1))
    return conn


def sql_in_batches(path: Path) -> Callable[[list[str]], object]:
    conn = connection(path)
    sql = "SELECT idx, embedding FROM muninn_embed_batch('m', ?)"
    return lambda texts: conn.execute(sql, (json.dumps(texts),)).fetchall()


def sql_insert(path: Path) -> Callable[[list[str]], object]:
    """Return what puts texts into a new hnsw_text table and keeps their vectors."""
    conn = connection(path)

    def insert(texts: list[str]) -> None:
        conn.execute("CREATE VIRTUAL TABLE h USING hnsw_text(model='m')")
        conn.execute("INSERT INTO h(content) SELECT value FROM json_each(?)", (json.dumps(texts),))
        conn.commit()
        conn.execute("DROP TABLE h")

    return insert


def sql_row_by_row(path: Path) -> Callable[[list[str]], object]:
    conn = connection(path)
    sql = "SELECT muninn_embed('m', value) FROM json_each(?)"
    return lambda texts: conn.execute(sql, (json.dumps(texts),)).fetchall()


def llama_cpp_python(path: Path) -> dict[str, Callable[[list[str]], object]]:
    from llama_cpp import Llama

    llama = Llama(
        str(path), embedding=True, verbose=False, n_threads=1, n_threads_batch=1, n_ctx=512,
        n_batch=512, n_ubatch=512,
    )  # fmt: skip
    return {
        "llama-cpp-python, one by one": lambda texts: [llama.embed(text) for text in texts],
        "llama-cpp-python, a list": llama.embed,
    }
