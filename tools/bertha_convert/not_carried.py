"""What a folder asks for beside its model, and the file has not: adapters, and, where only the encoder is asked for,
what sentence-transformers does after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def _read(path: Path) -> Any:
    """The value in a JSON file that is only looked at to tell of it; None where it can't be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _object(path: Path) -> dict[str, Any]:
    """The object in such a file."""
    value = _read(path)
    return value if isinstance(value, dict) else {}


def _module(folder: Path, entry: Any) -> str:
    """A module of a sentence-transformers pipeline in words; empty for the transformer, which is converted."""
    if not isinstance(entry, dict):
        return "a module of no known form"
    name = str(entry.get("type")).rsplit(".", 1)[-1]
    if name == "Transformer":
        return ""
    options = _object(folder / str(entry.get("path")) / "config.json")
    modes = [key[len("pooling_mode_") :] for key, on in options.items() if key.startswith("pooling_mode_") and on is True]
    modes += [str(options["pooling_mode"])] if "pooling_mode" in options else []
    return f"{name} ({', '.join(modes)})" if modes else name


def sentences(folder: Path, max_length: int, carried: bool, adapter: Path | None) -> list[str]:
    """What there is to say of it, one thing a sentence; `carried`: what sentence-transformers does is in the file, as is
    the adapter in the folder `adapter`."""
    result = [] if carried else _pipeline(folder, max_length)
    if (folder / "adapter_config.json").exists() and not (adapter and adapter.resolve() == folder.resolve()):
        what = "the file holds the weights beside it, --adapter merges it"
        result.append(f"the adapter of adapter_config.json is not applied: {what}")
    return result


def _pipeline(folder: Path, max_length: int) -> list[str]:
    """What sentence-transformers does and the file doesn't."""
    result = []
    modules = _read(folder / "modules.json")
    after = [text for text in (_module(folder, entry) for entry in modules) if text] if isinstance(modules, list) else []
    if after:
        what = "the file gives hidden states, do the same with them for the same embeddings"
        result.append(f"a sentence-transformers folder: {', '.join(after)} of modules.json are not in the file: {what}")
    options = _object(folder / "sentence_bert_config.json")
    limit = options.get("max_seq_length")
    if type(limit) is int and limit < max_length:
        what = f"the file's max_length is {max_length}, cut texts at {limit} tokens for the same embeddings"
        result.append(f"max_seq_length {limit} of sentence_bert_config.json is not in the file: {what}")
    if options.get("do_lower_case") is True:
        result.append("do_lower_case of sentence_bert_config.json is not in the file: lower texts before they go in")
    prompt = _object(folder / "config_sentence_transformers.json").get("default_prompt_name")
    if isinstance(prompt, str):
        what = "put its text before each text"
        result.append(f"default_prompt_name '{prompt}' of config_sentence_transformers.json is not in the file: {what}")
    return result
