"""Takes a model file apart again, into the tensors of the reference model: for goldens and the converter's tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import safe_open

from . import layout
from .canonical import bucket_of
from .config import bucket_rows, layers, sizes
from .container import read_tensors
from .families import MASKED, Family

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]
TABLES = {"word": "vocab_size", "token_type": "type_vocab_size", "position": "max_position_embeddings"}


def read_metadata(path: Path) -> Json:
    """A model file's metadata, each part parsed."""
    with safe_open(path, framework="numpy") as file:
        return {key: json.loads(value) for key, value in file.metadata().items()}


def _linear(tensors: Tensors, name: str, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """A linear layer's weight [N, K] and bias [N], as float32."""
    panels = tensors[f"{name}.weight"]
    if panels.dtype == np.uint16:
        weights = layout.widened(panels).transpose(0, 2, 1, 3).reshape(len(panels) * layout.PANEL, -1)
    elif panels.dtype == np.int8:
        values = panels.transpose(0, 2, 1, 3).reshape(len(panels) * layout.PANEL, -1)
        weights = values.astype(np.float32) * tensors[f"{name}.scale"][:, None]
    else:
        weights = panels.transpose(0, 2, 1).reshape(len(panels) * layout.PANEL, -1)
    return weights[:outputs, :inputs], tensors[f"{name}.bias"][:outputs]


def _table(tensors: Tensors, name: str, rows: int, width: int) -> np.ndarray:
    """An embedding table [V, H], as float32."""
    values = tensors[f"{name}.weight"]
    if values.dtype == np.int8:
        values = values.astype(np.float32) * tensors[f"{name}.scale"][: len(values), None]
    elif values.dtype == np.uint16:
        values = layout.widened(values)
    return values[:rows, :width]


def _named(name: str, values: tuple[np.ndarray, np.ndarray]) -> Tensors:
    """A linear layer's two tensors by their names."""
    return dict(zip((f"{name}.weight", f"{name}.bias"), values))


def _norm(tensors: Tensors, name: str, new: str, size: int) -> Tensors:
    """A LayerNorm's vectors under the name that the reference model has for it."""
    return {f"{new}.{part}": tensors[f"{name}.{part}"][:size] for part in ("weight", "bias")}


def _projections(tensors: Tensors, name: str, config: Json) -> list[tuple[np.ndarray, np.ndarray]]:
    """Query, key and value of one layer, out of their order by attention head."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size = hidden // heads
    padded = layout.round_up(size, layout.PANEL)
    weight, bias = _linear(tensors, f"{name}.attention.query_key_value", 3 * heads * padded, hidden)
    weight, bias = weight.reshape(heads, 3, padded, hidden), bias.reshape(heads, 3, padded)
    return [(weight[:, i, :size].reshape(hidden, hidden), bias[:, i, :size].reshape(hidden)) for i in range(3)]


def _layer(tensors: Tensors, index: int, new: str, config: Json, family: Family) -> Tensors:
    """One encoder layer under the reference names, which begin with `new`."""
    hidden, inner, names = config["hidden_size"], config["intermediate_size"], family.names
    layer = f"encoder.layer.{index}"
    result: Tensors = {}
    for name, values in zip((names.query, names.key, names.value), _projections(tensors, layer, config)):
        result |= _named(f"{new}.{name}", values)
    for old, name, outputs, inputs in (
        ("attention.output", names.attention_output, hidden, hidden),
        ("intermediate", names.intermediate, inner, hidden),
        ("output", names.output, hidden, inner),
    ):
        result |= _named(f"{new}.{name}", _linear(tensors, f"{layer}.{old}", outputs, inputs))
    result |= _norm(tensors, f"{layer}.attention.output.norm", f"{new}.{names.attention_norm}", hidden)
    return result | _norm(tensors, f"{layer}.output.norm", f"{new}.{names.output_norm}", hidden)


def _buckets(tensors: Tensors, config: Json, family: Family, rows: int) -> Tensors:
    """The numbers of buckets of distances; 0 for those that no distance is in."""
    furthest = config["max_position_embeddings"] - config["position_offset"] - 1
    values = tensors["encoder.distance_bias"][:, : 2 * furthest + 1].T
    table = np.zeros((rows, values.shape[1]), np.float32)
    table[bucket_of(np.arange(-furthest, furthest + 1), family.buckets)] = values
    return {family.buckets.tensor: table}


def reference_state(path: Path, family: Family, raw: Json) -> Tensors:
    """The float32 weights that a model file stands for, under transformers' names, which depend on its config.json."""
    tensors, config = read_tensors(path), read_metadata(path)["config"]
    hidden, width = config["hidden_size"], config["embedding_size"]
    encoder: Tensors = {}
    for name, rows in TABLES.items():
        if config[rows] > 0:
            encoder[f"embeddings.{name}_embeddings.weight"] = _table(tensors, f"embeddings.{name}", config[rows], width)
    encoder |= _norm(tensors, "embeddings.norm", "embeddings.LayerNorm", width)
    if width != hidden or family.always_projects:
        encoder |= _named(family.names.projection, _linear(tensors, "embeddings.projection", hidden, width))
    if family.buckets:
        encoder |= _buckets(tensors, config, family, bucket_rows(raw, family, path))
    count = sizes(raw, family, path)["num_hidden_layers"]
    for index, name in enumerate(dict.fromkeys(layers(raw, family, count, path))):
        encoder |= _layer(tensors, index, name, config, family)
    head = family.heads.get(config["head"])
    outside: Tensors = {}
    if config["pooler"]:
        dense = head.dense if head else family.pooler
        values = _named(dense.name, _linear(tensors, "pooler.dense", hidden, hidden))
        (encoder if dense == family.pooler else outside).update(values)
    if config["head"] == MASKED:
        masked = family.masked
        outside = _named(masked.dense, _linear(tensors, "head.dense", width, hidden))
        outside |= _norm(tensors, "head.norm", masked.norm, width)
        bias, table = tensors["head.bias"][: config["vocab_size"]], encoder["embeddings.word_embeddings.weight"]
        outside[f"{masked.decoder}.weight"] = table if config["masked_lm"]["tied"] else tensors["head.output.weight"][:, :width]
        outside |= {f"{masked.decoder}.bias": bias, masked.bias: bias}
        return {family.prefix + name: values for name, values in encoder.items()} | outside
    if not head:
        return encoder
    outside[f"{head.output}.weight"] = tensors["head.output.weight"][:, :hidden]
    outside[f"{head.output}.bias"] = tensors["head.output.bias"][: len(config["labels"])]
    return {family.prefix + name: values for name, values in encoder.items()} | outside
