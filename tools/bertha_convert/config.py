"""Reads config.json: the sizes, the head and its labels, and everything that the encoder can't do yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .disentangled import flag
from .errors import fail
from .families import ANY, BASE_MODELS, EMBEDDING, FAMILIES, MASKED, NEXT_SENTENCE, NOT_RUN, PARTS, PUBLISHED, QUESTION, SEQUENCE, TOKEN
from .families import Family, Head, Size
from .load_report import some

ENDINGS = {
    "ForSequenceClassification": SEQUENCE,
    "ForTokenClassification": TOKEN,
    "ForQuestionAnswering": QUESTION,
    "ForNextSentencePrediction": NEXT_SENTENCE,
    "ForMaskedLM": MASKED,
    "LMHead": MASKED,  # NeoBERT's
}
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
POOLER_ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "gelu": "gelu", "gelu_python": "gelu"}
PROBLEM_TYPES = (None, "regression", "single_label_classification", "multi_label_classification")
LARGEST_SIZE = 2**24
LONGEST = 65536  # tokens of a sequence without a position table, which is no limit: as many as int8 sums are exact for
Config = dict[str, Any]


def completed(config: Config) -> Config:
    """config.json with what it leaves to that of another checkpoint, which it names."""
    base = config.get("base_model")
    return {**BASE_MODELS[base], **config} if isinstance(base, str) and base in BASE_MODELS else config


def family(config: Config, path: Path) -> Family:
    """The tables of the model's family. Throws unless it is an encoder that bertha runs."""
    name = config.get("model_type")
    architectures = config.get("architectures") or []
    if not isinstance(architectures, list):
        raise fail("architectures is no list", where=path, expected="a list of class names", got=architectures)
    if name is None:
        patterns = {known: rf"{family.class_name}(Model|LMHeadModel|For\w+)" for known, family in FAMILIES.items()}
        matches = (known for known, p in patterns.items() if any(re.fullmatch(p, str(c)) for c in architectures))
        name = next(matches, None)
    if not isinstance(name, str) or name not in FAMILIES:
        expected = ", ".join(FAMILIES)
        if name is None:
            got = some([str(each) for each in architectures]) or "no architectures"
            do = "A folder saved by transformers 2 or later names both; if you know the family, write its model_type."
            if isinstance(config.get("base_model"), str):
                do = f"Its encoder is that of another folder, {config['base_model']}, whose config.json has the sizes."
            raise fail("names no family (model_type)", where=path, expected=f"one of {expected}", got=got, do=do)
        if why := NOT_RUN.get(str(name)):
            raise fail(f"model_type '{name}' is not converted: it has {why}", where=path)
        do = "Other families are planned, not promised."
        raise fail(f"model_type '{name}' is not converted yet", where=path, expected=expected, do=do)
    family = next((its for of, key, value, its in PUBLISHED if of == name and _has(config, key, value)), FAMILIES[name])
    plain = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
    for key, value in (plain | family.only).items():
        if config.get(key, value) not in (value, None):
            raise fail(f"{key} is not supported", where=path, expected=value, got=config[key])
    for key, value, what in family.refused:
        if config.get(key, value) not in (value, None):
            raise fail(f"{key}: {what} is not supported", where=path, expected=value, got=config[key])
    for key, value, what in family.required:
        if config.get(key) != value:
            raise fail(f"{key}: {what} is not supported", where=path, expected=value, got=config.get(key))
    if config.get("quantization_config"):
        do = "Take the checkpoint that it was made from."
        raise fail("quantization_config: quantised checkpoints are not supported", where=path, do=do)
    if config.get("pruned_heads"):
        raise fail("pruned attention heads are not supported", where=path, got=config["pruned_heads"])
    return family


def _has(config: Config, key: str, value: object) -> bool:
    """Whether config.json has a key with a value."""
    return key in config and (value is ANY or config[key] == value)


def size_of(config: Config, size: Size, path: Path) -> int:
    """The value of a size, checked where config.json gives it."""
    given = [name for name in size.names if name in config]
    value = config[given[-1]] if given else size.default
    if given and (type(value) is not int or not size.least <= value <= LARGEST_SIZE):
        raise fail(f"{given[-1]} is no valid size", where=path, expected=f"{size.least} to {LARGEST_SIZE}", got=value)
    return size.made(value) if size.made else value


def sizes(config: Config, family: Family, path: Path) -> Config:
    """The encoder's sizes, each checked, in the order of tools/format.md."""
    result = {field: size_of(config, size, path) for field, size in family.sizes.items()}
    if result["hidden_size"] % result["num_attention_heads"] != 0:
        got = f"{result['hidden_size']} / {result['num_attention_heads']}"
        raise fail("hidden_size is no multiple of num_attention_heads", where=path, got=got)
    return result


def check_sizes(config: Config, family: Family, sizes: Config, path: Path) -> None:
    """Refuses sizes, checked one by one, that the family's layers would have other shapes with than bertha runs."""
    head_size = sizes["hidden_size"] // sizes["num_attention_heads"]
    given = config.get("head_dim")
    if family.angles and (family.head_dim if given is None else given) not in (None, head_size):
        raise fail("head_dim is not supported", where=path, expected=f"{head_size}, hidden_size / num_attention_heads", got=given)
    if family.head_dim and (scalar := config.get("query_pre_attn_scalar", family.head_dim)) != head_size:
        raise fail("query_pre_attn_scalar is not supported", where=path, expected=head_size, got=scalar)
    if family.angles and head_size % 2:
        raise fail("attention heads are turned in pairs of numbers", where=path, expected="an even size", got=head_size)
    if family.disentangled and config.get("attention_head_size", head_size) != head_size:
        what = "attention_head_size is no hidden_size / num_attention_heads"
        raise fail(what, where=path, expected=head_size, got=config["attention_head_size"])
    if family.disentangled and sizes["embedding_size"] != sizes["hidden_size"]:
        what = "embedding_size is not hidden_size: this family projects embeddings before their norm, bertha behind it only"
        raise fail(what, where=path, expected=sizes["hidden_size"], got=sizes["embedding_size"])


def layers(config: Config, family: Family, count: int, path: Path) -> list[str]:
    """What the tensors of each layer are called after, in the order in which they run: of shared ones several times."""
    if family.groups is None:
        return [f"{family.names.layers}.{index}" for index in range(count)]
    groups, size = size_of(config, family.groups.count, path), size_of(config, family.groups.size, path)
    if groups > count:
        raise fail("some groups of layers would never run", where=path, expected=f"{count} groups at most", got=groups)
    if count * size > LARGEST_SIZE:
        raise fail("there are too many layers", where=path, expected=f"{LARGEST_SIZE} at most", got=f"{count} times {size}")
    return [
        f"{family.names.layers}.{int(index / (count / groups))}.{family.groups.layers}.{inner}"
        for index in range(count)
        for inner in range(size)
    ]


def padding_id(config: Config, family: Family, sizes: Config, path: Path) -> int | None:
    """The token that positions are counted from: it takes its own row, the others those after it; None: from row 0."""
    if family.padding_id is None:
        return None
    value = config.get("pad_token_id", family.padding_id) if family.reads_padding_id else family.padding_id
    last = min(sizes["vocab_size"] - 1, sizes["max_position_embeddings"] - 2)
    if type(value) is not int or not 0 <= value <= last:
        expected = f"0 to {last}: positions are counted from it"
        raise fail("pad_token_id is no valid token id", where=path, expected=expected, got=value)
    return value


def key_value_heads(config: Config, family: Family, sizes: Config, path: Path) -> int:
    """How many heads keys and values have, each of which is that of as many attention heads."""
    heads = sizes["num_attention_heads"]
    own = family.key_value_heads
    if own is None or (own.default == 0 and config.get(own.names[0]) is None):
        return heads
    count = size_of(config, own, path)
    if heads % count:
        raise fail(f"{own.names[0]} is no divisor of num_attention_heads", where=path, expected=f"a divisor of {heads}", got=count)
    return count


def bucket_rows(config: Config, family: Family, path: Path) -> int | None:
    """The rows of the table of buckets of distances; None: the family has none."""
    if family.buckets is None:
        return None
    count = size_of(config, family.buckets.rows, path)
    if count < family.buckets.count:
        what = f"{family.buckets.rows.names[0]} is too small: transformers asks for {family.buckets.count} buckets"
        raise fail(what, where=path, expected=f"{family.buckets.count} or more", got=count)
    return count


def task_rows(config: Config, family: Family, path: Path) -> int | None:
    """The rows of the table of tasks; None: there is none."""
    if family.tasks is None or not flag(config, family.tasks.used, False, path):
        return None
    return size_of(config, family.tasks.rows, path)


def activation(config: Config, key: str | None, default: str, path: Path, known: dict[str, str] = ACTIVATIONS) -> str:
    """An activation that config.json chooses, under bertha's name."""
    name = default if key is None else config.get(key, default)
    if not isinstance(name, str) or name not in known:
        expected, do = " or ".join(known), "Any other function would give other results."
        raise fail(f"{key} is not supported", where=path, expected=expected, got=name, do=do)
    return known[name]


def biases(config: Config, family: Family, path: Path) -> dict[str, bool]:
    """Of each of PARTS whether it has biases."""
    result = {}
    for part in PARTS:
        chosen = family.biases.get(part, True)
        if not isinstance(chosen, bool):
            name, default = chosen
            chosen = config.get(name, default)
            if not isinstance(chosen, bool):
                raise fail(f"{name} is neither true nor false", where=path, got=chosen)
        result[part] = chosen
    return result | ({"norm": False} if family.rms_norms else {})


def pooling(config: Config, head: Head, path: Path) -> str | None:
    """How a head that reads one vector makes it of the hidden states; None: it takes the first."""
    if head.pooling is None:
        return None
    name, modes = head.pooling
    value = config.get(name, next(iter(modes)))
    if not isinstance(value, str) or value not in modes:
        raise fail(f"{name} is not supported", where=path, expected=" or ".join(modes), got=value)
    return modes[value]


def chosen(config: Config, family: Family, kind: str, path: Path) -> Family:
    """The family as config.json chooses between its heads' layers and activations."""
    head = family.heads.get(kind)
    if head and head.dense and head.dense.key:
        size = config.get("pooler_hidden_size", hidden := size_of(config, family.sizes["hidden_size"], path))
        if size != hidden:
            raise fail("pooler_hidden_size is another than hidden_size", where=path, expected=hidden, got=size)
        act = activation(config, head.dense.key, head.dense.activation, path, POOLER_ACTIVATIONS)
        heads = family.heads | {kind: head._replace(dense=head.dense._replace(activation=act))}
        family = family._replace(heads=heads)
    if family.new_masked and not flag(config, "legacy", True, path):
        family = family._replace(masked=family.new_masked)
    return family


def layer_norm_eps(config: Config, family: Family, path: Path) -> float:
    """The epsilon of every LayerNorm."""
    default = family.default_layer_norm_eps
    value = config.get(family.layer_norm_eps, default) if family.layer_norm_eps else default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise fail(f"{family.layer_norm_eps} is no valid number", where=path, expected="above 0, below 1", got=value)
    return float(value)


def head(config: Config, wanted: str, keep: tuple[str, ...]) -> str:
    """The head that the file gets: what was asked for, else what the architecture names."""
    if keep:
        if wanted not in ("auto", "none"):
            raise fail(f"--keep makes a custom head: it can't go with --head {wanted}", do="Leave one of them out.")
        return "custom"
    if wanted != "auto":
        return wanted
    named = [
        kind
        for name in config.get("architectures") or []
        for ending, kind in ENDINGS.items()
        if str(name).endswith(ending)
    ]
    return named[0] if named else "none"


def labels(config: Config, kind: str, path: Path) -> list[str]:
    """The label of each logit, in the order of the logits."""
    if kind in ("none", "custom", EMBEDDING, MASKED):
        return []
    if kind == QUESTION:
        return ["start", "end"]
    if kind == NEXT_SENTENCE:
        return ["IsNext", "NotNext"]  # the names of the paper: whether text_pair goes on from text
    given = config.get("id2label")
    if given is None:
        count = config.get("num_labels", 2)
        if type(count) is not int or not 1 <= count <= LARGEST_SIZE:
            raise fail("num_labels is no valid size", where=path, got=count)
        return [f"LABEL_{i}" for i in range(count)]
    try:
        by_id = {int(key): value for key, value in given.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise fail("id2label is no object from numbers to labels", where=path, got=given) from error
    if sorted(by_id) != list(range(len(given))) or not by_id:
        expected = f"each number from 0 to {len(given) - 1} once"
        raise fail("id2label does not number its labels", where=path, expected=expected, got=list(given))
    if not all(isinstance(label, str) for label in by_id.values()):
        raise fail("id2label has a label that is no string", where=path, got=given)
    return [by_id[i] for i in range(len(by_id))]


def problem_type(config: Config, kind: str, label_count: int, path: Path) -> str | None:
    """Hugging Face's problem_type, which decides between softmax, sigmoid and none."""
    value = config.get("problem_type") if kind not in (NEXT_SENTENCE, MASKED) else None
    if value not in PROBLEM_TYPES:
        raise fail("problem_type is not known", where=path, expected=", ".join(map(str, PROBLEM_TYPES)), got=value)
    if kind == SEQUENCE and value == "single_label_classification" and label_count == 1:
        raise fail("problem_type single_label_classification needs two labels or more", where=path, got=1)
    return value
