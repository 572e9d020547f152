"""Finds the files of a folder's weights, and the tensors in them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path, PurePath
from typing import Any

from .errors import ConvertError, fail
from .load_report import some
from .source import StoredTensor, read_header, read_json
from .torch_file import read_tensors

WEIGHTS = (  # transformers takes the first of them that is there
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
SAVE_AGAIN = "Save the model once more with transformers 4: from_pretrained(FOLDER, from_{}=True).save_pretrained(FOLDER)."
TAKE_ORIGIN = "Take the checkpoint that it was made from."
OTHER_FORMS = (  # what the names of weights in other forms match, what they are, what to do
    (
        r"adapter_(model.*|config\.json)",
        "an adapter, not a whole model",
        "Give the folder of its base model{base}, and this one by --adapter.",
    ),
    (r"tf_model.*\.h5|.*\.ckpt.*|saved_model\.pb", "TensorFlow's form", SAVE_AGAIN.format("tf")),
    (r"flax_model.*\.msgpack", "Flax's form", SAVE_AGAIN.format("flax")),
    (r".*\.onnx|onnx", "ONNX's form", f"{TAKE_ORIGIN} An export is read where its name is model.onnx or onnx/model.onnx."),
    (r"openvino_.*|openvino", "OpenVINO's form", TAKE_ORIGIN),
    (r".*\.gguf", "llama.cpp's form", TAKE_ORIGIN),
    (r"rust_model\.ot", "rust-bert's form", TAKE_ORIGIN),
    (r".*\.mlmodel|.*\.mlpackage|coreml", "Core ML's form", TAKE_ORIGIN),
)
TENSORFLOW = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}  # last words of its names
SHARD = (
    r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)",
    "a part of a checkpoint whose index is missing",
    "Download the index too: model.safetensors.index.json or pytorch_model.bin.index.json.",
)
OTHER_NAME = (
    r"(?!(optimizer|scheduler|scaler|training_args|rng_state)).*\.(safetensors|bin|pt|pth)",
    "of another name than transformers loads",
    "If it is the whole checkpoint, call it model.safetensors or pytorch_model.bin.",
)


def _shards(index: Path) -> list[Path]:
    """The files that an index names."""
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise fail("has no weight_map", where=index, expected="tensor name -> file name", got=type(shards).__name__)
    names = sorted(set(shards.values()))
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise fail("names a file outside the folder", where=index, got=name)
    if missing := [name for name in names if not os.path.isfile(index.parent / name)]:  # of any name
        got = f"{len(missing)} of {len(names)} missing: {some(missing)}"
        raise fail("names files that are not there", where=index, got=got, do="Download the missing shards.")
    return [index.parent / name for name in names]


def _dangling(path: Path) -> bool:
    """Whether a link leads nowhere, as those of a cache whose download was stopped do."""
    return path.is_symlink() and not path.exists()


def _unread(folder: Path) -> dict[str, tuple[str, str]]:
    """The files of weights that are not read, with what each is and what to do."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name in WEIGHTS:
            if _dangling(path):
                what = f"a link to {path.readlink()}, which is not there"
                found[path.name] = (what, "Download it again: an incomplete cache has such links.")
            continue
        for pattern, what, do in (*OTHER_FORMS, SHARD, OTHER_NAME):
            if re.fullmatch(pattern, path.name):
                found[path.name] = (what, do)
                break
    return found


def weight_files(folder: Path, config: dict[str, Any] | None) -> list[Path]:
    """The files that transformers 5.23.0 loads from a folder (modeling_utils.py); empty where there are none."""
    if config and config.get("transformers_weights") is not None:
        raise fail("names its own file of weights", where=folder / "config.json", got=config["transformers_weights"])
    for name in WEIGHTS:
        if (folder / name).is_file():
            return _shards(folder / name) if name.endswith(".json") else [folder / name]
    return []


def has_unread_weights(folder: Path) -> bool:
    """Whether there are files of weights that are not read."""
    return bool(_unread(folder))


def is_read_by_others(name: str) -> bool:
    """Whether transformers or the next conversion would take a file of this name for weights."""
    return name in WEIGHTS or any(re.fullmatch(pattern, name) for pattern, _, _ in (*OTHER_FORMS, SHARD))


def _adapter_base(folder: Path) -> str | None:
    """The base model that an adapter's folder names."""
    try:
        name = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (OSError, ValueError, RecursionError, AttributeError):
        return None
    return ascii(name) if isinstance(name, str) and name else None


def no_weights(folder: Path) -> ConvertError:
    """The error for a folder without weights that are read, which says what is there in their place."""
    unread = _unread(folder)
    expected = " or ".join(name for name in WEIGHTS if not name.endswith(".json"))
    if not unread:
        do = "For a file of the tokenizer alone give --tokenizer."
        return fail("there are no weights", where=folder, expected=expected, do=do)
    seen = some([f"{name} ({what})" for name, (what, _) in unread.items()])
    base = _adapter_base(folder)
    steps = " ".join(dict.fromkeys(do.replace("{base}", f" ({base})" if base else "") for _, do in unread.values()))
    do = f"{steps} For a file of the tokenizer alone give --tokenizer."
    return fail("there are no weights that can be read", where=folder, expected=expected, got=seen, do=do)


def other_files(folder: Path, taken: list[Path]) -> list[str]:
    """The folder's other files of weights, which transformers doesn't load beside those that it takes."""
    first = next((name for name in WEIGHTS if taken and (folder / name).is_file()), None)
    names = {path.name for path in taken} | {first} | {path.parent.name for path in taken if path.parent != folder}
    others = [name for name in WEIGHTS if (folder / name).is_file()]
    others += [name for name, (what, _) in _unread(folder).items() if what not in (SHARD[1], OTHER_NAME[1])]
    return [name for name in others if name not in names]


def _from_tensorflow(name: str, tensor: StoredTensor) -> tuple[str, StoredTensor]:
    """A tensor that TensorFlow's classes of transformers 4 saved, as torch's have it: bert/layer_._0/dense/kernel:0."""
    if "/" not in name:
        return name, tensor
    parts = re.sub(r"(?<=/)[^/]*___", "", name.removesuffix(":0")).replace("_._", "/").split("/")
    if parts[-1] == "kernel" and len(tensor.shape) == 2:
        tensor = tensor.transposed()
    parts[-1] = TENSORFLOW.get(parts[-1], parts[-1])
    return ".".join(parts), tensor


def _read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, under the names of torch's classes."""
    found = [(name, *_from_tensorflow(name, tensor)) for name, tensor in read_header(path).items()]
    tensors = {new: tensor for _, new, tensor in found}
    if len(tensors) != len(found):
        names = [new for _, new, _ in found]
        twice = next(old for old, new, _ in found if names.count(new) > 1)
        raise fail(f"tensor '{twice}' is there twice, under TensorFlow's name and torch's", where=path)
    return tensors


def read_checkpoint(files: list[Path]) -> dict[str, StoredTensor]:
    """The tensors of all files, each name once."""
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        found = _read_safetensors(path) if path.suffix == ".safetensors" else read_tensors(path)
        for name, tensor in found.items():
            if name in tensors:
                raise fail(f"tensor '{name}' is in two files", where=path, got=tensors[name].path.name)
            tensors[name] = tensor
    return tensors
