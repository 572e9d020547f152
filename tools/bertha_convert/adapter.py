"""Merges a LoRA adapter of PEFT into the tensors of its base model, as peft 0.21.0's merge_and_unload does.

An option of adapter_config.json that would change weights, and that is not read here, is refused by its name.
"""

from __future__ import annotations

import functools
import json
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .canonical import reference_name
from .checkpoint import read_checkpoint
from .errors import fail
from .families import QUESTION, SEQUENCE, TOKEN, Family
from .load_report import some
from .source import AnyTensor, MadeTensor, StoredTensor, load, read_json, read_optional_json

Json = dict[str, Any]

CONFIG = "adapter_config.json"
FILES = ("adapter_model.safetensors", "adapter_model.bin")  # peft takes the first of them that is there
PREFIX = "base_model.model."  # of all tensors
INNER = re.compile(r"\.(base_layer|(original_module|modules_to_save)(\.default)?)(?=\.)")  # in names of whole tensors
PART = re.compile(r"(.+)\.lora_(A|B|embedding_A|embedding_B)(?:\.default)?(?:\.(weight|bias))?")
ENDINGS = {SEQUENCE: "ForSequenceClassification", TOKEN: "ForTokenClassification", QUESTION: "ForQuestionAnswering"}
TASKS = {"SEQ_CLS": SEQUENCE, "TOKEN_CLS": TOKEN, "QUESTION_ANS": QUESTION}  # of task_type
READ = {  # what decides nothing once an adapter is trained, and what is read below
    *(
        "peft_type",
        "auto_mapping",
        "base_model_name_or_path",
        "revision",
        "task_type",
        "inference_mode",
        "peft_version",
    ),
    *("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "lora_bias", "bias", "modules_to_save"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout", "runtime_config"),
    *("init_lora_weights", "eva_config", "use_dora", "megatron_core", "qalora_group_size"),
    "fan_in_fan_out",  # which peft reads for layers that no encoder here has
}
STARTS = (True, False, None, "gaussian", "eva", "orthogonal")  # of init_lora_weights: others change the base's weights
LARGEST_RANK = 2**16


class Adapter(NamedTuple):
    """An adapter as it lies in its folder."""

    folder: Path
    config: Json
    tensors: dict[str, StoredTensor]  # by their names in the base model

    def files(self) -> list[Path]:
        """Where its tensors are from."""
        return sorted({tensor.path for tensor in self.tensors.values()})


def _number(config: Json, key: str, where: Path, value: Any) -> float:
    """A rank or an alpha."""
    whole = key.startswith("r")
    if (
        isinstance(value, bool)
        or not isinstance(value, int if whole else (int, float))
        or not abs(value) <= LARGEST_RANK
    ):
        raise fail(f"{key} is no valid number", where=where, expected=f"at most {LARGEST_RANK}", got=json.dumps(value))
    if whole and value < 1:
        raise fail(f"{key} is no valid number", where=where, expected="1 or more", got=value)
    return value


def _check(config: Json, where: Path) -> None:
    """Throws for an adapter of another kind, or with options that are not read."""
    if config.get("peft_type") != "LORA":
        do = "Merge it by PEFT (merge_and_unload, where its kind has that), and convert what that saves."
        got = json.dumps(config.get("peft_type"))
        raise fail("adapters of this kind are not merged", where=where, expected='peft_type "LORA"', got=got, do=do)
    do = "Merge it by PEFT: PeftModel.from_pretrained(BASE, FOLDER).merge_and_unload().save_pretrained(OUT)."
    if config.get("use_dora"):
        raise fail("DoRA (use_dora) is not merged", where=where, do=do)
    for key, value in config.items():
        if key not in READ and value not in (None, False, 0, [], {}, ""):
            raise fail(f"{key} is not supported", where=where, expected="none", got=json.dumps(value)[:80], do=do)
    start = config.get("init_lora_weights", True)
    if not any(start is known or start == known and isinstance(start, str) for known in STARTS):
        got = json.dumps(start)[:80]
        what = "init_lora_weights changed the base model's weights, which the adapter's file doesn't tell"
        raise fail(what, where=where, expected="true, false, gaussian, eva or orthogonal", got=got, do=do)
    if config.get("bias", "none") not in ("none", "all", "lora_only"):
        raise fail("bias is not known", where=where, expected="none, all or lora_only", got=json.dumps(config["bias"]))
    for key, kind in (("rank_pattern", dict), ("alpha_pattern", dict), ("modules_to_save", list)):
        if not isinstance(config.get(key) or kind(), kind):
            raise fail(f"{key} has no known form", where=where, got=json.dumps(config[key])[:80])


def read(folder: Path) -> Adapter:
    """An adapter's folder."""
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else None
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if config is None or path is None:
        raise fail("is no folder of an adapter", where=folder, expected=f"{CONFIG} and {' or '.join(FILES)}")
    _check(config, folder / CONFIG)
    tensors: dict[str, StoredTensor] = {}
    for name, tensor in read_checkpoint([path]).items():
        if not name.startswith(PREFIX):
            raise fail(f"tensor '{name}' is no adapter's", where=path, expected=f"names that begin with {PREFIX}")
        tensors[INNER.sub("", name[len(PREFIX) :])] = tensor
    return Adapter(folder, config, tensors)


def _matches(pattern: str, module: str, where: Path) -> bool:
    """Whether a key of rank_pattern or alpha_pattern means a module: all of its name, or what follows a point in it."""
    if re.fullmatch(r"[\w.]+", pattern) and "." not in pattern:
        return module.split(".")[-1] == pattern
    if len(pattern) > 1000 or len(re.findall(r"[*+{]", pattern)) > 3 or re.search(r"\)[*+{]", pattern):
        what = "has a key that is too long an expression, or repeats a group or more than three times"  # slow to match
        raise fail(what, where=where, got=json.dumps(pattern)[:80])
    try:
        return re.match(rf"(.*\.)?({pattern})$", module) is not None
    except (re.error, RecursionError, OverflowError) as error:
        raise fail("has a key that is no regular expression", where=where, got=json.dumps(pattern)[:80]) from error


def _chosen(config: Json, key: str, module: str, where: Path) -> float:
    """r or lora_alpha of a module."""
    pattern_key = {"r": "rank_pattern", "lora_alpha": "alpha_pattern"}[key]
    for pattern, value in (config.get(pattern_key) or {}).items():
        if _matches(pattern, module, where):
            return _number(config, key, where, value)
    return _number(config, key, where, config.get(key, 8))


def _merged(
    base: tuple[str, AnyTensor], a: StoredTensor, b: StoredTensor, scale: float, transposed: bool
) -> np.ndarray:
    """A matrix and what the adapter adds to it."""
    product = load("lora_B", b) @ load("lora_A", a)
    return load(*base) + (product.T if transposed else product) * np.float32(scale)


def _moved(base: tuple[str, AnyTensor], bias: tuple[str, StoredTensor], scale: float) -> np.ndarray:
    """A bias and what the adapter adds to it."""
    return load(*base) + load(*bias) * np.float32(scale)


def _check_saved(adapter: Adapter, base: dict[str, str], where: Path) -> None:
    """Throws where the adapter's file lacks a module of the base that was trained whole."""
    saved = {part for name in adapter.tensors for part in name.split(".")}
    for module in adapter.config.get("modules_to_save") or []:
        of_base = any(module in name.split(".") for name in base)
        if not isinstance(module, str) or (of_base and module.split(".")[-1] not in saved):
            what = "modules_to_save names a module whose weights are not in the adapter's file"
            raise fail(what, where=where, got=json.dumps(module)[:80])


class _Base:
    """The base model's tensors by the names that the adapter has for them."""

    def __init__(self, stored: dict[str, AnyTensor], family: Family) -> None:
        self.stored = dict(stored)
        self.family = family
        self.names = {reference_name(name, family): name for name in stored}

    def find(self, name: str, where: Path) -> tuple[str, AnyTensor]:
        """A tensor that the adapter changes."""
        own = self.names.get(reference_name(name, self.family))
        if own is None:
            do = "It was made for another base model."
            raise fail(f"the adapter changes '{name}', which the base model doesn't have", where=where, do=do)
        return own, self.stored[own]

    def put(self, name: str, tensor: AnyTensor) -> None:
        """Takes a tensor in place of the one that means the same, if there is one."""
        reference = reference_name(name, self.family)
        self.stored[self.names.setdefault(reference, name)] = tensor


def _shapes(base: AnyTensor, a: StoredTensor, b: StoredTensor, rank: float, embedding: bool) -> bool:
    """Whether the sizes of two factors go with the rank and the matrix that they are added to."""
    if len(base.shape) != 2:
        return False
    outputs, inputs = base.shape[::-1] if embedding else base.shape
    return a.shape == (rank, inputs) and b.shape == (outputs, rank)


def merge(adapter: Adapter, stored: dict[str, AnyTensor], family: Family) -> dict[str, AnyTensor]:
    """The base model's tensors with the adapter's in them."""
    base, where = _Base(stored, family), adapter.folder / CONFIG
    _check_saved(adapter, base.names, where)
    parts: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in adapter.tensors.items():
        if found := PART.fullmatch(name):
            module, part, ending = found.groups()
            parts.setdefault(module, {})[part + (".bias" if ending == "bias" else "")] = tensor
        elif "lora_" in name:
            raise fail(f"tensor '{name}' is of no kind that is merged", where=tensor.path, expected="lora_A, lora_B")
        else:
            base.put(name, tensor)
    for module, found in parts.items():
        embedding = "embedding_A" in found
        a, b = (found.pop(f"embedding_{part}" if embedding else part, None) for part in "AB")
        bias = found.pop("B.bias", None)
        if a is None or b is None or found:
            raise fail(f"the adapter has one of two factors for '{module}'", where=where, expected="lora_A and lora_B")
        own, weight = base.find(f"{module}.weight", where)
        rank, alpha = _chosen(adapter.config, "r", module, where), _chosen(adapter.config, "lora_alpha", module, where)
        if not _shapes(weight, a, b, rank, embedding):
            got = f"{list(a.shape)} and {list(b.shape)} for {list(weight.shape)}"
            what = f"the factors for '{module}' have other sizes than its weight and rank {rank} ask for"
            raise fail(what, where=where, got=got, do="It was made for another base model.")
        scale = alpha / (math.sqrt(rank) if adapter.config.get("use_rslora") else rank)
        made = functools.partial(_merged, (own, weight), a, b, scale, embedding)
        base.stored[own] = MadeTensor(a.path, weight.shape, made)
        if bias is not None:
            own, old = base.find(f"{module}.bias", where)
            if old.shape != bias.shape:
                raise fail(f"the bias for '{module}' has another size", where=where, expected=old.shape, got=bias.shape)
            moved = functools.partial(_moved, (own, old), (f"{module}.lora_B.bias", bias), scale)
            base.stored[own] = MadeTensor(bias.path, old.shape, moved)
    return base.stored


def _class(config: Json, family: Family) -> str | None:
    """The class of the model that was trained, where the adapter says so."""
    if (task := TASKS.get(str(config.get("task_type")))) is not None:
        return family.class_name + ENDINGS[task]
    mapping = config.get("auto_mapping")
    name = mapping.get("base_model_class") if isinstance(mapping, dict) else None
    return name if isinstance(name, str) else None


def configured(adapter: Adapter, raw: Json, family: Family) -> tuple[Json, list[str]]:
    """The base model's config.json as that of the model which was trained, and what there is to say of its labels."""
    name = _class(adapter.config, family)
    if name is None:
        return raw, []
    raw = {**raw, "architectures": [name]}
    task = next((task for task, ending in ENDINGS.items() if name.endswith(ending)), None)
    if task not in (SEQUENCE, TOKEN):
        return raw, []
    outputs = {f"{head.output}.weight" for kind, head in family.heads.items() if kind == task}
    found = [tensor for name, tensor in adapter.tensors.items() if reference_name(name, family) in outputs]
    rows = [tensor.shape[0] for tensor in found if tensor.shape]
    own = (read_optional_json(adapter.folder / "config.json") or {}).get("id2label")
    labels = own if own is not None else raw.get("id2label")
    if own is not None:
        raw["id2label"] = own
    if not rows or (isinstance(labels, dict) and len(labels) == rows[0]):
        return raw, []
    raw["id2label"] = {str(index): f"LABEL_{index}" for index in range(rows[0])}
    what = "neither the base model's config.json nor one of the adapter names its labels"
    return raw, [f"{what}: they are called {some(list(raw['id2label'].values()))}"]
