"""Takes a model file apart again, into the tensors of the reference model: for goldens and the converter's tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, safe_open

from . import layout
from .bert import HEAD_TENSORS

Json = dict[str, Any]
TABLES = {"word": "vocab_size", "token_type": "type_vocab_size", "position": "max_position_embeddings"}


def read_metadata(path: Path) -> Json:
    """A model file's metadata, each part parsed."""
    with safe_open(path, framework="numpy") as file:
        return {key: json.loads(value) for key, value in file.metadata().items()}


def _linear(tensors: layout.Tensors, name: str, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer's weight [N, K] and bias [N], dequantised."""
    panels = tensors[f"{name}.weight"]
    if panels.dtype == np.int8:
        values = panels.transpose(0, 2, 1, 3).reshape(len(panels) * layout.PANEL, -1)
        weights = values.astype(np.float32) * tensors[f"{name}.scale"][:, None]
    else:
        weights = panels.transpose(0, 2, 1).reshape(len(panels) * layout.PANEL, -1)
    return weights[:outputs, :inputs], tensors[f"{name}.bias"][:outputs]


def _table(tensors: layout.Tensors, name: str, rows: int, width: int) -> np.ndarray:
    """An embedding table [V, H], dequantised."""
    values = tensors[f"{name}.weight"]
    if values.dtype == np.int8:
        values = values.astype(np.float32) * tensors[f"{name}.scale"][: len(values), None]
    return values[:rows, :width]


def _projections(tensors: layout.Tensors, name: str, config: Json) -> layout.Tensors:
    """Query, key and value of one layer, out of their order by attention head."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size = hidden // heads
    padded = layout.round_up(size, layout.PANEL)
    weight, bias = _linear(tensors, f"{name}.attention.query_key_value", 3 * heads * padded, hidden)
    weight, bias = weight.reshape(heads, 3, padded, hidden), bias.reshape(heads, 3, padded)
    result = {}
    for index, matrix in enumerate(("query", "key", "value")):
        result[f"{name}.attention.self.{matrix}.weight"] = weight[:, index, :size].reshape(hidden, hidden)
        result[f"{name}.attention.self.{matrix}.bias"] = bias[:, index, :size].reshape(hidden)
    return result


def _layer(tensors: layout.Tensors, name: str, config: Json) -> layout.Tensors:
    """One encoder layer under the reference names."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    result = _projections(tensors, name, config)
    parts = (
        ("attention.output", "attention.output.dense", hidden, hidden),
        ("intermediate", "intermediate.dense", inner, hidden),
        ("output", "output.dense", hidden, inner),
    )
    for old, new, outputs, inputs in parts:
        weight, bias = _linear(tensors, f"{name}.{old}", outputs, inputs)
        result |= {f"{name}.{new}.weight": weight, f"{name}.{new}.bias": bias}
    for part in ("attention.output", "output"):
        for kind in ("weight", "bias"):
            result[f"{name}.{part}.LayerNorm.{kind}"] = tensors[f"{name}.{part}.norm.{kind}"][:hidden]
    return result


def reference_state(path: Path) -> layout.Tensors:
    """The float32 weights that a model file stands for, under transformers' names."""
    tensors, config = load_file(path), read_metadata(path)["config"]
    hidden = config["hidden_size"]
    encoder: layout.Tensors = {}
    for table, rows in TABLES.items():
        encoder[f"embeddings.{table}_embeddings.weight"] = _table(tensors, f"embeddings.{table}", config[rows], hidden)
    for kind in ("weight", "bias"):
        encoder[f"embeddings.LayerNorm.{kind}"] = tensors[f"embeddings.norm.{kind}"][:hidden]
    for index in range(config["num_hidden_layers"]):
        encoder |= _layer(tensors, f"encoder.layer.{index}", config)
    if config["pooler"]:
        weight, bias = _linear(tensors, "pooler.dense", hidden, hidden)
        encoder |= {"pooler.dense.weight": weight, "pooler.dense.bias": bias}
    if config["head"] not in HEAD_TENSORS:
        return encoder
    head, count = HEAD_TENSORS[config["head"]], len(config["labels"])
    state = {f"bert.{name}": values for name, values in encoder.items()}
    state[f"{head}.weight"] = tensors["head.output.weight"][:, :hidden]
    state[f"{head}.bias"] = tensors["head.output.bias"][:count]
    return state
