"""The rate of `sqlite-utils embed`, and its share of what llama.cpp alone does with the same texts.

    python -m benchmarks.embed [--model all-MiniLM-L6-v2] [--threads 2] [--rows 2000]

The texts are the descriptions of MITRE ATT&CK's objects. "Alone" is llama.cpp's C interface called
in a loop, with a context for each thread, on texts that are tokenized and sorted by length
beforehand: no database, no Python objects.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

TOKENS, SEQUENCES = 192, 16  # of one batch


def texts_of_attack(rows: int) -> list[str]:
    """Names and descriptions, as the demo embeds them."""
    from demo.attack import package_folder, read_attack

    objects = read_attack(package_folder()).objects
    return [f"{o.name}\n{o.description}" for o in objects if o.description][:rows]


class Bare:
    """llama.cpp alone: one model, one context a thread."""

    def __init__(self, path: str, threads: int) -> None:
        import llama_cpp.llama_cpp as lib

        self.lib = lib
        self.quiet = lib.llama_log_callback(lambda *_: None)
        lib.llama_log_set(self.quiet, None)
        lib.llama_backend_init()
        self.model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        self.vocabulary = lib.llama_model_get_vocab(self.model)
        self.contexts = [self._context() for _ in range(threads)]

    def _context(self) -> Any:
        options = self.lib.llama_context_default_params()
        options.n_ctx = options.n_batch = options.n_ubatch = 512
        options.n_seq_max = SEQUENCES
        options.n_threads = options.n_threads_batch = 1
        options.embeddings = True
        return self.lib.llama_init_from_model(self.model, options)

    def tokens(self, text: str) -> list[int]:
        """Token ids, cut at 512."""
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 8))()
        count = self.lib.llama_tokenize(
            self.vocabulary, data, len(data), ids, len(ids), True, False
        )
        cut = list(ids[:count])
        return cut if count <= 512 else [*cut[:511], cut[-1]]

    def run(self, batches: list[list[list[int]]]) -> float:
        """Compute all batches on all contexts. Wall time in seconds."""
        waiting = list(reversed(batches))
        workers = [threading.Thread(target=self._work, args=(c, waiting)) for c in self.contexts]
        started = time.monotonic()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return time.monotonic() - started

    def _work(self, context: Any, waiting: list[list[list[int]]]) -> None:
        batch = self.lib.llama_batch_init(512, 0, SEQUENCES)
        width = self.lib.llama_model_n_embd(self.model)
        while waiting:
            try:
                texts = waiting.pop()
            except IndexError:
                break
            batch.n_tokens = 0
            for sequence, ids in enumerate(texts):
                for position, token in enumerate(ids):
                    at = batch.n_tokens
                    batch.token[at], batch.pos[at], batch.logits[at] = token, position, 1
                    batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
                    batch.n_tokens += 1
            assert self.lib.llama_encode(context, batch) == 0
            for sequence in range(len(texts)):
                found = self.lib.llama_get_embeddings_seq(context, sequence)
                np.ctypeslib.as_array(found, (width,)).copy()
        self.lib.llama_batch_free(batch)


def batches_of(tokens: list[list[int]]) -> list[list[list[int]]]:
    """Texts of like length together, the longest first."""
    batches: list[list[list[int]]] = [[]]
    for ids in sorted(tokens, key=len, reverse=True):
        full = sum(map(len, batches[-1])) + len(ids) > TOKENS or len(batches[-1]) == SEQUENCES
        if batches[-1] and full:
            batches.append([])
        batches[-1].append(ids)
    return batches


def timed_command(path: Path, model: str, threads: int) -> tuple[float, float]:
    """Wall and CPU time of `sqlite-utils embed`, the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    command = [sys.executable, "-m", "sqlite_utils", "embed", str(path), "texts", "text"]
    environment = {**os.environ, "MUNINN_THREADS": str(threads)}
    subprocess.run([*command, "-m", model, "-s"], check=True, env=environment)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def fill(path: Path, texts: list[str]) -> None:
    """A table of texts."""
    import sqlite3

    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)")
    conn.executemany("INSERT INTO texts(text) VALUES (?)", [(text,) for text in texts])
    conn.commit()
    conn.close()


def model_path(name: str) -> str:
    """The file of an installed model."""
    command = [sys.executable, "-m", "sqlite_utils", "muninn", "models", "path", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def measure(model: str, threads: int, rows: int) -> None:
    """Print the rates, the two taking turns."""
    texts = texts_of_attack(rows)
    bare = Bare(model_path(model), threads)
    tokens = [bare.tokens(text) for text in texts]
    batches = batches_of(tokens)
    print(f"{len(texts):,} texts, {sum(map(len, tokens)) / len(texts):.0f} tokens on average")
    print(f"{model}, {threads} threads")
    walls, cpus = [], []
    for turn in range(3):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "texts.db"
            fill(path, texts)
            ours, ours_cpu = timed_command(path, model, threads)
        cpu_before = time.process_time()
        alone = bare.run(batches)
        alone_cpu = time.process_time() - cpu_before
        walls.append(alone / ours)
        cpus.append(alone_cpu / ours_cpu)
        print(f"turn {turn + 1}: sqlite-utils embed {len(texts) / ours:.0f} texts/s,", end=" ")
        print(f"llama.cpp alone {len(texts) / alone:.0f} texts/s: share {walls[-1]:.2f}", end=" ")
        print(f"of the rate, {cpus[-1]:.2f} in CPU time")
    print(f"median share: {sorted(walls)[1]:.2f} of the rate, {sorted(cpus)[1]:.2f} in CPU time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    measure(options.model, options.threads, options.rows)
