"""The process of one engine that goes from texts to answers: `python -m engines.pipeline_worker`, in tools/bench.

Lines in and out are JSON. First {"engine", "task", "folder", "models", "precision", "threads"} comes in, and {"version"}
goes out. Then {"items", "batch", "sorted"} runs all items in batches of that size, in the given order or that of their
lengths, and gets {"ms", "answers"}: labels, spans or vectors, in the order of the items.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
LONGEST_ANSWER, QUESTION_LENGTH, QUESTION_STRIDE = 15, 384, 128


class Transformers:
    """The pipelines of transformers."""

    def __init__(self, request: Json):
        import torch
        import transformers

        torch.set_num_threads(request["threads"])
        name = {"classify": "text-classification", "ner": "token-classification", "qa": "question-answering"}[request["task"]]
        dtype = getattr(torch, request["precision"])
        given = {} if request["task"] == "qa" else {"truncation": True} if request["task"] == "classify" else {}
        self.version = transformers.__version__
        self.pipe = transformers.pipeline(name, model=request["folder"], device="cpu", torch_dtype=dtype, **given)

    def run(self, items: list[Json], batch: int) -> list[Any]:
        """All items."""
        if "question" in items[0]:
            found = self.pipe(question=[item["question"] for item in items], context=[item["context"] for item in items],
                              batch_size=batch)
            return [[one["start"], one["end"]] for one in found]
        found = self.pipe([item["text"] for item in items], batch_size=batch)
        if found and isinstance(found[0], list):
            return [[[one["entity"], one["start"], one["end"]] for one in each] for each in found]
        return [one["label"] for one in found]


class SentenceTransformers:
    """SentenceTransformer.encode, which sorts texts by length itself."""

    def __init__(self, request: Json):
        import sentence_transformers
        import torch

        torch.set_num_threads(request["threads"])
        dtype = getattr(torch, request["precision"])
        self.version = sentence_transformers.__version__
        self.model = sentence_transformers.SentenceTransformer(request["folder"], device="cpu", model_kwargs={"torch_dtype": dtype})

    def run(self, items: list[Json], batch: int) -> list[Any]:
        """All vectors."""
        return self.model.encode([item["text"] for item in items], batch_size=batch, convert_to_numpy=True).tolist()


class Tokenized:
    """`tokenizers`, a graph, and answers by numpy."""

    def __init__(self, request: Json):
        import tokenizers

        self.task, self.config = request["task"], json.loads(Path(request["folder"], "config.json").read_text(encoding="utf-8"))
        self.tokenizer = tokenizers.Tokenizer.from_file(str(Path(request["folder"], "tokenizer.json")))
        pad = self.tokenizer.token_to_id("[PAD]")
        self.tokenizer.enable_padding(pad_id=pad, pad_token="[PAD]")
        stride = {"stride": QUESTION_STRIDE, "strategy": "only_second"} if self.task == "qa" else {}
        self.tokenizer.enable_truncation(QUESTION_LENGTH if self.task == "qa" else request["longest"], **stride)

    def outputs(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Of the graph."""
        raise NotImplementedError

    def run(self, items: list[Json], batch: int) -> list[Any]:
        """All answers."""
        found: list[Any] = []
        for begin in range(0, len(items), batch):
            found += self.answers(items[begin : begin + batch])
        return found

    def answers(self, items: list[Json]) -> list[Any]:
        """Those of one batch."""
        pairs = [(item["question"], item["context"]) if "question" in item else item["text"] for item in items]
        encodings, owner = [], []
        for i, encoding in enumerate(self.tokenizer.encode_batch(pairs)):
            for window in (encoding, *encoding.overflowing):
                encodings.append(window)
                owner.append(i)
                if self.task != "qa":
                    break
        longest = max(len(encoding.ids) for encoding in encodings)
        feed = {name: np.zeros((len(encodings), longest), np.int64) for name in ("input_ids", "attention_mask", "token_type_ids")}
        for row, encoding in enumerate(encodings):
            size = len(encoding.ids)
            feed["input_ids"][row, :size], feed["token_type_ids"][row, :size] = encoding.ids, encoding.type_ids
            feed["attention_mask"][row, :size] = encoding.attention_mask
        outputs = self.outputs(feed)
        if self.task == "qa":
            return self.spans(encodings, owner, *outputs)
        if self.task == "embed":
            mask = feed["attention_mask"][:, :, None].astype(np.float32)
            means = (outputs[0] * mask).sum(axis=1) / mask.sum(axis=1)
            return (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist()
        logits = outputs[0] - outputs[0].max(axis=-1, keepdims=True)
        scores = np.exp(logits)
        scores /= scores.sum(axis=-1, keepdims=True)
        best = scores.argmax(axis=-1)
        names = self.config["id2label"]
        if self.task == "classify":
            return [names[str(label)] for label in best]
        return [
            [[names[str(label)], *span] for label, span, special in
             zip(best[row].tolist(), encoding.offsets, encoding.special_tokens_mask) if not special and names[str(label)] != "O"]
            for row, encoding in enumerate(encodings)
        ]

    @staticmethod
    def spans(encodings: list[Any], owner: list[int], starts: np.ndarray, ends: np.ndarray) -> list[Any]:
        """The best span of each question, as transformers scores them, without its rounding to words."""
        best: dict[int, tuple[float, list[int]]] = {}
        for row, encoding in enumerate(encodings):
            inside = np.array([s == 1 for s in encoding.sequence_ids])
            size = len(inside)
            scores = []
            for logits in (starts[row, :size], ends[row, :size]):
                kept = np.where(inside, logits, -10000.0)
                shares = np.exp(kept - kept.max())
                scores.append(shares / shares.sum())
            spans = np.tril(np.triu(np.outer(*scores)), LONGEST_ANSWER - 1)
            i, j = np.unravel_index(spans.argmax(), spans.shape)
            found = float(spans[i, j]), [encoding.offsets[i][0], encoding.offsets[j][1]]
            best[owner[row]] = max(best.get(owner[row], found), found)
        return [span for _, span in best.values()]


class OnnxRuntime(Tokenized):
    """With the fused graph."""

    def __init__(self, request: Json):
        import onnxruntime

        super().__init__(request)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request["threads"]
        path = Path(request["models"], "dynamic.onnx" if request["precision"] == "int8" else "fused.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = {entry.name for entry in self.session.get_inputs()}
        self.version = onnxruntime.__version__

    def outputs(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.session.run(None, {name: array for name, array in feed.items() if name in self.names})


class OpenVino(Tokenized):
    """With the exported graph, in float32."""

    def __init__(self, request: Json):
        import openvino

        super().__init__(request)
        core = openvino.Core()
        hints = {"INFERENCE_NUM_THREADS": request["threads"], "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        self.model = core.compile_model(str(Path(request["models"], "exported.onnx")), "CPU", hints)
        self.version = openvino.__version__

    def outputs(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        found = self.model([feed[entry.get_any_name()] for entry in self.model.inputs])
        return [found[output] for output in self.model.outputs]


ENGINES = {engine.__name__: engine for engine in (Transformers, SentenceTransformers, OnnxRuntime, OpenVino)}


def length(item: Json) -> int:
    """In characters."""
    return len(item.get("context", item.get("text")))


def main() -> None:
    """Answers until standard input ends."""
    # What the packages print must not mix with the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.readline())
    engine = ENGINES[request["engine"]](request)
    print(json.dumps({"version": engine.version}), file=out, flush=True)
    items: list[Json] = []
    for line in sys.stdin:
        request = json.loads(line)
        items = request.get("items", items)
        begin = time.perf_counter()
        order = sorted(range(len(items)), key=lambda i: length(items[i])) if request["sorted"] else list(range(len(items)))
        found = engine.run([items[i] for i in order], request["batch"])
        answers: list[Any] = [None] * len(items)
        for i, answer in zip(order, found):
            answers[i] = answer
        ms = (time.perf_counter() - begin) * 1e3
        print(json.dumps({"ms": ms, "answers": answers}), file=out, flush=True)


if __name__ == "__main__":
    main()
