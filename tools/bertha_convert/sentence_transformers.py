"""Reads what a sentence-transformers folder has beside its encoder: the modules after it, prompts, limits.

Names, defaults and meanings are those of sentence-transformers 6.2.0, older ones those that it still reads. A module or
an option that would change vectors, and that bertha doesn't run, is refused by its name.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import layout
from .checkpoint import no_weights, read_checkpoint, weight_files
from .errors import fail
from .source import StoredTensor, load, read_json, read_optional_json, rows

Json = dict[str, Any]

MODES = {  # sentence-transformers' names and ours, in the order in which their vectors stand where none is given
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
OLD_MODES = {  # the keys of older folders, each true or false
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ACTIVATIONS = {"Identity": "none", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu"}
SCORES = {"Identity": "none", "Sigmoid": "sigmoid"}  # of cross-encoders
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
TRANSFORMER_CONFIGS = [f"sentence_{name}_config.json" for name in ("bert", "roberta", "distilbert", "camembert", "albert")]
TRANSFORMER_CONFIGS.append("sentence_xlm-roberta_config.json")
OF_TASKS = "custom_st.Transformer"  # jina-embeddings-v3's own: a Transformer that is told the task
NORM_EPS = 1e-5  # torch's
PROMPTS = {"query": "", "document": ""}  # that every model has


class Layer(NamedTuple):
    """A linear layer (weight and perhaps a bias) or a LayerNorm (weight and bias) after the pooling."""

    description: Json  # as section 3 of tools/format.md has it
    inputs: int
    weight: tuple[str, StoredTensor]
    bias: tuple[str, StoredTensor] | None

    def files(self) -> list[Path]:
        """Where its tensors are from."""
        return sorted({tensor.path for _, tensor in (self.weight, self.bias or self.weight)})


class Modules(NamedTuple):
    """What the folder asks for."""

    transformer: Path  # the folder of the encoder
    embedding: Json | None = None  # the field of section 3 of tools/format.md; None: the folder says nothing of pooling
    layers: tuple[Layer, ...] = ()
    max_length: int | None = None  # in place of the tokenizer's own limit
    lowercase: bool = False  # texts are lowered before they are tokenized
    score_function: str | None = None  # of a cross-encoder


def _class(entry: Any, where: Path) -> str:
    """The last part of a module's class name."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or not isinstance(entry.get("path"), str):
        raise fail("has an entry of no known form", where=where, expected="type and path", got=json.dumps(entry)[:80])
    if not entry["type"].startswith("sentence_transformers."):
        raise fail(f"the module {entry['type']} is code of the folder's own, which is not run", where=where)
    return str(entry["type"]).rsplit(".", 1)[-1]


def _has_tasks(folder: Path) -> bool:
    """Whether the encoder has adapters of tasks in itself."""
    return bool((read_optional_json(folder / "config.json") or {}).get("lora_adaptations"))


def _listed(folder: Path) -> list[tuple[str, Path]]:
    """The modules of modules.json in their order: class and folder."""
    path = folder / "modules.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise fail("can't be read as JSON", where=path, got=error, do="Download the file again.") from error
    if not isinstance(entries, list):
        raise fail("is no list of modules", where=path, got=type(entries).__name__)
    if entries and isinstance(entries[0], dict) and entries[0].get("type") == OF_TASKS and _has_tasks(folder):
        entries[0] = {**entries[0], "type": "sentence_transformers.models.Transformer"}
    found = [(_class(entry, path), folder / entry["path"]) for entry in entries]
    for _, place in found:
        if folder.resolve() not in (place.resolve(), *place.resolve().parents):
            raise fail("names a module outside of the folder", where=path, got=place)
    return found


def _refuse_others(config: Json, known: dict[str, Any], where: Path) -> None:
    """Throws for an option that has another value than the only one that is known."""
    for key, value in known.items():
        if config.get(key, value) != value:
            raise fail(f"{key} is not supported", where=where, expected=json.dumps(value), got=json.dumps(config[key]))


def _size(config: Json, names: tuple[str, ...], where: Path) -> int:
    """A size of a module."""
    value = next((config[name] for name in names if name in config), None)
    if type(value) is not int or not 1 <= value <= 2**24:
        raise fail(f"{names[0]} is no valid size", where=where, expected="1 to 2^24", got=value)
    return value


def _pooling(place: Path, hidden_size: int) -> tuple[list[str], bool]:
    """The modes of a Pooling module, and whether prompts are pooled too."""
    path = place / "config.json"
    config = read_json(path)
    names = config.get("pooling_mode")
    if names is None:
        names = [mode for key, mode in OLD_MODES.items() if config.get(key) is True] or ["mean"]
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or any(name not in list(MODES) for name in names):
        got = json.dumps(config.get("pooling_mode"))
        raise fail("pooling_mode is not supported", where=path, expected=", ".join(MODES), got=got)
    size = _size(config, ("embedding_dimension", "word_embedding_dimension"), path)
    if size != hidden_size:
        raise fail("pools vectors of another size than the encoder's", where=path, expected=hidden_size, got=size)
    return [MODES[name] for name in names], config.get("include_prompt", True) is not False


def _torch_class(name: Any, known: dict[str, str], what: str, where: Path) -> str:
    """Our name of a class of torch."""
    last = str(name).rsplit(".", 1)[-1]
    if not str(name).startswith("torch.nn.") or last not in known:
        raise fail(f"{what} is not supported", where=where, expected=f"torch.nn's {', '.join(known)}", got=name)
    return known[last]


def _weights(place: Path) -> dict[str, StoredTensor]:
    """The tensors of a module."""
    files = weight_files(place, None)
    if not files:
        raise no_weights(place)
    return read_checkpoint(files)


def _take(tensors: dict[str, StoredTensor], name: str, shape: tuple[int, ...], place: Path) -> tuple[str, StoredTensor]:
    """One of them, its shape checked."""
    if name not in tensors:
        raise fail(f"tensor '{name}' is missing", where=place, expected=f"shape {list(shape)}")
    if tensors[name].shape != shape:
        got = list(tensors[name].shape)
        raise fail(f"tensor '{name}' has another shape than config.json says", where=place, expected=list(shape), got=got)
    return name, tensors[name]


def _dense(place: Path, inputs: int) -> Layer:
    """A Dense module."""
    path = place / "config.json"
    config = read_json(path)
    names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    _refuse_others({key: value for key, value in config.items() if value is not None}, names | {"use_residual": False}, path)
    given, outputs = _size(config, ("in_features",), path), _size(config, ("out_features",), path)
    if given != inputs:
        raise fail("in_features is not the size of what comes before", where=path, expected=inputs, got=given)
    name = config.get("activation_function", "torch.nn.modules.activation.Tanh")
    activation = "none" if name is None else _torch_class(name, ACTIVATIONS, "activation_function", path)
    tensors = _weights(place)
    bias = config.get("bias", True) is not False
    found = {"kind": "dense", "outputs": outputs, "activation": activation, "bias": bias}
    taken_bias = _take(tensors, "linear.bias", (outputs,), place) if bias else None
    return Layer(found, inputs, _take(tensors, "linear.weight", (outputs, inputs), place), taken_bias)


def _norm(place: Path, inputs: int) -> Layer:
    """A LayerNorm module."""
    path = place / "config.json"
    size = _size(read_json(path), ("dimension",), path)
    if size != inputs:
        raise fail("dimension is not the size of what comes before", where=path, expected=inputs, got=size)
    tensors = _weights(place)
    weight, bias = (_take(tensors, f"norm.{part}", (inputs,), place) for part in ("weight", "bias"))
    return Layer({"kind": "norm", "eps": NORM_EPS}, inputs, weight, bias)


def _limits(place: Path) -> tuple[int | None, bool]:
    """max_seq_length and do_lower_case of the transformer module."""
    path = next((place / name for name in TRANSFORMER_CONFIGS if (place / name).is_file()), None)
    if path is None:
        return None, False
    config = read_json(path)
    _refuse_others(config, {"query_length": None, "document_length": None, "query_expansion": None}, path)
    limit, lower = config.get("max_seq_length"), config.get("do_lower_case", False)
    if limit is not None and (type(limit) is not int or not 1 <= limit <= 2**24):
        raise fail("max_seq_length is no number of tokens", where=path, expected="1 or more, or null", got=limit)
    if lower not in (True, False, None):
        raise fail("do_lower_case is neither true nor false", where=path, got=json.dumps(lower))
    return limit, lower is True


def _prompts(folder: Path) -> Json:
    """The prompts, and how vectors are compared: fields of the field `embedding`."""
    path = folder / "config_sentence_transformers.json"
    config = read_optional_json(path) or {}
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, (str, type(None))) for text in prompts.values()):
        raise fail("prompts is no object of strings", where=path, got=json.dumps(prompts)[:80])
    prompts = PROMPTS | {name: text or "" for name, text in prompts.items()}
    if default is not None and default not in list(prompts):
        got = json.dumps(default)
        raise fail("default_prompt_name names no prompt", where=path, expected=", ".join(prompts), got=got)
    similarity = config.get("similarity_fn_name") or "cosine"
    if similarity not in SIMILARITIES:
        got = json.dumps(similarity)
        raise fail("similarity_fn_name is not known", where=path, expected=", ".join(SIMILARITIES), got=got)
    return {"prompts": prompts, "default_prompt": default, "similarity": similarity}


def _score_function(folder: Path, config: Json) -> str | None:
    """What a cross-encoder makes its score by, where the folder says so."""
    of_folder = (read_optional_json(folder / "config_sentence_transformers.json") or {}).get("activation_fn")
    own = config.get("sentence_transformers")
    name = own.get("activation_fn") if isinstance(own, dict) else None
    name = name or config.get("sbert_ce_default_activation_function") or of_folder
    return None if name is None else _torch_class(name, SCORES, "the score's activation function", folder)


def has_modules(folder: Path) -> bool:
    """Whether sentence-transformers saved the folder as a pipeline."""
    return (folder / "modules.json").exists()


def read(folder: Path) -> Modules:
    """What such a folder asks for."""
    listed = _listed(folder)
    if not listed or listed[0][0] != "Transformer":
        got = listed[0][0] if listed else "no modules"
        raise fail("doesn't begin with a Transformer", where=folder / "modules.json", got=got)
    transformer = listed[0][1]
    config = read_json(transformer / "config.json")
    limit, lower = _limits(transformer)
    if len(listed) == 1:
        return Modules(transformer, max_length=limit, lowercase=lower, score_function=_score_function(folder, config))
    embedding, layers = _embedding(folder / "modules.json", listed[1:], _hidden_size(transformer, config))
    return Modules(transformer, embedding | _prompts(folder), tuple(layers), limit, lower)


def read_cross_encoder(folder: Path, config: Json) -> Modules:
    """What a folder of a model with one output may say of its scores."""
    return Modules(folder, score_function=_score_function(folder, config))


def _hidden_size(transformer: Path, config: Json) -> int:
    """The encoder's."""
    from . import config as model_config

    path = transformer / "config.json"
    return model_config.sizes(config, model_config.family(config, path), path)["hidden_size"]


def _embedding(where: Path, listed: list[tuple[str, Path]], hidden_size: int) -> tuple[Json, list[Layer]]:
    """What the modules after the transformer make of its hidden states."""
    (first, place), *others = listed
    if first != "Pooling":
        do = "bertha pools first, then come layers and a Normalize."
        raise fail(f"the module {first} is not supported", where=where, expected="Pooling after the Transformer", do=do)
    modes, include_prompt = _pooling(place, hidden_size)
    layers: list[Layer] = []
    size, normalize = len(modes) * hidden_size, False
    for name, place in others:
        if normalize and name in ("Dense", "LayerNorm"):
            raise fail(f"the module {name} comes after Normalize", where=where, expected="Normalize last")
        if name == "Normalize":
            normalize = True
        elif name in ("Dense", "LayerNorm"):
            layers.append((_dense if name == "Dense" else _norm)(place, size))
            size = layers[-1].description.get("outputs", size)
        elif name != "Dropout":  # which does nothing when a model runs
            expected = "Pooling, Dense, LayerNorm, Normalize"
            raise fail(f"the module {name} is not supported", where=where, expected=expected, got=name)
    embedding = {
        "modes": modes,
        "layers": [layer.description for layer in layers],
        "include_prompt": include_prompt,
        "normalize": normalize,
    }
    return embedding, layers


def plain(pooling: str, normalize: bool) -> Json:
    """The field `embedding` of an encoder of no such folder."""
    embedding = {"modes": [pooling], "layers": [], "include_prompt": True, "normalize": normalize}
    return embedding | {"prompts": PROMPTS, "default_prompt": None, "similarity": "cosine"}


def tensors(layers: Sequence[Layer]) -> layout.Tensors:
    """The tensors of the layers."""
    result: layout.Tensors = {}
    for index, layer in enumerate(layers):
        name = f"head.{index}"
        bias = load(*layer.bias) if layer.bias else None
        if layer.description["kind"] == "norm":
            result[f"{name}.weight"] = layout.stored(layout.vector(load(*layer.weight)))
            result[f"{name}.bias"] = layout.stored(layout.vector(bias))
            continue
        outputs = layer.description["outputs"]
        weight = layout.Rows(outputs, layer.inputs, functools.partial(rows, *layer.weight, layout.PANEL))
        made = layout.linear(name, weight, np.zeros(outputs, np.float32) if bias is None else bias, "float32")
        if bias is None:
            del made[f"{name}.bias"]
        result |= made
    return result


def _pooled(mode: str, hidden: np.ndarray) -> np.ndarray:
    """What a mode makes of hidden states [n, H]."""
    count = len(hidden)
    weights = np.arange(1, count + 1)[:, None]
    rules: dict[str, Callable[[], np.ndarray]] = {
        "first": lambda: hidden[0],
        "last": lambda: hidden[-1],
        "max": lambda: hidden.max(axis=0),
        "mean": lambda: hidden.sum(axis=0) / count,
        "mean_sqrt_len": lambda: hidden.sum(axis=0) / math.sqrt(count),
        "weighted_mean": lambda: (hidden * weights).sum(axis=0) / weights.sum(),
    }
    return rules[mode]()


def vector(embedding: Json, layers: Sequence[Layer], hidden: np.ndarray) -> np.ndarray:
    """The embedding of a text without a prompt, of its hidden states: for the self-test, in double."""
    hidden = hidden.astype(np.float64)
    values = np.concatenate([_pooled(mode, hidden) for mode in embedding["modes"]])
    functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "none": lambda x: x,
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
        "gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
        "silu": lambda x: x / (1 + np.exp(-x)),
    }
    for layer in layers:
        weight = load(*layer.weight).astype(np.float64)
        bias = load(*layer.bias).astype(np.float64) if layer.bias else 0.0
        if layer.description["kind"] == "norm":
            values = (values - values.mean()) / np.sqrt(values.var() + NORM_EPS) * weight + bias
        else:
            values = functions[layer.description["activation"]](weight @ values + bias)
    if embedding["normalize"]:
        values = values / max(np.linalg.norm(values), 1e-12)
    return values.astype(np.float32)
