"""Merges one of the adapters that a checkpoint has in itself, a pair of factors for each task beside each matrix: so the
first folders of jina-embeddings-v3 are.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np

from .errors import fail
from .source import AnyTensor, MadeTensor, load

Json = dict[str, Any]

PART = re.compile(r"(.+)\.parametrizations\.weight\.(original|0\.lora_A|0\.lora_B)")
TABLE = "_embeddings"  # what the names of tables end with: of these the product is A B, of linear layers B A
RANK, ALPHA = 4, 1  # where config.json has none


def names(raw: Json, path: Path) -> list[str]:
    """The tasks, in the order of the factors."""
    found = raw.get("lora_adaptations")
    if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
        raise fail("lora_adaptations names no tasks", where=path, expected="a list of names", got=found)
    return found


def _scale(raw: Json, path: Path) -> tuple[int, float]:
    """The rank of the factors, and what their product is multiplied by."""
    rank, alpha = raw.get("lora_rank", RANK), raw.get("lora_alpha", ALPHA)
    if type(rank) is not int or not 1 <= rank <= 2**16:
        raise fail("lora_rank is no valid size", where=path, expected="1 to 65536", got=rank)
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not abs(alpha) <= 2**16:
        raise fail("lora_alpha is no valid number", where=path, expected="at most 65536", got=alpha)
    return rank, alpha / rank


def _merged(original: AnyTensor, first: AnyTensor, second: AnyTensor, at: int, scale: float) -> np.ndarray:
    """A matrix with the product of a task's factors."""
    a, b = (load("factor", factor, at, at + 1)[0] for factor in (first, second))
    return load("original", original) + a @ b * np.float32(scale)


def merge(
    stored: dict[str, AnyTensor], raw: Json, task: str | None, path: Path
) -> tuple[dict[str, AnyTensor], list[str]]:
    """A checkpoint with the adapter of a task merged, or without adapters, and what there is to say of those left out."""
    found: dict[str, dict[str, AnyTensor]] = {}
    result: dict[str, AnyTensor] = {}
    for name, tensor in stored.items():
        if match := PART.fullmatch(name):
            found.setdefault(match[1], {})[match[2]] = tensor
        else:
            result[name] = tensor
    if not found:
        if task is not None:
            do = "Leave --task out; --adapter FOLDER merges one of PEFT's."
            raise fail(f"--task {task}: the checkpoint has no adapters in itself", where=path.parent, do=do)
        return stored, []
    tasks = names(raw, path)
    if task is not None and task not in tasks:
        raise fail(f"--task {task}: the checkpoint has no adapter of that name", expected=" or ".join(tasks))
    rank, scale = _scale(raw, path)
    for module, parts in found.items():
        original, a, b = (parts.get(part) for part in ("original", "0.lora_A", "0.lora_B"))
        if original is None or a is None or b is None:
            raise fail(f"the checkpoint has not all of the adapters' parts of '{module}'", expected="original, lora_A, lora_B")
        first, second = (a, b) if module.endswith(TABLE) else (b, a)
        rows, width = original.shape if len(original.shape) == 2 else (-1, -1)
        if (first.shape, second.shape) != ((len(tasks), rows, rank), (len(tasks), rank, width)):
            got = f"{list(first.shape)} and {list(second.shape)} for {list(original.shape)}"
            what = f"the factors of '{module}' have other sizes than {len(tasks)} tasks and rank {rank} ask for"
            raise fail(what, where=path, got=got)
        made = None if task is None else functools.partial(_merged, original, first, second, tasks.index(task), scale)
        result[f"{module}.weight"] = MadeTensor(original.path, original.shape, made) if made else original
    told = f"the checkpoint has adapters of tasks, of which none is merged: --task takes one of {', '.join(tasks)}"
    return result, [told] if task is None else []


def prompt(prompts: Json, raw: Json, task: str | None) -> Json:
    """Of the field `embedding` what a task decides: its prompt stands before texts where none is asked for."""
    instructions = raw.get("task_instructions")
    own = instructions.get(task) if isinstance(instructions, dict) else None
    if task is None or not (task in prompts or isinstance(own, str)):
        return {}
    return {"prompts": {**prompts, task: prompts.get(task, own)}, "default_prompt": task}
