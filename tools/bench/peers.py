#!/usr/bin/env python3
"""Times bertha against ONNX Runtime on the same token ids, in turn, in one run: `python3 tools/bench/peers.py build/bertha`.

A BERT with random weights goes through tools/convert.py for bertha and through torch.onnx for ONNX Runtime, which runs it
with all graph optimisations and its own BERT fusions. Needs torch, transformers, onnx, onnxscript and onnxruntime.
Prints one JSON line: medians over the rounds in milliseconds, their ratio, the CPU and the versions.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import transformers
from onnxruntime.transformers import optimizer

CONVERT = Path(__file__).resolve().parents[1] / "convert.py"
SHAPES = {"base": (12, 768, 12, 3072), "minilm": (6, 384, 12, 1536)}  # layers, hidden, attention heads, intermediate


def checkpoint(folder: Path, shape: str) -> transformers.BertForSequenceClassification:
    """A random BERT, saved as a Hugging Face folder."""
    layers, hidden, heads, intermediate = SHAPES[shape]
    torch.manual_seed(1)
    config = transformers.BertConfig(
        num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads, intermediate_size=intermediate, num_labels=3
    )
    model = transformers.BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"word{i}" for i in range(config.vocab_size - len(words))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return model


def export(model: transformers.BertForSequenceClassification, path: Path, shape: str) -> None:
    """The same model for ONNX Runtime, with its fusions for BERT."""
    ids = torch.ones(1, 16, dtype=torch.long)
    axes = {"input_ids": {0: "batch", 1: "length"}}
    raw = path.with_suffix(".raw.onnx")
    torch.onnx.export(model, (ids,), str(raw), input_names=["input_ids"], output_names=["logits"], dynamic_axes=axes, dynamo=False)
    _, hidden, heads, _ = SHAPES[shape]
    optimizer.optimize_model(str(raw), "bert", num_heads=heads, hidden_size=hidden).save_model_to_file(str(path))


def cpu() -> str:
    """The CPU's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


def bertha_ms(program: str, model: Path, args: argparse.Namespace) -> tuple[float, str]:
    """Median of one run of `bertha bench`, and the level that it ran at."""
    command = [program, "bench", str(model), "--batch", str(args.batch), "--length", str(args.length)]
    command += ["--threads", str(args.threads), "--repeat", str(args.repeat)]
    environment = {**os.environ, **({"BERTHA_ISA": args.isa} if args.isa else {})}
    out = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
    return out["median_ms"], out["level"]


def session_ms(session: onnxruntime.InferenceSession, ids: np.ndarray, repeat: int) -> float:
    """Median of `repeat` calls, after two to warm up."""
    times = []
    for _ in range(repeat + 2):
        begin = time.perf_counter()
        session.run(None, {"input_ids": ids})
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times[2:])


def main() -> int:
    """Runs the rounds and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the bertha program")
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--isa", default="", help="the level to force, as BERTHA_ISA")
    parser.add_argument("--repeat", type=int, default=5, help="calls of each engine in a round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = checkpoint(folder / "checkpoint", args.shape)
        export(model, folder / "model.onnx", args.shape)
        converted = folder / "model.safetensors"
        convert = [sys.executable, str(CONVERT), str(folder / "checkpoint"), str(converted), "--no-selftest"]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        ids = np.random.default_rng(1).integers(5, 30000, (args.batch, args.length), dtype=np.int64)
        ours, theirs, level = [], [], ""
        for _ in range(args.rounds):
            ms, level = bertha_ms(args.program, converted, args)
            ours.append(ms)
            theirs.append(session_ms(session, ids, args.repeat))
    bertha, peer = statistics.median(ours), statistics.median(theirs)
    result = {"shape": args.shape, "batch": args.batch, "length": args.length, "threads": args.threads, "precision": "float32"}
    result |= {"bertha_ms": round(bertha, 2), "level": level, "onnxruntime_ms": round(peer, 2), "bertha/onnxruntime": round(bertha / peer, 3)}
    result |= {"rounds": args.rounds, "cpu": cpu(), "onnxruntime": onnxruntime.__version__, "torch": torch.__version__}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
