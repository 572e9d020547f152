"""Finds the files of a folder's weights, and the tensors in them."""

from __future__ import annotations

import re
from pathlib import Path
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
        "Merge it into its base model: PeftModel.from_pretrained(BASE, FOLDER).merge_and_unload().save_pretrained(OUT).",
    ),
    (r"tf_model.*\.h5|.*\.ckpt.*|saved_model\.pb", "TensorFlow's form", SAVE_AGAIN.format("tf")),
    (r"flax_model.*\.msgpack", "Flax's form", SAVE_AGAIN.format("flax")),
    (r".*\.onnx|onnx", "ONNX's form", TAKE_ORIGIN),
    (r"openvino_.*|openvino", "OpenVINO's form", TAKE_ORIGIN),
    (r".*\.gguf", "llama.cpp's form", TAKE_ORIGIN),
    (r"rust_model\.ot", "rust-bert's form", TAKE_ORIGIN),
    (r".*\.mlmodel|.*\.mlpackage|coreml", "Core ML's form", TAKE_ORIGIN),
)
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
        if Path(name).name != name:
            raise fail("names a file outside the folder", where=index, got=name)
    if missing := [name for name in names if not (index.parent / name).is_file()]:
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


def no_weights(folder: Path) -> ConvertError:
    """The error for a folder without weights that are read, which says what is there in their place."""
    unread = _unread(folder)
    expected = " or ".join(name for name in WEIGHTS if not name.endswith(".json"))
    if not unread:
        do = "For a file of the tokenizer alone give --tokenizer."
        return fail("there are no weights", where=folder, expected=expected, do=do)
    seen = some([f"{name} ({what})" for name, (what, _) in unread.items()])
    steps = " ".join(dict.fromkeys(do for _, do in unread.values()))
    do = f"{steps} For a file of the tokenizer alone give --tokenizer."
    return fail("there are no weights that can be read", where=folder, expected=expected, got=seen, do=do)


def other_files(folder: Path, taken: list[Path]) -> list[str]:
    """The folder's other files of weights, which transformers doesn't load beside those that it takes."""
    first = next((name for name in WEIGHTS if taken and (folder / name).is_file()), None)
    names = {path.name for path in taken} | {first}
    others = [name for name in WEIGHTS if (folder / name).is_file()]
    others += [name for name, (what, _) in _unread(folder).items() if what not in (SHARD[1], OTHER_NAME[1])]
    return [name for name in others if name not in names]


def read_checkpoint(files: list[Path]) -> dict[str, StoredTensor]:
    """The tensors of all files, each name once."""
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        found = read_header(path) if path.suffix == ".safetensors" else read_tensors(path)
        for name, tensor in found.items():
            if name in tensors:
                raise fail(f"tensor '{name}' is in two files", where=path, got=tensors[name].path.name)
            tensors[name] = tensor
    return tensors
