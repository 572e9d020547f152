#!/usr/bin/env python3
"""How far answers are from float32 transformers: `python3 tools/bench/accuracy.py build/bertha MODELS DATA`.

MODELS holds Hugging Face folders, DATA labelled examples for them, a JSON object per line:

  sentiment  sentiment*.jsonl, {"text", "label"}: sequence classification; the metric is accuracy
  entities   entities*.jsonl, {"words", "tags"} in BIO: token classification; F1 of whole entities
  answers    answers*.jsonl, {"question", "context", "answers": [{"text"}]}: question answering; F1 of words, exact matches
  embeddings the texts of sentiment and entities, each with the next: a sentence-transformers folder; Spearman's rank
             correlation of the cosines of pairs with those of sentence-transformers

The reference is transformers in float32, with the same token ids. bertha runs each in float32, in bfloat16, in int8 as the converter writes it, and in int8 calibrated by `bertha
quantize` on its own texts; ONNX Runtime in dynamic int8 (per channel) and in static int8 (QDQ, per channel)
calibrated on the same texts. All get the same token ids, and all logits are decoded in the same way. For each the
table has the metric, the share of labels that are those of the reference (classes, tags of words, starts and ends of
answers; of vectors, in their place, the smallest cosine), the rms error of the logits (of the cosines), and that relative
to plain int8's. Needs torch and transformers, for embeddings sentence-transformers; onnx and onnxruntime for ONNX
Runtime's rows, which --no-peers leaves out.
"""

import argparse
import collections
import json
import re
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
Logits = list[np.ndarray]  # [tokens, labels] of each example, [1, labels] of a classifier

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("sentiment", "entities", "answers", "embeddings")
LENGTH = 384  # tokens of a question and its context; more of the context is cut
LONGEST_ANSWER = 15


def run(*command: object, stdin: str = "") -> str:
    """Standard output of a command that must end well."""
    done = subprocess.run([*map(str, command)], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def texts(example: Json) -> Json:
    """What a model reads of an example."""
    if "words" in example:
        return {"text": " ".join(example["words"])}
    if "question" in example:
        return {"text": example["question"], "text_pair": example["context"]}
    return {"text": example["text"]}


class Bertha:
    """The program, on files that it or the converter makes."""

    def __init__(self, program: Path, scratch: Path) -> None:
        self.program, self.scratch = program, scratch

    def convert(self, folder: Path, precision: str) -> Path:
        out = self.scratch / f"{folder.name}.{precision}.safetensors"
        run(sys.executable, ROOT / "tools" / "convert.py", folder, out, "--precision", precision, "--no-selftest")
        return out

    def quantize(self, file: Path) -> Path:
        out = file.with_suffix(".calibrated.safetensors")
        run(self.program, "quantize", file, out)
        return out

    def lines(self, command: str, file: Path, examples: list[Json]) -> list[Json]:
        cut = ["--truncation", "only_second" if "question" in examples[0] else "longest_first", "--max-length", LENGTH]
        stdin = "\n".join(json.dumps(texts(example)) for example in examples)
        return [json.loads(line) for line in run(self.program, command, file, "--jsonl", *cut, stdin=stdin).splitlines()]

    def logits(self, file: Path, examples: list[Json]) -> Logits:
        return [np.array(line["logits"], np.float32) for line in self.lines("logits", file, examples)]


def reference(folder: Path, tokens: list[Json]) -> Logits:
    """The logits of transformers in float32."""
    import torch
    import transformers

    kind = json.loads((folder / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for each in tokens:
        feed = {name: torch.from_numpy(array) for name, array in OnnxRuntime.feed(each).items()}
        with torch.no_grad():
            output = model(**feed)
        logits = [output.logits] if "logits" in output else [output.start_logits, output.end_logits]
        found.append(logits[0].reshape(-1, logits[0].shape[-1]).numpy() if len(logits) == 1 else
                     torch.stack([each[0] for each in logits], dim=1).numpy())
    return found


class OnnxRuntime:
    """ONNX Runtime, on the exported model."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        import torch
        import transformers

        self.scratch, self.file = scratch, scratch / f"{folder.name}.onnx"
        kind = json.loads((folder / "config.json").read_text())["architectures"][0]
        model = getattr(transformers, kind).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        example = torch.ones(1, 8, dtype=torch.int64)
        inputs = ["input_ids", "attention_mask", "token_type_ids"]
        axes = {name: {0: "batch", 1: "length"} for name in inputs}
        torch.onnx.export(
            model.eval(), (example,) * 3, self.file, input_names=inputs, dynamic_axes=axes, dynamo=False, opset_version=17
        )

    @staticmethod
    def feed(tokens: Json) -> dict[str, np.ndarray]:
        ids = np.array([tokens["ids"]], np.int64)
        types = np.array([tokens["type_ids"]], np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}

    def dynamic(self) -> Path:
        from onnxruntime.quantization import quantize_dynamic

        out = self.file.with_suffix(".dynamic.onnx")
        quantize_dynamic(self.file, out, per_channel=True)
        return out

    def static(self, calibration: list[Json]) -> Path:
        from onnxruntime import quantization

        class Reader(quantization.CalibrationDataReader):
            def __init__(self) -> None:
                self.left = iter(calibration)

            def get_next(self) -> dict[str, np.ndarray] | None:
                tokens = next(self.left, None)
                return tokens and OnnxRuntime.feed(tokens)

        out, prepared = self.file.with_suffix(".static.onnx"), self.file.with_suffix(".prepared.onnx")
        quantization.quant_pre_process(self.file, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared, out, Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"]  # with sums and tables too it is far worse
        )
        return out

    @staticmethod
    def logits(file: Path, tokens: list[Json]) -> Logits:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        outputs = (session.run(None, OnnxRuntime.feed(each)) for each in tokens)
        return [(found[0][0] if found[0].ndim == 3 else found[0]) if len(found) == 1 else np.stack(
            [found[0][0], found[1][0]], axis=1) for found in outputs]


def words_of(tokens: Json, example: Json) -> list[int]:
    """The first token of each word of an example, which a space joins; -1 for a word that was cut."""
    first = {start: i for i, (start, end) in reversed(list(enumerate(tokens["offsets"]))) if end > start}
    begins = np.cumsum([0, *(len(word) + 1 for word in example["words"])])[:-1]
    return [first.get(int(begin), -1) for begin in begins]


def tags_of(logits: np.ndarray, tokens: Json, example: Json, labels: list[str]) -> list[str]:
    """The tag of each word."""
    return [labels[int(logits[i].argmax())] if i >= 0 else "O" for i in words_of(tokens, example)]


def entities_of(tags: list[str]) -> set[tuple[int, int, str]]:
    """(first word, word after the last, kind) of each entity."""
    found, begin = set(), 0
    for i, tag in enumerate([*tags, "O"]):
        before = tags[i - 1] if i > 0 else "O"
        if before != "O" and (tag != f"I-{before[2:]}"):
            found.add((begin, i, before[2:]))
        if tag != "O" and (tag[0] == "B" or before[2:] != tag[2:]):
            begin = i
    return found


def answer_of(logits: np.ndarray, tokens: Json, example: Json) -> str:
    """The best span of the context, of at most LONGEST_ANSWER tokens."""
    inside = [i for i, (start, end) in enumerate(tokens["offsets"]) if tokens["type_ids"][i] == 1 and end > start]
    first, last = inside[0], inside[-1] + 1
    start, end = logits[first:last, 0], logits[first:last, 1]
    sums = np.where(
        np.triu(np.tri(last - first, k=LONGEST_ANSWER - 1)) > 0, start[:, None] + end[None, :], -np.inf
    )
    i, j = np.unravel_index(sums.argmax(), sums.shape)
    return example["context"][tokens["offsets"][first + i][0] : tokens["offsets"][first + j][1]]


def normalised(answer: str) -> list[str]:
    """The words of an answer, as SQuAD's own script compares them."""
    letters = "".join(c for c in answer.lower() if c not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", letters).split()


def word_f1(found: str, expected: str) -> float:
    """F1 of the words of two answers."""
    a, b = normalised(found), normalised(expected)
    common = sum((collections.Counter(a) & collections.Counter(b)).values())
    return 2 * common / (len(a) + len(b)) if common else float(a == b)


def metric(task: str, logits: Logits, tokens: list[Json], examples: list[Json], labels: list[str]) -> str:
    """In percent."""
    if task == "sentiment":
        names = [str(example["label"]) for example in examples]
        return f"{100 * np.mean([labels[int(row.argmax())] == name for row, name in zip(logits, names)]):.2f}"
    if task == "answers":
        found_answers = [answer_of(row, each, example) for row, each, example in zip(logits, tokens, examples)]
        wanted = [[answer["text"] for answer in example["answers"]] for example in examples]
        f1 = np.mean([max(word_f1(found, each) for each in texts) for found, texts in zip(found_answers, wanted)])
        exact = np.mean([any(normalised(found) == normalised(each) for each in texts)
                         for found, texts in zip(found_answers, wanted)])
        return f"{100 * f1:.2f}, {100 * exact:.2f}"
    common = found = expected = 0
    for row, each, example in zip(logits, tokens, examples):
        a, b = entities_of(tags_of(row, each, example, labels)), entities_of(example["tags"])
        common, found, expected = common + len(a & b), found + len(a), expected + len(b)
    return f"{100 * 2 * common / (found + expected):.2f}"


def choices(task: str, logits: Logits, tokens: list[Json], examples: list[Json], labels: list[str]) -> Iterator[object]:
    """The labels whose agreement is counted."""
    for row, each, example in zip(logits, tokens, examples):
        if task == "entities":
            yield from tags_of(row, each, example, labels)
        else:
            yield from row.argmax(axis=1 if task == "sentiment" else 0)


def rms(found: Logits, exact: Logits) -> float:
    """Of the differences of all logits."""
    return float(np.sqrt(np.mean(np.concatenate([(a - b).ravel() ** 2 for a, b in zip(found, exact)]))))


def measure_embeddings(options: argparse.Namespace, scratch: Path) -> Iterator[list[str]]:
    """The rows of the table of vectors."""
    import sentence_transformers

    folder = options.models / "embeddings"
    names = [path for task in TASKS[:2] for path in sorted(options.data.glob(f"{task}*.jsonl"))]
    examples = [texts(json.loads(line)) for path in names for line in path.open()][: options.limit]
    bertha = Bertha(options.program, scratch)
    float32 = bertha.convert(folder, "float32")

    def vectors(file: Path) -> np.ndarray:
        stdin = "\n".join(json.dumps(example) for example in examples)
        lines = run(bertha.program, "embed", file, "--jsonl", stdin=stdin).splitlines()
        return np.array([json.loads(line) for line in lines])

    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    exact = model.encode([example["text"] for example in examples]).astype(np.float64)
    engines: dict[str, Callable[[], np.ndarray]] = {
        "sentence-transformers float32": lambda: exact,
        "bertha float32": lambda: vectors(float32),
        "bertha bfloat16": lambda: vectors(bertha.convert(folder, "bfloat16")),
        "bertha int8": lambda: vectors(bertha.convert(folder, "int8")),
        "bertha int8, calibrated": lambda: vectors(bertha.quantize(float32)),
    }
    if options.peers:
        import pipeline_models
        from engines.pipeline_worker import OnnxRuntime as OnnxPipeline

        pipeline_models.export(folder, scratch, "embed")
        request = {"task": "embed", "folder": str(folder), "models": str(scratch), "precision": "int8", "threads": 1}
        peer = OnnxPipeline({**request, "longest": pipeline_models.longest(folder)})
        engines["ONNX Runtime int8, dynamic"] = lambda: np.array(peer.run(examples, 1))
    expected, plain = cosines(exact), 0.0
    for name, vectors_of in engines.items():
        found = vectors_of()
        error = float(np.sqrt(np.mean((cosines(found) - expected) ** 2)))
        plain = error if name == "bertha int8" else plain
        nearest = (found * exact).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
        ranks = [np.argsort(np.argsort(each, kind="stable"), kind="stable") for each in (cosines(found), expected)]
        correlation = 100 * float(np.corrcoef(*ranks)[0, 1])
        ratio = f"{error / plain:.2f}" if plain else ""
        yield ["embeddings", name, f"{correlation:.3f}", f"{nearest.min():.5f}", f"{error:.5f}", ratio]


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Of each vector and the next."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return (unit[:-1] * unit[1:]).sum(axis=1)


def measure(task: str, options: argparse.Namespace, scratch: Path) -> Iterator[list[str]]:
    """The rows of a task's table."""
    if task == "embeddings":
        yield from measure_embeddings(options, scratch)
        return
    folder = options.models / task
    examples = [json.loads(line) for path in sorted(options.data.glob(f"{task}*.jsonl")) for line in path.open()]
    examples = examples[: options.limit]
    bertha = Bertha(options.program, scratch)
    float32 = bertha.convert(folder, "float32")
    labels = json.loads(run(options.program, "inspect", float32, "--json"))["config"]["labels"]
    tokens = bertha.lines("tokenize", float32, examples)
    exact = reference(folder, tokens)
    engines: dict[str, Callable[[], Logits]] = {
        "transformers float32": lambda: exact,
        "bertha float32": lambda: bertha.logits(float32, examples),
        "bertha bfloat16": lambda: bertha.logits(bertha.convert(folder, "bfloat16"), examples),
        "bertha int8": lambda: bertha.logits(bertha.convert(folder, "int8"), examples),
        "bertha int8, calibrated": lambda: bertha.logits(bertha.quantize(float32), examples),
    }
    if options.peers:
        peer = OnnxRuntime(folder, scratch)
        own = [{"text": line} for line in (ROOT / "tools/bertha/calibration.txt").read_text().splitlines()]
        if task == "answers":
            own = [{"question": a["text"], "context": b["text"]} for a, b in zip(own, own[1:] + own[:1])]
        calibration = bertha.lines("tokenize", float32, own)
        engines["ONNX Runtime int8, dynamic"] = lambda: peer.logits(peer.dynamic(), tokens)
        engines["ONNX Runtime int8, static"] = lambda: peer.logits(peer.static(calibration), tokens)
    expected, plain = list(choices(task, exact, tokens, examples, labels)), 0.0
    for name, logits_of in engines.items():
        logits = logits_of()
        error = rms(logits, exact)
        plain = error if name == "bertha int8" else plain
        found = list(choices(task, logits, tokens, examples, labels))
        equal = 100 * float(np.mean([a == b for a, b in zip(found, expected)]))
        ratio = f"{error / plain:.2f}" if plain else ""
        yield [task, name, metric(task, logits, tokens, examples, labels), f"{equal:.2f}", f"{error:.4f}", ratio]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="the bertha program")
    parser.add_argument("models", type=Path, help="a folder with the Hugging Face folders " + ", ".join(TASKS))
    parser.add_argument("data", type=Path, help="a folder with " + ", ".join(f"{task}*.jsonl" for task in TASKS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples of each task")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without ONNX Runtime")
    options = parser.parse_args()
    print("| task | engine | metric | labels equal, % | rms error of logits | to plain int8 |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for task in options.tasks:
            for row in measure(task, options, Path(scratch)):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
