"""Small Hugging Face folders with random weights, made without torch."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b", "ab", ".", "\u00e9", "e"]
CONFIG: Json = {
    "model_type": "bert",
    "vocab_size": 17,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
}
ARCHITECTURES = {
    "sequence-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "question-answering": "BertForQuestionAnswering",
    "none": "BertModel",
}
MASKED_LM = "masked-lm"
MASKED_NAMES = {  # dense layer, norm, decoder, bias
    "bert": tuple(f"cls.predictions.{name}" for name in ("transform.dense", "transform.LayerNorm", "decoder", "bias")),
    **dict.fromkeys(
        ("roberta", "xlm-roberta", "camembert", "mpnet"),
        ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias")
    ),
    "distilbert": ("vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"),
    "electra": (
        "generator_predictions.dense",
        "generator_predictions.LayerNorm",
        "generator_lm_head",
        "generator_lm_head.bias",
    ),
    "deberta-v2": tuple(f"cls.predictions.{name}" for name in ("transform.dense", "transform.LayerNorm", "decoder", "bias")),
    "albert": tuple(f"predictions.{name}" for name in ("dense", "LayerNorm", "decoder", "bias")),
}
MASKED_NAMES |= {"deberta": MASKED_NAMES["bert"], "megatron-bert": MASKED_NAMES["bert"], "ernie": MASKED_NAMES["bert"], "roberta-prelayernorm": MASKED_NAMES["roberta"]}
DISTILBERT_KEYS = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}
FAMILIES: dict[str, Json] = {  # model_type -> CONFIG as the family has it, under BERT's keys
    "bert": CONFIG,
    "roberta": CONFIG | {"model_type": "roberta", "type_vocab_size": 1, "max_position_embeddings": 42},
    "xlm-roberta": CONFIG | {"model_type": "xlm-roberta", "type_vocab_size": 1, "max_position_embeddings": 42},
    "camembert": CONFIG | {"model_type": "camembert", "type_vocab_size": 1, "max_position_embeddings": 42},
    "distilbert": CONFIG | {"model_type": "distilbert", "type_vocab_size": 0},
    "electra": CONFIG | {"model_type": "electra", "embedding_size": 8},
    "mpnet": CONFIG
    | {"model_type": "mpnet", "type_vocab_size": 0, "max_position_embeddings": 98, "relative_attention_num_buckets": 33},
    "deberta-v2": CONFIG
    | {
        "model_type": "deberta-v2",
        "relative_attention": True,
        "pos_att_type": "C2P|p2c",
        "position_buckets": 4,
        "max_relative_positions": 9,
        "norm_rel_ebd": "layer_norm",
    },
    "deberta": CONFIG
    | {"model_type": "deberta", "relative_attention": True, "pos_att_type": "C2P|p2c", "max_relative_positions": 5},
    "roberta-prelayernorm": CONFIG
    | {"model_type": "roberta-prelayernorm", "type_vocab_size": 1, "max_position_embeddings": 42},
    "megatron-bert": CONFIG | {"model_type": "megatron-bert"},
    "ernie": CONFIG | {"model_type": "ernie"},
    "albert": CONFIG
    | {
        "model_type": "albert",
        "embedding_size": 8,
        "num_hidden_layers": 3,
        "num_hidden_groups": 2,
        "inner_group_num": 2,
    },
}
CLASSES = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "distilbert": "DistilBert",
    "electra": "Electra",
    "albert": "Albert",
    "mpnet": "MPNet",
    "deberta-v2": "DebertaV2",
    "deberta": "Deberta",
    "roberta-prelayernorm": "RobertaPreLayerNorm",
    "megatron-bert": "MegatronBert",
    "ernie": "Ernie",
}
PREFIXES = dict.fromkeys(("roberta", "xlm-roberta", "camembert"), "roberta.") | dict.fromkeys(("deberta", "deberta-v2"), "deberta.") | {
    name: f"{name}." for name in ("bert", "distilbert", "electra", "albert", "mpnet", "ernie")
} | {"roberta-prelayernorm": "roberta_prelayernorm.", "megatron-bert": "bert."}
DISTILBERT_NAMES = {
    "encoder.layer": "transformer.layer",
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
DEBERTA_V2_NAMES = {f"attention.self.{part}": f"attention.self.{part}_proj" for part in ("query", "key", "value")}
MPNET_NAMES = {
    "attention.self.query": "attention.attn.q",
    "attention.self.key": "attention.attn.k",
    "attention.self.value": "attention.attn.v",
    "attention.output.dense": "attention.attn.o",
    "attention.output.LayerNorm": "attention.LayerNorm",
}
PRELAYERNORM_NAMES = {
    "attention.output.LayerNorm": "attention.LayerNorm",
    **{f"encoder.layer.{index}.output.LayerNorm": f"encoder.layer.{index}.intermediate.LayerNorm" for index in range(9)},
}
MEGATRON_NAMES = {
    "attention.output.LayerNorm": "attention.ln",
    "output.LayerNorm": "ln",
}
ALBERT_NAMES = {
    "embeddings_project": "encoder.embedding_hidden_mapping_in",
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.dense",
    "attention.output.LayerNorm": "attention.LayerNorm",
    "intermediate.dense": "ffn",
    "output.dense": "ffn_output",
    "output.LayerNorm": "full_layer_layer_norm",
    "pooler.dense": "pooler",
}
OWN_NAMES = {
    "distilbert": DISTILBERT_NAMES,
    "albert": ALBERT_NAMES,
    "mpnet": MPNET_NAMES,
    "deberta-v2": DEBERTA_V2_NAMES,
    "roberta-prelayernorm": PRELAYERNORM_NAMES,
    "megatron-bert": MEGATRON_NAMES,
}


def layers(config: Json) -> list[str]:
    """What the tensors of each layer are called after."""
    if config["model_type"] != "albert":
        return [f"encoder.layer.{index}" for index in range(config["num_hidden_layers"])]
    groups, inner = range(config["num_hidden_groups"]), range(config["inner_group_num"])
    return [f"encoder.albert_layer_groups.{group}.albert_layers.{index}" for group in groups for index in inner]


def shapes(config: Json, head: str, labels: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that transformers saves for a model, by its name without the prefix."""
    hidden, inner, family = config["hidden_size"], config["intermediate_size"], config["model_type"]
    width = config.get("embedding_size", hidden)
    result: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], width),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], width),
    }
    norms = []
    dense = {}
    if family == "mpnet":
        result["encoder.relative_attention_bias.weight"] = (config["relative_attention_num_buckets"], config["num_attention_heads"])
    if family in ("distilbert", "mpnet"):
        del result["embeddings.token_type_embeddings.weight"]
    if width != hidden or family == "albert":
        dense["embeddings_project"] = (hidden, width)
    for layer in layers(config):
        dense |= {f"{layer}.attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
        dense |= {f"{layer}.attention.output.dense": (hidden, hidden), f"{layer}.intermediate.dense": (inner, hidden)}
        dense[f"{layer}.output.dense"] = (hidden, inner)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        if family == "deberta-v2":
            dense |= {f"{layer}.attention.self.pos_{part}_proj": (hidden, hidden) for part in ("key", "query")}
        if family == "deberta":
            del dense[f"{layer}.attention.self.query"], dense[f"{layer}.attention.self.key"], dense[f"{layer}.attention.self.value"]
            dense[f"{layer}.attention.self.pos_q_proj"] = (hidden, hidden)
            result |= {f"{layer}.attention.self.{name}_bias": (hidden,) for name in "qv"}
            result |= {f"{layer}.attention.self.in_proj.weight": (3 * hidden, hidden)}
            result |= {f"{layer}.attention.self.pos_proj.weight": (hidden, hidden)}
    if family == "deberta":
        result["encoder.rel_embeddings.weight"] = (2 * config["max_relative_positions"], hidden)
    if family == "deberta-v2":
        result["encoder.rel_embeddings.weight"] = (2 * config["position_buckets"], hidden)
        norms.append("encoder.LayerNorm")
    if family in ("roberta-prelayernorm", "megatron-bert"):
        norms.append("LayerNorm" if family == "roberta-prelayernorm" else "encoder.ln")
    bert = family in ("bert", "albert", "deberta", "deberta-v2", "megatron-bert", "ernie")
    if (head == "none" and family not in ("distilbert", "electra", "deberta", "deberta-v2")) or (head == "sequence-classification" and bert):
        dense["pooler.dense"] = (hidden, hidden)
    if head == "token-classification" or (head == "sequence-classification" and (bert or family == "distilbert")):
        dense["classifier"] = (labels, hidden)
    elif head == "sequence-classification":
        dense |= {"classifier.dense": (hidden, hidden), "classifier.out_proj": (labels, hidden)}
    if head == "sequence-classification" and family == "distilbert":
        dense["pre_classifier"] = (hidden, hidden)
    if head == "question-answering":
        dense["qa_outputs"] = (2, hidden)
    for name, shape in dense.items():
        result |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        result |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    if config.get("use_task_id"):
        result["embeddings.task_type_embeddings.weight"] = (config.get("task_type_vocab_size", 3), width)
    if family != "megatron-bert":
        result |= {f"embeddings.LayerNorm.{part}": (width,) for part in ("weight", "bias")}
    for old, new in OWN_NAMES.get(family, {}).items():
        result = {name.replace(f"{old}.", f"{new}."): shape for name, shape in result.items()}
    if head == MASKED_LM:
        dense_name, norm, _, bias = MASKED_NAMES[family]
        result |= {f"{dense_name}.weight": (width, hidden), f"{dense_name}.bias": (width,), bias: (config["vocab_size"],)}
        result |= {f"{norm}.{part}": (width,) for part in ("weight", "bias")}
    return result


def weights(config: Json, head: str = "none", labels: int = 2, seed: int = 0) -> Tensors:
    """Random weights under the names that transformers gives them: with a prefix where the model has a head."""
    rng = np.random.default_rng(seed)
    heads = ("pooler.",) if config["model_type"] in ("deberta", "deberta-v2") else ()
    heads += ("classifier", "qa_outputs", "pre_classifier", "cls.", "lm_head", "vocab_", "generator_", "predictions.")
    prefix = "" if head == "none" else PREFIXES[config["model_type"]]
    result = {
        (name if name.startswith(heads) else prefix + name): rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in shapes(config, head, labels).items()
    }
    if config["model_type"] == "mpnet":  # of buckets that no distance is in a file has nothing
        result[f"{prefix}encoder.relative_attention_bias.weight"][[16, *range(32, config["relative_attention_num_buckets"])]] = 0
    return result


def write_safetensors(path: Path, tensors: Tensors, dtype: str = "F32") -> None:
    """Writes a checkpoint in any storage type, bfloat16 too (cut off, not rounded)."""
    header, data = {}, b""
    for name, values in tensors.items():
        if dtype == "BF16":
            raw = (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        else:
            raw = values.astype({"F32": "<f4", "F16": "<f2", "I64": "<i8"}[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    write_raw(path, json.dumps(header).encode(), data)


def write_raw(path: Path, header: bytes, data: bytes = b"") -> None:
    """Writes a safetensors file with any header."""
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(value), encoding="utf-8")


def write_folder(folder: Path, head: str = "none", labels: int = 2, family: str = "bert", **config: Any) -> Tensors:
    """Writes a whole folder and returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    architecture = CLASSES[family] + (ARCHITECTURES | {MASKED_LM: "ForMaskedLM"})[head].removeprefix("Bert")
    whole = {**FAMILIES[family], "architectures": [architecture], **config}
    if head.endswith("classification") and "id2label" not in config:
        whole["id2label"] = {str(index): f"label {index}" for index in range(labels)}
    keys = DISTILBERT_KEYS if family == "distilbert" else {}
    write_json(folder / "config.json", {keys.get(key, key): value for key, value in whole.items()})
    options = {"do_lower_case": False, "model_max_length": 32, "tokenizer_class": "BertTokenizer"}
    write_json(folder / "tokenizer_config.json", options)
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    tensors = weights(FAMILIES[family] | config, head, labels)
    write_safetensors(folder / "model.safetensors", tensors)
    return tensors
