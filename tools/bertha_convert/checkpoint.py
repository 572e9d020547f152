"""Finds the files of a folder's weights, and the tensors in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import fail
from .source import StoredTensor, read_header, read_json
from .torch_file import read_tensors

WEIGHTS = (  # transformers takes the first of them that is there
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
UNREAD_WEIGHTS = ("tf_model.h5", "flax_model.msgpack")


def _shards(index: Path) -> list[Path]:
    """The files that an index names."""
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise fail("has no weight_map", where=index, expected="tensor name -> file name", got=type(shards).__name__)
    names = sorted(set(shards.values()))
    for name in names:
        if Path(name).name != name:
            raise fail("names a file outside the folder", where=index, got=name)
        if not (index.parent / name).is_file():
            raise fail("names a file that is not there", where=index, got=name, do="Download the missing shard.")
    return [index.parent / name for name in names]


def weight_files(folder: Path, config: dict[str, Any] | None) -> list[Path]:
    """The files that transformers 5.23.0 loads from a folder (modeling_utils.py); empty where there are no weights."""
    if config and config.get("transformers_weights") is not None:
        raise fail("names its own file of weights", where=folder / "config.json", got=config["transformers_weights"])
    for name in WEIGHTS:
        if (folder / name).is_file():
            return _shards(folder / name) if name.endswith(".json") else [folder / name]
    for name in UNREAD_WEIGHTS:
        if (folder / name).is_file():
            expected = " or ".join(name for name in WEIGHTS if not name.endswith(".json"))
            do = "Save the model once more with transformers 4: model.save_pretrained(FOLDER)."
            raise fail(f"{name} is not read", where=folder, expected=expected, do=do)
    return []


def other_files(folder: Path, taken: list[Path]) -> list[str]:
    """The folder's other files of weights, which transformers doesn't load beside those that it takes."""
    first = next((name for name in WEIGHTS if (folder / name).is_file()), None)
    names = {path.name for path in taken} | {first}
    return [name for name in WEIGHTS + UNREAD_WEIGHTS if (folder / name).is_file() and name not in names]


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
