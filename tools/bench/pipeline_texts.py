"""Real texts for pipelines.py, from labelled data as accuracy.py has it: the same in every run."""

import json
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
# Characters of a text, mean and deviation, of the classes of sentence-transformers' table.
LENGTHS = {"short": (38.9, 14.0), "medium": (620.2, 345.3), "long": (9589.2, 633.4)}


def examples(data: Path, task: str) -> list[Json]:
    """The lines of a task's files."""
    return [json.loads(line) for path in sorted(data.glob(f"{task}*.jsonl")) for line in path.open(encoding="utf-8")]


def paragraphs(data: Path) -> list[str]:
    """Each paragraph that a question is about, once."""
    return list(dict.fromkeys(example["context"] for example in examples(data, "answers")))


def mixed(data: Path, count: int) -> list[Json]:
    """Sentences of reviews and of an encyclopedia, and one paragraph for every six of them."""
    random = np.random.default_rng(1)
    reviews = [example["text"] for example in examples(data, "sentiment")]
    sentences = [" ".join(example["words"]) for example in examples(data, "entities")]
    kinds = random.choice(3, count, p=[3 / 7, 3 / 7, 1 / 7])
    sources = [reviews, sentences, paragraphs(data)]
    return [{"text": sources[kind][random.integers(len(sources[kind]))]} for kind in kinds]


def questions(data: Path, count: int) -> list[Json]:
    """Questions, each with its paragraph."""
    chosen = np.random.default_rng(1).permutation(examples(data, "answers"))[:count]
    return [{"question": example["question"], "context": example["context"]} for example in chosen]


def of_lengths(data: Path, name: str, count: int) -> list[Json]:
    """Texts cut from all paragraphs, of lengths of a class; they end with a word."""
    random = np.random.default_rng(1)
    words = " ".join(paragraphs(data)).split(" ")
    texts = []
    for length in np.maximum(random.normal(*LENGTHS[name], count), 8):
        begin, size = int(random.integers(len(words))), 0
        taken: list[str] = []
        while size < length:
            taken.append(words[(begin + len(taken)) % len(words)])
            size += len(taken[-1]) + 1
        texts.append({"text": " ".join(taken)})
    return texts
