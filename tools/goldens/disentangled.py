"""DeBERTa, both versions, as a model file of another precision stands for it: with the relative keys and queries that the file has, which
the converter rounds itself, not the layers that it makes them of."""

from pathlib import Path
from types import MethodType
from typing import Any

import torch
from bertha_convert.container import read_tensors
from bertha_convert.unpack import read_metadata, relative_tables

LEFT_OUT = ("rel_embeddings.", "encoder.LayerNorm.", "pos_key_proj.", "pos_query_proj.", "pos_proj.", "pos_q_proj.")  # that nothing reads then


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """As bfloat16."""
    return x.bfloat16().to(x.dtype)


def _projected(attention: Any, hidden: torch.Tensor) -> list[torch.Tensor]:
    """Queries, keys and values [heads, tokens, size]; of the first version's one layer, whose biases are of two of them."""
    heads = attention.num_attention_heads
    if hasattr(attention, "in_proj"):
        query, key, value = attention.in_proj(hidden)[0].unflatten(-1, (heads, -1)).transpose(0, 1).chunk(3, dim=-1)
        biases = (each.view(heads, 1, -1) for each in (attention.q_bias, attention.v_bias))
        return [query + next(biases), key, value + next(biases)]
    layers = (attention.query_proj, attention.key_proj, attention.value_proj)
    return [layer(hidden)[0].unflatten(-1, (heads, -1)).transpose(0, 1) for layer in layers]


def _forward(attention: Any, hidden: torch.Tensor, mask: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, None]:
    """DisentangledSelfAttention's, of relative keys and queries [heads, rows, size] that are there, queries scaled."""
    heads, operand = attention.num_attention_heads, attention.operand
    query, key, value = _projected(attention, hidden)
    query, key = operand(query * attention.scale), operand(key)
    scores = query @ key.transpose(-2, -1)  # [heads, queries, keys]
    places = torch.arange(hidden.shape[1])
    reach = len(attention.row_of) // 2
    rows = attention.row_of[(places[None] - places[:, None]).clamp(-reach, reach) + reach].expand(heads, -1, -1)
    for table, operands, turned in ((attention.keys, query, False), (attention.queries, key, True)):
        if table is not None:
            index = rows.transpose(-2, -1) if turned else rows
            found = (operands @ operand(table).to(operands.dtype).transpose(-2, -1)).gather(-1, index)
            scores = scores + (found.transpose(-2, -1) if turned else found)
    scores = scores.masked_fill(~mask.bool()[0], torch.finfo(scores.dtype).min)
    exponentials = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    context = (operand(exponentials) @ operand(value)) / exponentials.sum(dim=-1, keepdim=True)
    return context.transpose(0, 1).flatten(-2)[None], None


def take_relative_tables(model: Any, file: Path) -> None:
    """Makes each layer read those of the file; in a bfloat16 file attention's operands are rounded too."""
    config, encoder = read_metadata(file)["config"], model.base_model.encoder
    if config["position_scheme"] != "disentangled":
        return
    tables = {name: torch.from_numpy(values) for name, values in relative_tables(read_tensors(file), config).items()}
    encoder.relative_attention = False
    for index, layer in enumerate(encoder.layer):
        attention = layer.attention.self
        attention.scale = (attention.attention_head_size * config["score_terms"]) ** -0.5
        attention.operand = _rounded if config["precision"] == "bfloat16" else lambda x: x
        attention.row_of = tables["relative_rows"]
        attention.keys, attention.queries = (
            tables[name][index] if name in tables else None for name in ("relative_keys", "relative_queries")
        )
        attention.forward = MethodType(_forward, attention)
