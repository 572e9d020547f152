"""Turns the tensors of a BERT checkpoint into the canonical ones of tools/format.md section 5."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import layout
from .config import Config
from .errors import fail
from .load_report import check_trained
from .source import StoredTensor, load

UNUSED_PREFIXES = ("cls.", "pooler.", "classifier.", "qa_outputs.")  # of other heads
UNUSED_NAMES = ("embeddings.position_ids",)
POOLER = ("pooler.dense.weight", "pooler.dense.bias")
HEAD_TENSORS = {
    "sequence-classification": "classifier",
    "token-classification": "classifier",
    "question-answering": "qa_outputs",
}


class Encoder(NamedTuple):
    """What a checkpoint became."""

    tensors: layout.Tensors
    pooler: str | None
    renamed: dict[str, str]  # name in the checkpoint -> name that the reference model has
    left_out: list[str]
    missing: list[str]  # weights that the reference model has and the checkpoint doesn't


def reference_name(name: str) -> str:
    """A tensor's name in transformers' BertModel, without the prefixes and old words that checkpoints carry."""
    name = name.removeprefix("module.").removeprefix("bert.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


class Checkpoint:
    """The tensors of a checkpoint under their reference names, each taken once."""

    def __init__(self, stored: dict[str, StoredTensor]) -> None:
        self.names: dict[str, str] = {}  # reference name -> name in the checkpoint
        for name in stored:
            reference = reference_name(name)
            if reference in self.names:
                other = self.names[reference]
                raise fail("two tensors mean the same", got=f"'{other}' and '{name}'", do="Remove one of them.")
            self.names[reference] = name
        self.stored = stored
        self.taken: dict[str, str] = {}

    def has(self, reference: str) -> bool:
        """Whether the checkpoint has a tensor."""
        return reference in self.names

    def take(self, reference: str, *shape: int) -> np.ndarray:
        """A tensor's values in float32, its shape checked."""
        if reference not in self.names:
            do = "The checkpoint is not complete, or its head is another one: see --head."
            raise fail(f"tensor '{reference}' is missing", expected=f"shape {list(shape)}", do=do)
        name = self.names[reference]
        tensor = self.stored[name]
        if tensor.shape != shape:
            where = f"{tensor.path}: tensor '{name}'"
            do = "config.json and the weights don't belong together."
            raise fail(
                "has another shape than config.json asks for",
                where=where,
                expected=list(shape),
                got=list(tensor.shape),
                do=do,
            )
        self.taken[reference] = name
        return load(name, tensor)


def _layer(source: Checkpoint, index: int, config: Config, precision: str) -> layout.Tensors:
    """The tensors of one encoder layer."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    layer = f"encoder.layer.{index}"

    def dense(name: str, outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        return source.take(f"{layer}.{name}.weight", outputs, inputs), source.take(f"{layer}.{name}.bias", outputs)

    def norm(target: str, name: str) -> layout.Tensors:
        return {
            f"{target}.{part}": layout.vector(source.take(f"{layer}.{name}.{part}", hidden))
            for part in ("weight", "bias")
        }

    projections = [dense(f"attention.self.{name}", hidden, hidden) for name in ("query", "key", "value")]
    weight, bias = (layout.by_attention_head(*part, heads) for part in zip(*projections))
    return {
        **layout.linear(f"{layer}.attention.query_key_value", weight, bias, precision),
        **layout.linear(f"{layer}.attention.output", *dense("attention.output.dense", hidden, hidden), precision),
        **norm(f"{layer}.attention.output.norm", "attention.output.LayerNorm"),
        **layout.linear(f"{layer}.intermediate", *dense("intermediate.dense", inner, hidden), precision),
        **layout.linear(f"{layer}.output", *dense("output.dense", hidden, inner), precision),
        **norm(f"{layer}.output.norm", "output.LayerNorm"),
    }


def _embeddings(source: Checkpoint, config: Config, precision: str) -> layout.Tensors:
    """The three tables and the LayerNorm after them."""
    hidden = config["hidden_size"]
    tables = (
        ("word", "word_embeddings", "vocab_size"),
        ("token_type", "token_type_embeddings", "type_vocab_size"),
        ("position", "position_embeddings", "max_position_embeddings"),
    )
    tensors: layout.Tensors = {}
    for new, old, count in tables:
        values = source.take(f"embeddings.{old}.weight", config[count], hidden)
        tensors |= layout.table(f"embeddings.{new}", values, precision)
    for part in ("weight", "bias"):
        tensors[f"embeddings.norm.{part}"] = layout.vector(source.take(f"embeddings.LayerNorm.{part}", hidden))
    return tensors


def _head(source: Checkpoint, kind: str, label_count: int, hidden: int) -> layout.Tensors:
    """The last linear layer, as rows."""
    name = HEAD_TENSORS[kind]
    if source.has(f"{name}.weight") and (found := source.stored[source.names[f"{name}.weight"]].shape)[:1] != (
        label_count,
    ):
        do = "Correct id2label in config.json: it must name each output of the model once."
        raise fail(
            f"'{name}.weight' has another number of rows than there are labels",
            expected=label_count,
            got=list(found),
            do=do,
        )
    return {
        "head.output.weight": layout.rows(source.take(f"{name}.weight", label_count, hidden)),
        "head.output.bias": layout.vector(source.take(f"{name}.bias", label_count)),
    }


def _kept(source: Checkpoint, prefixes: tuple[str, ...], tensors: layout.Tensors) -> layout.Tensors:
    """A custom head's tensors under the names that they have in the checkpoint."""
    result: layout.Tensors = {}
    for prefix in prefixes:
        names = sorted(name for name in source.stored if name.startswith(prefix))
        if not names:
            raise fail(f"--keep {prefix}: no tensor's name begins so", got=f"{len(source.stored)} tensors")
        for name in names:
            reference = reference_name(name)
            if reference in source.taken or name in tensors:
                raise fail(f"--keep {prefix}: tensor '{name}' is part of the encoder", do="Give a longer prefix.")
            result[name] = layout.kept(name, load(name, source.stored[name]))
    source.taken |= {reference_name(name): name for name in result}
    return result


def convert(stored: dict[str, StoredTensor], config: Config, where: Path, keep: tuple[str, ...]) -> Encoder:
    """The canonical tensors of a BERT, by a config that is already in the form of tools/format.md."""
    source = Checkpoint(stored)
    kind, hidden, precision = config["head"], config["hidden_size"], config["precision"]
    tensors = _embeddings(source, config, precision)
    for index in range(config["num_hidden_layers"]):
        tensors |= _layer(source, index, config, precision)
    if kind in HEAD_TENSORS:
        needed = list(POOLER) if kind == "sequence-classification" else []
        needed += [f"{HEAD_TENSORS[kind]}.{part}" for part in ("weight", "bias")]
        check_trained(kind, needed, source.names, where)
    pooled = kind == "sequence-classification" or (kind in ("none", "custom") and source.has("pooler.dense.weight"))
    missing = [] if pooled or kind in HEAD_TENSORS else list(POOLER)
    if pooled:
        weight = source.take("pooler.dense.weight", hidden, hidden)
        tensors |= layout.linear("pooler.dense", weight, source.take("pooler.dense.bias", hidden), "float32")
    if kind == "custom":
        tensors |= _kept(source, keep, tensors)
    elif kind != "none":
        tensors |= _head(source, kind, len(config["labels"]), hidden)
    left = {reference: name for reference, name in source.names.items() if reference not in source.taken}
    unknown = [name for ref, name in left.items() if not ref.startswith(UNUSED_PREFIXES) and ref not in UNUSED_NAMES]
    if unknown:
        got = ", ".join(f"'{name}'" for name in unknown[:5]) + (
            f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        )
        do = "If they are a head of your own, carry them by --keep PREFIX; a wrong num_hidden_layers also shows so."
        raise fail("the checkpoint has tensors that a BERT doesn't", where=where, got=got, do=do)
    renamed = {name: ref for ref, name in source.taken.items() if name not in tensors and name != ref}
    return Encoder(tensors, "tanh" if pooled else None, renamed, sorted(left.values()), missing)
