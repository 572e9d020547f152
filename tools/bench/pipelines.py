#!/usr/bin/env python3
"""Times text to answer, bertha's program against what is called from Python: `pipelines.py PROGRAM MODELS DATA`.

MODELS holds the Hugging Face folders sentiment, entities and answers, and for `embed` a sentence-transformers folder
embeddings whose vectors are normalised means; DATA labelled texts, as accuracy.py has them. Tasks:

  classify, ner  sentences of reviews and of an encyclopedia, mixed with whole paragraphs
  qa             questions, each with its paragraph
  embed          three classes of lengths, those of sentence-transformers' own table (38.9, 620 and 9,589 characters)

The others are the pipelines of transformers (for `qa` of --qa-python, whose transformers still has that pipeline) or
sentence-transformers; ONNX Runtime (graph with its fusions, and dynamic int8 of it) and, for embed, OpenVINO, both with
`tokenizers` and answers by numpy. Each is in a process of its own that has loaded everything, tries batches of 1, 8, 32
and 64, ONNX Runtime and OpenVINO in the given order and sorted by length, and runs with the best. bertha's program gets
the same texts as JSON lines; `start` is a run of the program from its start to its end, model and all, `warm` one of a
program that has answered before.

All take turns, --rounds times; the table has medians. `ratio` is the time of the fastest of the others in that precision
to bertha's, `started` the same with bertha's start in its time. `equal` is the share of texts with the answer of the
Python pipeline in float32, or the smallest cosine to its vector. --shape base runs random weights of BERT-base's size
under the tokenizers and labels of MODELS.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pipeline_models
import pipeline_texts
from engines.process import Process
from table import cpu, lined_up

Json = dict[str, Any]
FOLDERS = {"classify": "sentiment", "ner": "entities", "qa": "answers", "embed": "embeddings"}
BATCHES = (1, 8, 32, 64)
OPTIONS = {"classify": ["--truncation"]}  # of the program, beside those of every task
PAUSE_S = 0.25  # between turns on several threads: idle threads of some engines keep looking for work for 0.2 s


class Program:
    """bertha."""

    def __init__(self, options: argparse.Namespace, task: str, model: Path, precision: str, threads: int):
        self.command = [options.program, task, str(model), "--jsonl", "--quiet", "--threads", str(threads)]
        self.command += ["--precision", precision, *OPTIONS.get(task, [])]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.name, self.precision, self.setting = "bertha", precision, ""
        self.lines: bytes = b""
        self.count = 0
        self.started: list[float] = []

    def define(self, items: list[Json]) -> None:
        """The texts of every run."""
        self.lines, self.count = b"".join(json.dumps(item).encode() + b"\n" for item in items), len(items)

    def run(self) -> tuple[float, list[Any]]:
        """Milliseconds, and the answers."""
        assert self.process.stdin and self.process.stdout

        def write() -> None:
            self.process.stdin.write(self.lines)
            self.process.stdin.flush()

        begin = time.perf_counter()
        writer = threading.Thread(target=write)
        writer.start()
        lines = [self.process.stdout.readline() for _ in range(self.count)]
        ms = (time.perf_counter() - begin) * 1e3
        writer.join()
        return ms, [answer(json.loads(line)) for line in lines]

    def run_from_start(self) -> None:
        """Notes the milliseconds of a whole run."""
        begin = time.perf_counter()
        subprocess.run(self.command, input=self.lines, stdout=subprocess.DEVNULL, check=True)
        self.started.append((time.perf_counter() - begin) * 1e3)

    def close(self) -> None:
        """Ends the program."""
        self.process.communicate()


class Engine:
    """One of the others."""

    def __init__(self, name: str, request: Json, python: str):
        self.name, self.precision, self.setting = name, request["precision"], ""
        self.process = Process([python, "-B", "-m", "engines.pipeline_worker"], {"OMP_NUM_THREADS": str(request["threads"])})
        self.version = self.process.ask(request)["version"]
        self.sorts = name in ("OnnxRuntime", "OpenVino")
        self.how: Json = {}

    def define(self, items: list[Json]) -> None:
        """Sends the texts, and finds the best batches for them."""
        self.how = {"batch": 8, "sorted": self.sorts}
        self.process.ask({"items": items, **self.how})  # warms up
        ways = [{"batch": batch, "sorted": s} for batch in BATCHES for s in ([False, True] if self.sorts else [False])]
        times = [(self.process.ask(way)["ms"], i) for i, way in enumerate(ways) if way["batch"] <= max(8, len(items))]
        self.how = ways[min(times)[1]]
        self.setting = f"batches of {self.how['batch']}" + (", sorted" if self.how["sorted"] else "")

    def run(self) -> tuple[float, list[Any]]:
        """Milliseconds, and the answers."""
        found = self.process.ask(self.how)
        return found["ms"], found["answers"]

    def close(self) -> None:
        """Ends the process."""
        self.process.close()


def answer(line: Any) -> Any:
    """What the program said, as the engines say it."""
    if isinstance(line, dict):
        return [line["start"], line["end"]]
    if not line or not isinstance(line[0], dict):
        return line
    if "entity" in line[0]:
        return [[one["entity"], one["start"], one["end"]] for one in line]
    return line[0]["label"]


def equal(task: str, found: list[Any], expected: list[Any]) -> str:
    """How many answers are the same, in percent; of vectors the smallest cosine."""
    if task != "embed":
        return f"{100 * np.mean([a == b for a, b in zip(found, expected)]):.1f} %"
    a, b = np.array(found), np.array(expected)
    return f"{float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()):.5f}"


def engines(options: argparse.Namespace, task: str, folder: Path, models: Path, threads: int) -> list[Any]:
    """All of them."""
    python = "SentenceTransformers" if task == "embed" else "Transformers"
    wanted = [(python, "float32"), (python, "bfloat16"), ("OnnxRuntime", "float32"), ("OnnxRuntime", "int8")]
    if task == "embed":
        wanted.append(("OpenVino", "float32"))
    found: list[Any] = []
    for precision in options.precision:
        model = models / f"bertha-{'int8' if precision == 'int8' else 'float32'}.safetensors"
        found.append(Program(options, task, model, precision, threads))
    for name, precision in wanted:
        if precision not in options.precision:
            continue
        request = {"engine": name, "task": task, "folder": str(folder), "models": str(models), "precision": precision}
        request |= {"threads": threads, "longest": pipeline_models.longest(folder) if task == "embed" else 512}
        found.append(Engine(name, request, options.qa_python if task == "qa" and name == python else sys.executable))
        options.versions[name + (" (qa)" if task == "qa" and name == python else "")] = found[-1].version
    return found


def measure(options: argparse.Namespace, task: str, title: str, items: list[Json], running: list[Any]) -> str:
    """One table."""
    for engine in running:
        engine.define(items)
        engine.run()
    times: dict[int, list[float]] = {id(engine): [] for engine in running}
    answers: dict[int, list[Any]] = {}
    for turn in range(options.rounds):
        for engine in running[turn % len(running) :] + running[: turn % len(running)]:
            time.sleep(PAUSE_S)
            ms, answers[id(engine)] = engine.run()
            times[id(engine)].append(ms)
            if isinstance(engine, Program):
                engine.run_from_start()
    ms = {key: statistics.median(found) for key, found in times.items()}
    reference = next((engine for engine in running if isinstance(engine, Engine)), running[0])
    size = np.mean([length(item) for item in items])
    rows = [[f"{title}, {len(items)} texts of {size:.0f} characters", "precision", "texts per second", "best with",
             "ratio", "started", f"to {reference.name}", "equal"]]
    for engine in running:
        mine = ms[id(engine)]
        others = [ms[id(o)] for o in running if isinstance(o, Engine) and o.precision == engine.precision]
        ratio = started = ""
        if isinstance(engine, Program) and others:
            ratio, started = f"{min(others) / mine:.2f}", f"{min(others) / statistics.median(engine.started):.2f}"
        rows.append([engine.name, engine.precision, f"{1e3 * len(items) / mine:.1f}", engine.setting, ratio, started,
                     f"{ms[id(reference)] / mine:.2f}", equal(task, answers[id(engine)], answers[id(reference)])])
    return lined_up(rows)


def length(item: Json) -> int:
    """In characters."""
    return len(item.get("context", item.get("text")))


def workloads(options: argparse.Namespace, task: str) -> dict[str, list[Json]]:
    """Texts by the title of their table."""
    if task == "embed":
        counts = {"short": options.texts, "medium": max(options.texts // 4, 1), "long": max(options.texts // 8, 1)}
        return {name: pipeline_texts.of_lengths(options.data, name, count) for name, count in counts.items()}
    if task == "qa":
        return {"questions": pipeline_texts.questions(options.data, max(options.texts // 4, 1))}
    return {"mixed": pipeline_texts.mixed(options.data, options.texts)}


def main() -> None:
    """Measures, and prints a table for each task, workload and number of threads."""
    lines = __doc__.splitlines()
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=lines[0], epilog="\n".join(lines[2:]), formatter_class=formatter)
    parser.add_argument("program", type=lambda path: os.path.abspath(path), help="the bertha program")
    parser.add_argument("models", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    parser.add_argument("--shape", choices=("as-is", "base"), default="as-is")
    parser.add_argument("--precision", nargs="+", choices=("float32", "bfloat16", "int8"), default=["float32", "int8"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--texts", type=int, default=256, help="of the shortest class; of longer ones there are fewer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--qa-python", default=sys.executable, help="a Python with transformers 4")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where models are made, or lie from an earlier run")
    options = parser.parse_args()
    options.versions = {}
    print(f"{cpu()}, {os.cpu_count()} CPUs, {datetime.date.today()}")
    with tempfile.TemporaryDirectory() as name:
        for task in options.tasks:
            models, folder = (options.work or Path(name)) / f"{task}-{options.shape}", options.models / FOLDERS[task]
            is_new = not models.exists()
            models.mkdir(parents=True, exist_ok=True)
            if options.shape == "base" and task != "embed":
                if is_new:
                    (models / "checkpoint").mkdir()
                    pipeline_models.of_base_size(folder, models / "checkpoint", task)
                folder = models / "checkpoint"
            if is_new:
                pipeline_models.convert(options.program, folder, models)
                pipeline_models.export(folder, models, task)
            for threads in options.threads:
                running = engines(options, task, folder.resolve(), models, threads)
                for title, items in workloads(options, task).items():
                    said = f"{task}, {title}, {options.shape}, {threads} thread" + ("s" if threads > 1 else "")
                    print("\n" + measure(options, task, said, items, running), flush=True)
                for engine in running:
                    engine.close()
    print(", ".join(f"{name} {version}" for name, version in options.versions.items()))


if __name__ == "__main__":
    main()
