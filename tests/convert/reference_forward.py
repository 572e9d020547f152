"""Forward passes as transformers' modeling_*.py have them, in float64, from checkpoints under their own names.

Shares nothing with the converter: a name or an order that its tables have wrong can't be wrong here too.
"""

import math
from typing import Any

import numpy as np

Config = dict[str, Any]
Weights = dict[str, np.ndarray]

ACTIVATIONS = {
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """torch.nn.Linear."""
    return x @ w[f"{name}.weight"].astype(np.float64).T + w[f"{name}.bias"]


def layer_norm(w: Weights, name: str, x: np.ndarray, eps: float) -> np.ndarray:
    """torch.nn.LayerNorm."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int, biases: Any = 0) -> np.ndarray:
    """Scaled dot products of each head, and its bias [queries, keys]; heads are slices of the hidden state."""
    result = []
    parts = zip(*(np.split(x, heads, axis=-1) for x in (query, key, value)))
    for (q, k, v), bias in zip(parts, biases if np.ndim(biases) else [biases] * heads):
        scores = np.exp(q @ k.T / math.sqrt(q.shape[-1]) + bias)
        result.append(scores / scores.sum(axis=-1, keepdims=True) @ v)
    return np.concatenate(result, axis=-1)


def bert_hidden(w: Weights, prefix: str, config: Config, ids: list[int], types: list[int], positions: Any) -> np.ndarray:
    """BertModel, RobertaModel and ElectraModel: the last hidden states."""
    eps, act = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]]
    embeddings = f"{prefix}embeddings."
    x = w[f"{embeddings}word_embeddings.weight"][ids].astype(np.float64)
    x = x + w[f"{embeddings}token_type_embeddings.weight"][types] + w[f"{embeddings}position_embeddings.weight"][positions]
    x = layer_norm(w, f"{embeddings}LayerNorm", x, eps)
    if f"{prefix}embeddings_project.weight" in w:
        x = linear(w, f"{prefix}embeddings_project", x)
    for index in range(config["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{index}."
        q, k, v = (linear(w, f"{layer}attention.self.{part}", x) for part in ("query", "key", "value"))
        context = linear(w, f"{layer}attention.output.dense", attention(q, k, v, config["num_attention_heads"]))
        x = layer_norm(w, f"{layer}attention.output.LayerNorm", context + x, eps)
        inner = act(linear(w, f"{layer}intermediate.dense", x))
        x = layer_norm(w, f"{layer}output.LayerNorm", linear(w, f"{layer}output.dense", inner) + x, eps)
    return x


def norms_before_hidden(w: Weights, prefix: str, config: Config, ids: list[int], types: list[int], positions: Any) -> np.ndarray:
    """RobertaPreLayerNormModel and MegatronBertModel: the last hidden states, behind the norm of all layers."""
    eps, act, megatron = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]], config["model_type"] == "megatron-bert"
    embeddings, encoder = f"{prefix}embeddings.", f"{prefix}encoder."
    x = w[f"{embeddings}word_embeddings.weight"][ids].astype(np.float64)
    x = x + w[f"{embeddings}token_type_embeddings.weight"][types] + w[f"{embeddings}position_embeddings.weight"][positions]
    x = x if megatron else layer_norm(w, f"{embeddings}LayerNorm", x, eps)
    for index in range(config["num_hidden_layers"]):
        layer = f"{encoder}layer.{index}."
        normed = layer_norm(w, layer + ("attention.ln" if megatron else "attention.LayerNorm"), x, eps)
        q, k, v = (linear(w, f"{layer}attention.self.{part}", normed) for part in ("query", "key", "value"))
        x = x + linear(w, f"{layer}attention.output.dense", attention(q, k, v, config["num_attention_heads"]))
        normed = layer_norm(w, layer + ("ln" if megatron else "intermediate.LayerNorm"), x, eps)
        x = x + linear(w, f"{layer}output.dense", act(linear(w, f"{layer}intermediate.dense", normed)))
    return layer_norm(w, f"{encoder}ln" if megatron else f"{prefix}LayerNorm", x, eps)


def distilbert_hidden(w: Weights, config: Config, ids: list[int]) -> np.ndarray:
    """DistilBertModel: the last hidden states."""
    eps, act = 1e-12, ACTIVATIONS[config["activation"]]
    x = w["distilbert.embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["distilbert.embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(w, "distilbert.embeddings.LayerNorm", x, eps)
    for index in range(config["n_layers"]):
        layer = f"distilbert.transformer.layer.{index}."
        q, k, v = (linear(w, f"{layer}attention.{part}_lin", x) for part in "qkv")
        context = linear(w, f"{layer}attention.out_lin", attention(q, k, v, config["n_heads"]))
        x = layer_norm(w, f"{layer}sa_layer_norm", context + x, eps)
        inner = act(linear(w, f"{layer}ffn.lin1", x))
        x = layer_norm(w, f"{layer}output_layer_norm", linear(w, f"{layer}ffn.lin2", inner) + x, eps)
    return x


def mpnet_hidden(w: Weights, config: Config, ids: list[int]) -> np.ndarray:
    """MPNetModel: the last hidden states."""
    eps, act = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]]
    x = w["mpnet.embeddings.word_embeddings.weight"][ids].astype(np.float64)
    seen = np.array(ids) != 1
    x = x + w["mpnet.embeddings.position_embeddings.weight"][np.cumsum(seen) * seen + 1]
    x = layer_norm(w, "mpnet.embeddings.LayerNorm", x, eps)
    behind = np.arange(len(ids))[None] - np.arange(len(ids))[:, None]  # from query to key
    assert len(ids) <= 12, "further ones are in other buckets"
    bucket = np.minimum(np.abs(behind), 8) + np.where(behind > 0, 16, 0)
    biases = w["mpnet.encoder.relative_attention_bias.weight"][bucket].transpose(2, 0, 1)
    for index in range(config["num_hidden_layers"]):
        layer = f"mpnet.encoder.layer.{index}."
        q, k, v = (linear(w, f"{layer}attention.attn.{part}", x) for part in "qkv")
        context = linear(w, f"{layer}attention.attn.o", attention(q, k, v, config["num_attention_heads"], biases))
        x = layer_norm(w, f"{layer}attention.LayerNorm", context + x, eps)
        inner = act(linear(w, f"{layer}intermediate.dense", x))
        x = layer_norm(w, f"{layer}output.LayerNorm", linear(w, f"{layer}output.dense", inner) + x, eps)
    return x


def deberta_hidden(w: Weights, config: Config, ids: list[int], types: list[int]) -> np.ndarray:
    """DebertaModel and DebertaV2Model: the last hidden states."""
    eps, act, heads = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]], config["num_attention_heads"]
    first = config["model_type"] == "deberta"
    x = w["deberta.embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["deberta.embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(w, "deberta.embeddings.LayerNorm", x + w["deberta.embeddings.token_type_embeddings.weight"][types], eps)
    relative = w["deberta.encoder.rel_embeddings.weight"].astype(np.float64)
    before = np.arange(len(ids))[:, None] - np.arange(len(ids))[None]  # from key to query
    furthest = config["max_relative_positions"]
    furthest = furthest if furthest > 0 else config["max_position_embeddings"]
    if first:
        row = np.clip(before + furthest, 0, 2 * furthest - 1)
    else:
        relative = layer_norm(w, "deberta.encoder.LayerNorm", relative, eps)
        size, middle = np.abs(before), config["position_buckets"] // 2
        steps = np.ceil(np.log(np.maximum(size, 1) / middle) / np.log((furthest - 1) / middle) * (middle - 1)) + middle
        bucket = np.where(size <= middle, before, np.sign(before) * steps).astype(int)
        row = np.clip(bucket + 2 * middle, 0, 4 * middle - 1)
    for index in range(config["num_hidden_layers"]):
        own = f"deberta.encoder.layer.{index}.attention.self."
        layer = f"deberta.encoder.layer.{index}."
        if first:
            three = (x @ w[f"{own}in_proj.weight"].astype(np.float64).T).reshape(len(ids), heads, 3, -1)
            q, k, v = (three[:, :, part].reshape(len(ids), -1) for part in range(3))
            q, v = q + w[f"{own}q_bias"], v + w[f"{own}v_bias"]
            of_places = (relative @ w[f"{own}pos_proj.weight"].astype(np.float64).T, linear(w, f"{own}pos_q_proj", relative))
        else:
            q, k, v = (linear(w, f"{own}{part}_proj", x) for part in ("query", "key", "value"))
            of_places = (linear(w, f"{own}pos_{part}_proj", relative) for part in ("key", "query"))
        context = []
        for query, key, value, c2p, p2c in zip(*(np.split(part, heads, axis=1) for part in (q, k, v, *of_places))):
            added = np.take_along_axis(query @ c2p.T, row, 1) + np.take_along_axis(key @ p2c.T, row.T, 1).T
            scores = np.exp((query @ key.T + added) / math.sqrt(3 * query.shape[1]))
            context.append(scores / scores.sum(axis=1, keepdims=True) @ value)
        context = linear(w, f"{layer}attention.output.dense", np.concatenate(context, axis=1))
        x = layer_norm(w, f"{layer}attention.output.LayerNorm", context + x, eps)
        inner = act(linear(w, f"{layer}intermediate.dense", x))
        x = layer_norm(w, f"{layer}output.LayerNorm", linear(w, f"{layer}output.dense", inner) + x, eps)
    return x


def albert_hidden(w: Weights, config: Config, ids: list[int], types: list[int]) -> np.ndarray:
    """AlbertModel: the last hidden states."""
    eps, act = config["layer_norm_eps"], ACTIVATIONS[config["hidden_act"]]
    x = w["albert.embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["albert.embeddings.token_type_embeddings.weight"][types]
    x = x + w["albert.embeddings.position_embeddings.weight"][: len(ids)]
    x = layer_norm(w, "albert.embeddings.LayerNorm", x, eps)
    x = linear(w, "albert.encoder.embedding_hidden_mapping_in", x)
    for index in range(config["num_hidden_layers"]):
        group = int(index / (config["num_hidden_layers"] / config["num_hidden_groups"]))
        for inner in range(config["inner_group_num"]):
            layer = f"albert.encoder.albert_layer_groups.{group}.albert_layers.{inner}."
            q, k, v = (linear(w, f"{layer}attention.{part}", x) for part in ("query", "key", "value"))
            context = linear(w, f"{layer}attention.dense", attention(q, k, v, config["num_attention_heads"]))
            x = layer_norm(w, f"{layer}attention.LayerNorm", context + x, eps)
            widened = act(linear(w, f"{layer}ffn", x))
            x = layer_norm(w, f"{layer}full_layer_layer_norm", linear(w, f"{layer}ffn_output", widened) + x, eps)
    return x


def hidden_states(w: Weights, config: Config, ids: list[int], types: list[int]) -> np.ndarray:
    """The encoder of a family, by model_type."""
    family = config["model_type"]
    if family == "distilbert":
        return distilbert_hidden(w, config, ids)
    if family == "albert":
        return albert_hidden(w, config, ids, types)
    if family in ("deberta", "deberta-v2"):
        return deberta_hidden(w, config, ids, types)
    if family == "mpnet":
        return mpnet_hidden(w, config, ids)
    if family in ("bert", "electra", "ernie"):
        return bert_hidden(w, f"{family}.", config, ids, types, np.arange(len(ids)))
    if family == "megatron-bert":
        return norms_before_hidden(w, "bert.", config, ids, types, np.arange(len(ids)))
    seen = np.array(ids) != config["pad_token_id"]  # create_position_ids_from_input_ids
    positions = np.cumsum(seen) * seen + config["pad_token_id"]
    if family == "roberta-prelayernorm":
        return norms_before_hidden(w, "roberta_prelayernorm.", config, ids, types, positions)
    return bert_hidden(w, "roberta.", config, ids, types, positions)


def classify(w: Weights, family: str, first: np.ndarray) -> np.ndarray:
    """The heads of *ForSequenceClassification, on the first token's hidden state."""
    if family in ("bert", "megatron-bert", "ernie"):
        prefix = "ernie" if family == "ernie" else "bert"
        return linear(w, "classifier", np.tanh(linear(w, f"{prefix}.pooler.dense", first)))
    if family in ("deberta", "deberta-v2"):
        return linear(w, "classifier", ACTIVATIONS["gelu"](linear(w, "pooler.dense", first)))
    if family == "albert":
        return linear(w, "classifier", np.tanh(linear(w, "albert.pooler", first)))
    if family == "distilbert":
        return linear(w, "classifier", ACTIVATIONS["relu"](linear(w, "pre_classifier", first)))
    act = ACTIVATIONS["gelu"] if family == "electra" else np.tanh
    return linear(w, "classifier.out_proj", act(linear(w, "classifier.dense", first)))


def logits(w: Weights, config: Config, head: str, ids: list[int], types: list[int]) -> np.ndarray:
    """Rows of logits: one for sequence classification, a row per token otherwise."""
    x = hidden_states(w, config, ids, types)
    if head == "sequence-classification":
        return classify(w, config["model_type"], x[:1])
    return linear(w, "classifier" if head == "token-classification" else "qa_outputs", x)
