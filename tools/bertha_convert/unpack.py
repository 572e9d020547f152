"""Takes a model file apart again, into the tensors of the reference model: for goldens and the converter's tests."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import safe_open

from . import layout
from .canonical import tables
from .config import bucket_rows, key_value_heads, layers, sizes, task_rows
from .container import read_tensors
from .distances import bucket_of
from .families import MASKED, Family

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]


def read_metadata(path: Path) -> Json:
    """A model file's metadata, each part parsed."""
    with safe_open(path, framework="numpy") as file:
        return {key: json.loads(value) for key, value in file.metadata().items()}


def _linear(tensors: Tensors, name: str, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A linear layer's weight [N, K] and bias [N], if it has one, as float32."""
    panels = tensors[f"{name}.weight"]
    if panels.dtype == np.uint16:
        weights = layout.widened(panels).transpose(0, 2, 1, 3).reshape(len(panels) * layout.PANEL, -1)
    elif panels.dtype == np.int8:
        values = panels.transpose(0, 2, 1, 3).reshape(len(panels) * layout.PANEL, -1)
        weights = values.astype(np.float32) * tensors[f"{name}.scale"][:, None]
    else:
        weights = panels.transpose(0, 2, 1).reshape(len(panels) * layout.PANEL, -1)
    bias = tensors.get(f"{name}.bias")
    return weights[:outputs, :inputs], None if bias is None else bias[:outputs]


def _table(tensors: Tensors, name: str, rows: int, width: int) -> np.ndarray:
    """An embedding table [V, H], as float32."""
    values = tensors[f"{name}.weight"]
    if values.dtype == np.int8:
        values = values.astype(np.float32) * tensors[f"{name}.scale"][: len(values), None]
    elif values.dtype == np.uint16:
        values = layout.widened(values)
    return values[:rows, :width]


def _named(name: str, values: tuple[np.ndarray, np.ndarray | None]) -> Tensors:
    """A linear layer's tensors by their names."""
    named = zip((f"{name}.weight", f"{name}.bias"), values)
    return {name: tensor for name, tensor in named if tensor is not None}


def _joined(parts: list[tuple[np.ndarray, np.ndarray | None]]) -> tuple[np.ndarray, np.ndarray | None]:
    """Linear layers as one, their outputs one after the other."""
    bias = None if parts[0][1] is None else np.concatenate([bias for _, bias in parts])
    return np.concatenate([weight for weight, _ in parts]), bias


def _norm(tensors: Tensors, name: str, new: str, size: int) -> Tensors:
    """A LayerNorm's vectors under the name that the reference model has for it: those that it has."""
    parts = [part for part in ("weight", "bias") if f"{name}.{part}" in tensors]
    return {f"{new}.{part}": tensors[f"{name}.{part}"][:size] for part in parts}


def _projections(tensors: Tensors, name: str, config: Json) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Query, key and value of one layer, out of their order by attention head."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size = hidden // heads
    padded = layout.round_up(size, layout.PANEL)
    weight, bias = _linear(tensors, f"{name}.attention.query_key_value", 3 * heads * padded, hidden)
    weight = weight.reshape(heads, 3, padded, hidden)
    biases = None if bias is None else bias.reshape(heads, 3, padded)
    return [
        (weight[:, i, :size].reshape(hidden, hidden), None if biases is None else biases[:, i, :size].reshape(hidden))
        for i in range(3)
    ]


def _halves(tensors: Tensors, name: str, inner: int, hidden: int) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """The two products of a gated layer."""
    padded = layout.round_up(inner, layout.PANEL)
    weight, bias = _linear(tensors, name, 2 * padded, hidden)
    starts = (0, padded)
    return [(weight[i : i + inner], None if bias is None else bias[i : i + inner]) for i in starts]


def _each(values: np.ndarray, heads: int, shared: int) -> np.ndarray:
    """What attention heads have, of so many neighbours that share it once."""
    return values.reshape(heads, -1, *values.shape[1:])[::shared].reshape(-1, *values.shape[1:])


def _layer(tensors: Tensors, index: int, new: str, config: Json, family: Family, groups: int) -> Tensors:
    """One encoder layer under the reference names, which begin with `new`."""
    hidden, inner, names = config["hidden_size"], config["intermediate_size"], family.names
    layer, heads = f"encoder.layer.{index}", config["num_attention_heads"]
    result: Tensors = {}
    projections = _projections(tensors, layer, config)
    if names.by_head:
        parts = [part.reshape(heads, -1, hidden) for part, _ in projections]
        if names.neighbours:
            parts = [part.reshape(heads, 2, -1, hidden).swapaxes(1, 2).reshape(part.shape) for part in parts[:2]] + parts[2:]
        result[f"{new}.{names.query_key_value}.weight"] = np.concatenate(parts, axis=1).reshape(3 * hidden, hidden)
        for name, (_, bias) in ((names.query_bias, projections[0]), (names.value_bias, projections[2])):
            result |= {f"{new}.{name}": bias} if name else {}
    elif names.query_key_value:
        result |= _named(f"{new}.{names.query_key_value}", _joined(projections))
    else:
        for name, shared, values in zip((names.query, names.key, names.value), (1, groups, groups), projections):
            result |= _named(f"{new}.{name}", tuple(None if each is None else _each(each, heads, shared) for each in values))
    result |= _named(f"{new}.{names.attention_output}", _linear(tensors, f"{layer}.attention.output", hidden, hidden))
    if names.factor is None:
        result |= _named(f"{new}.{names.intermediate}", _linear(tensors, f"{layer}.intermediate", inner, hidden))
    else:
        halves = _halves(tensors, f"{layer}.intermediate", inner, hidden)
        same = names.factor == names.intermediate
        in_order = halves[::-1] if names.factor_first else halves
        result |= _named(f"{new}.{names.intermediate}", _joined(in_order) if same else halves[0])
        result |= {} if same else _named(f"{new}.{names.factor}", halves[1])
    result |= _named(f"{new}.{names.output}", _linear(tensors, f"{layer}.output", hidden, inner))
    norms = {".attention.output.norm": names.attention_norm, ".output.norm": names.output_norm}
    if family.norms_before:
        behind = {".attention.output.norm": names.attention_result_norm, ".output.norm": names.output_result_norm}
        norms = {".attention.norm": names.attention_norm, ".norm": names.output_norm} | behind
    for norm, name in norms.items():
        result |= _norm(tensors, f"{layer}{norm}", f"{new}.{name}", hidden) if name else {}
    for part, name in (("query", names.query_norm), ("key", names.key_norm)):
        result |= _norm(tensors, f"{layer}.attention.{part}.norm", f"{new}.{name}", hidden // heads) if name else {}
    return result


def _buckets(tensors: Tensors, config: Json, family: Family, rows: int) -> Tensors:
    """The numbers of buckets of distances; 0 for those that no distance is in."""
    furthest = config["max_position_embeddings"] - config["position_offset"] - 1
    values = tensors["encoder.distance_bias"][:, : 2 * furthest + 1].T
    table = np.zeros((rows, values.shape[1]), np.float32)
    table[bucket_of(np.arange(-furthest, furthest + 1), family.buckets)] = values
    return {family.buckets.tensor: table}


def relative_tables(tensors: Tensors, config: Json) -> Tensors:
    """Relative keys and queries [layers, heads, rows, size], those that there are, and the row of each distance."""
    heads, size, of = config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"], config["disentangled"]
    found: Tensors = {"relative_rows": tensors["encoder.relative_rows"][: 2 * of["reach"] + 1].astype(np.int64)}
    for name in ("relative_keys", "relative_queries"):
        if of[name]:
            rows = len(tensors[f"encoder.{name}.weight"])
            found[name] = _table(tensors, f"encoder.{name}", rows, size).reshape(-1, heads, of["rows"], size)
    return found


def reference_state(path: Path, family: Family, raw: Json) -> Tensors:
    """The float32 weights that a model file stands for, under transformers' names, which depend on its config.json."""
    tensors, config = read_tensors(path), read_metadata(path)["config"]
    hidden, width = config["hidden_size"], config["embedding_size"]
    encoder: Tensors = {}
    for name, old, rows in tables(family.names, config):
        encoder[f"{old}.weight"] = _table(tensors, f"embeddings.{name}", rows, width)
    if family.names.norm:
        encoder |= _norm(tensors, "embeddings.norm", family.names.norm, width)
    if count := task_rows(raw, family, path):  # in the token types
        encoder[family.tasks.tensor] = np.zeros((count, width), np.float32)
    if family.norms_before:
        encoder |= _norm(tensors, "encoder.norm", family.names.last_norm, hidden)
    if width != hidden or family.always_projects:
        encoder |= _named(family.names.projection, _linear(tensors, "embeddings.projection", hidden, width))
    if family.buckets:
        encoder |= _buckets(tensors, config, family, bucket_rows(raw, family, path))
    count = sizes(raw, family, path)["num_hidden_layers"]
    groups = config["num_attention_heads"] // key_value_heads(raw, family, sizes(raw, family, path), path)
    for index, name in enumerate(dict.fromkeys(layers(raw, family, count, path))):
        encoder |= _layer(tensors, index, name, config, family, groups)
    if family.norms_from_one:
        encoder |= {name: values - np.float32(1) for name, values in encoder.items() if name.endswith("norm.weight")}
    if family.scales_words:
        word = f"{family.names.word}.weight"
        encoder[word] = encoder[word] / np.float32(math.sqrt(hidden))
    head = family.heads.get(config["head"])
    outside: Tensors = {}
    if config["pooler"]:
        dense = head.dense if head else family.pooler
        values = _named(dense.name, _linear(tensors, "pooler.dense", hidden, hidden))
        (encoder if dense == family.pooler or dense.inside else outside).update(values)
    if config["head"] == MASKED:
        masked = family.masked
        if masked.dense:
            outside = _named(masked.dense, _linear(tensors, "head.dense", width, hidden))
            outside |= _norm(tensors, "head.norm", masked.norm, width)
        bias, table = tensors["head.bias"][: config["vocab_size"]], encoder[f"{family.names.word}.weight"]
        outside[f"{masked.decoder}.weight"] = table if config["masked_lm"]["tied"] else tensors["head.output.weight"][:, :width]
        outside |= {f"{masked.decoder}.bias": bias, masked.bias: bias}
        return {family.prefix + name: values for name, values in encoder.items()} | outside
    if not head:
        return encoder
    if head.transform:
        first = next(name for name in ("pooler", "pooler.token", "head") if f"{name}.0.weight" in tensors)
        outside |= _named(head.transform.dense, _linear(tensors, f"{first}.0", hidden, hidden))
        outside |= _norm(tensors, f"{first}.1", head.transform.norm, hidden) if head.transform.norm else {}
    outside[f"{head.output}.weight"] = tensors["head.output.weight"][:, :hidden]
    outside[f"{head.output}.bias"] = tensors["head.output.bias"][: len(config["labels"])]
    return {family.prefix + name: values for name, values in encoder.items()} | outside
