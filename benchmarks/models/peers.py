"""torch and onnxruntime on the same texts, run by an interpreter that has them.

Reads {"weights": directory, "texts": {kind: [...]}, "rounds": n} and prints rates as JSON. One
thread, texts sorted by length, batches of 16, mean pooling, as sentence-transformers does it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoTokenizer, BertModel

BATCH = 16


def batches(tokenizer: Any, texts: list[str]) -> list[dict[str, Any]]:
    texts = sorted(texts, key=len)
    return [
        tokenizer(
            texts[start : start + BATCH], padding=True, truncation=True, max_length=512,
            return_tensors="np",
        )
        for start in range(0, len(texts), BATCH)
    ]  # fmt: skip


def pooled(hidden: Any, mask: Any) -> Any:
    summed = (hidden * mask[..., None]).sum(1) / mask.sum(1)[:, None]
    return summed / np.linalg.norm(summed, axis=1, keepdims=True)


def exported(model: BertModel, directory: str) -> str:
    """Return the path of the model as ONNX with 8-bit weights."""

    class Hidden(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    sizes = {0: "batch", 1: "tokens"}
    ids = torch.ones((2, 16), dtype=torch.int64)
    torch.onnx.export(
        Hidden(), (ids, ids), f"{directory}/f32.onnx", input_names=["input_ids", "attention_mask"],
        output_names=["hidden"], opset_version=17, dynamo=False,
        dynamic_axes={"input_ids": sizes, "attention_mask": sizes, "hidden": sizes},
    )  # fmt: skip
    quantize_dynamic(f"{directory}/f32.onnx", f"{directory}/int8.onnx", weight_type=QuantType.QInt8)
    return f"{directory}/int8.onnx"


def main() -> None:
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    tokenizer = AutoTokenizer.from_pretrained(request["weights"])
    model = BertModel.from_pretrained(request["weights"], attn_implementation="eager").eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as directory:
        session = onnxruntime.InferenceSession(exported(model, directory), options)
    fast = BertModel.from_pretrained(request["weights"]).eval()

    def by_torch(texts: list[str]) -> None:
        with torch.inference_mode():
            for batch in batches(tokenizer, texts):
                given = {name: torch.from_numpy(batch[name]) for name in
                         ("input_ids", "attention_mask")}  # fmt: skip
                pooled(fast(**given).last_hidden_state.numpy(), batch["attention_mask"])

    def by_onnx(texts: list[str]) -> None:
        for batch in batches(tokenizer, texts):
            given = {name: batch[name] for name in ("input_ids", "attention_mask")}
            pooled(session.run(None, given)[0], batch["attention_mask"])

    best: dict[str, dict[str, float]] = {"onnxruntime int8": {}, "torch f32": {}}
    ways = {"onnxruntime int8": by_onnx, "torch f32": by_torch}
    for _ in range(request["rounds"]):
        for kind, texts in request["texts"].items():
            for name, work in ways.items():
                started = time.process_time()
                work(texts)
                rate = len(texts) / (time.process_time() - started)
                best[name][kind] = round(max(rate, best[name].get(kind, 0)), 2)
    print(json.dumps(best))


if __name__ == "__main__":
    main()
