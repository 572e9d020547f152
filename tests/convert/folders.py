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


def shapes(config: Json, head: str, labels: int) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that transformers saves for a model, by its name without the prefix."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    result: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
    }
    norms = ["embeddings.LayerNorm"]
    dense = {}
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        dense |= {f"{layer}.attention.self.{part}": (hidden, hidden) for part in ("query", "key", "value")}
        dense |= {f"{layer}.attention.output.dense": (hidden, hidden), f"{layer}.intermediate.dense": (inner, hidden)}
        dense[f"{layer}.output.dense"] = (hidden, inner)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    if head in ("sequence-classification", "none"):
        dense["pooler.dense"] = (hidden, hidden)
    if head in ("sequence-classification", "token-classification"):
        dense["classifier"] = (labels, hidden)
    if head == "question-answering":
        dense["qa_outputs"] = (2, hidden)
    for name, shape in dense.items():
        result |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        result |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return result


def weights(config: Json, head: str = "none", labels: int = 2, seed: int = 0) -> Tensors:
    """Random weights under the names that transformers gives them: prefix `bert.` where the model has a head."""
    rng = np.random.default_rng(seed)
    heads = ("classifier", "qa_outputs")
    prefix = "" if head == "none" else "bert."
    return {
        (name if name.startswith(heads) else prefix + name): rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in shapes(config, head, labels).items()
    }


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


def write_folder(folder: Path, head: str = "none", labels: int = 2, **config: Any) -> Tensors:
    """Writes a whole folder and returns its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**CONFIG, "architectures": [ARCHITECTURES[head]], **config}
    if head.endswith("classification") and "id2label" not in config:
        whole["id2label"] = {str(index): f"label {index}" for index in range(labels)}
    write_json(folder / "config.json", whole)
    write_json(folder / "tokenizer_config.json", {"do_lower_case": False, "model_max_length": 32})
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    tensors = weights(whole, head, labels)
    write_safetensors(folder / "model.safetensors", tensors)
    return tensors
