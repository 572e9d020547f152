"""Turns the tensors of a checkpoint into the canonical ones of tools/format.md section 5, by its family's tables."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import layout
from .config import Config
from .errors import fail
from .families import EMBEDDING, MASKED, Buckets, Dense, Family, Head, MaskedHead, unwrapped
from .load_report import check_trained
from .source import AnyTensor, load, rows

BLOCK = 1 << 20  # numbers of a matrix that are in memory at a time
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # of old checkpoints, no weights
WORD = "embeddings.word_embeddings.weight"
LOSSES = ("loss_fct.", "loss_fn.", "loss.", "criterion.")  # weights of classes, which a loss is made with


class Encoder(NamedTuple):
    """What a checkpoint became."""

    tensors: layout.Tensors
    pooler: str | None
    renamed: dict[str, str]  # name in the checkpoint -> name that the reference model has
    left_out: list[str]
    missing: list[str]  # weights that the reference model has and the checkpoint doesn't
    tied: bool = True  # the decoder of a masked-lm head is the word table


def reference_name(name: str, family: Family) -> str:
    """A tensor's name in transformers' encoder, without the prefixes and old words that checkpoints carry."""
    name = unwrapped(name)[0].removeprefix(family.prefix)
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


class Checkpoint:
    """The tensors of a checkpoint under their reference names, each taken once."""

    def __init__(self, stored: dict[str, AnyTensor], family: Family) -> None:
        self.family = family
        self.names: dict[str, str] = {}  # reference name -> name in the checkpoint
        for name in stored:
            reference = reference_name(name, family)
            if reference in self.names:
                other = self.names[reference]
                raise fail("two tensors mean the same", got=f"'{other}' and '{name}'", do="Remove one of them.")
            self.names[reference] = name
        self.stored = stored
        self.taken: dict[str, str] = {}

    def has(self, reference: str) -> bool:
        """Whether the checkpoint has a tensor."""
        return reference in self.names

    def find(self, reference: str, *shape: int) -> tuple[str, AnyTensor]:
        """A tensor and its name in the checkpoint, its shape checked; it is taken by that."""
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
        return name, tensor

    def take_vector(self, reference: str, size: int) -> np.ndarray:
        """A vector's values in float32."""
        return load(*self.find(reference, size))

    def take_rows(self, reference: str, count: int, width: int) -> Callable[[int], Iterator[np.ndarray]]:
        """A matrix, by its rows in float32, so many at a time."""
        name, tensor = self.find(reference, count, width)
        return lambda step: rows(name, tensor, step)

    def take_matrix(self, reference: str, count: int, width: int) -> layout.Rows:
        """A matrix, in blocks of at most BLOCK numbers, or of PANEL rows."""
        step = layout.PANEL * max(1, BLOCK // (layout.PANEL * width))
        by_rows = self.take_rows(reference, count, width)
        return layout.Rows(count, width, lambda: by_rows(step))

    def take_linear(self, name: str, outputs: int, inputs: int) -> tuple[layout.Rows, np.ndarray]:
        """A linear layer's weight and bias."""
        return self.take_matrix(f"{name}.weight", outputs, inputs), self.take_vector(f"{name}.bias", outputs)

    def take_norm(self, target: str, name: str, size: int) -> layout.Tensors:
        """A LayerNorm's two vectors, under their canonical names."""
        found = {part: layout.vector(self.take_vector(f"{name}.{part}", size)) for part in ("weight", "bias")}
        return {f"{target}.{part}": layout.stored(values) for part, values in found.items()}


def _layer(source: Checkpoint, index: int, old: str, config: Config, precision: str) -> layout.Tensors:
    """The tensors of one encoder layer, which the checkpoint has under the name `old`."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    layer, names = f"encoder.layer.{index}", source.family.names
    matrices = [f"{old}.{name}" for name in (names.query, names.key, names.value)]
    weights = [source.take_rows(f"{name}.weight", hidden, hidden) for name in matrices]
    biases = [np.split(source.take_vector(f"{name}.bias", hidden), heads) for name in matrices]
    weight = layout.by_attention_head(weights, heads, hidden)
    bias = np.concatenate([layout.attention_head(*parts) for parts in zip(*biases)])
    tensors = layout.linear(f"{layer}.attention.query_key_value", weight, bias, precision)
    for target, name, norm, outputs, inputs in (
        ("attention.output", names.attention_output, names.attention_norm, hidden, hidden),
        ("intermediate", names.intermediate, None, inner, hidden),
        ("output", names.output, names.output_norm, hidden, inner),
    ):
        values = source.take_linear(f"{old}.{name}", outputs, inputs)
        tensors |= layout.linear(f"{layer}.{target}", *values, precision)
        if norm:
            tensors |= source.take_norm(f"{layer}.{target}.norm", f"{old}.{norm}", hidden)
    return tensors


def _embeddings(source: Checkpoint, config: Config, precision: str) -> layout.Tensors:
    """The tables, the LayerNorm after them, and the projection where there is one."""
    hidden, width = config["hidden_size"], config["embedding_size"]
    tensors: layout.Tensors = {}
    for name, count in (
        ("word", "vocab_size"),
        ("token_type", "type_vocab_size"),
        ("position", "max_position_embeddings"),
    ):
        if config[count] > 0:
            values = source.take_matrix(f"embeddings.{name}_embeddings.weight", config[count], width)
            tensors |= layout.table(f"embeddings.{name}", values, precision)
    tensors |= source.take_norm("embeddings.norm", "embeddings.LayerNorm", width)
    if width != hidden or source.family.always_projects:
        values = source.take_linear(source.family.names.projection, hidden, width)
        tensors |= layout.linear("embeddings.projection", *values, precision)
    return tensors


def bucket_of(distances: np.ndarray, buckets: Buckets) -> np.ndarray:
    """The bucket of each distance from query to key, in float32 where transformers computes so."""
    half = buckets.count // 2
    exact = half // 2
    size = np.abs(distances)
    steps = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact))
    steps = steps / np.float32(np.log(buckets.furthest / exact)) * np.float32(half - exact)
    larger = np.minimum(exact + steps.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(size < exact, size, larger)


def _distance_bias(source: Checkpoint, rows: int, config: Config) -> layout.Tensors:
    """What attention adds for each distance, out of what the checkpoint has for buckets of them."""
    buckets, heads = source.family.buckets, config["num_attention_heads"]
    table = load(*source.find(buckets.tensor, rows, heads))
    furthest = config["max_position_embeddings"] - config["position_offset"] - 1
    values = table[bucket_of(np.arange(-furthest, furthest + 1), buckets)].T
    return {"encoder.distance_bias": layout.stored(layout.rows(np.ascontiguousarray(values)))}


def _output(source: Checkpoint, name: str, label_count: int, hidden: int) -> layout.Tensors:
    """A head's last linear layer, as rows."""
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
    weight, bias = source.take_linear(name, label_count, hidden)
    return layout.table("head.output", weight, "float32") | {"head.output.bias": layout.stored(layout.vector(bias))}


def _kept(source: Checkpoint, prefixes: tuple[str, ...], tensors: layout.Tensors) -> layout.Tensors:
    """A custom head's tensors under the names that they have in the checkpoint."""
    result: layout.Tensors = {}
    for prefix in prefixes:
        names = sorted(name for name in source.stored if name.startswith(prefix))
        if not names:
            raise fail(f"--keep {prefix}: no tensor's name begins so", got=f"{len(source.stored)} tensors")
        for name in names:
            reference = reference_name(name, source.family)
            if reference in source.taken or name in tensors:
                raise fail(f"--keep {prefix}: tensor '{name}' is part of the encoder", do="Give a longer prefix.")
            tensor = source.stored[name]
            result[name] = layout.kept(name, tensor.shape, functools.partial(load, name, tensor))
    source.taken |= {reference_name(name, source.family): name for name in result}
    return result


def _parts(*layers: str) -> list[str]:
    """The names of linear layers' tensors."""
    return [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]


def _head(source: Checkpoint, head: Head, config: Config, where: Path) -> layout.Tensors:
    """The layers of one of bertha's heads."""
    kind, hidden = config["head"], config["hidden_size"]
    layers = [*([head.dense.name] if head.dense else []), head.output]
    check_trained(kind, _parts(*layers), source.names, where)
    tensors = _dense(source, head.dense, hidden) if head.dense else {}
    return tensors | _output(source, head.output, len(config["labels"]), hidden)


def _same(source: Checkpoint, one: str, other: str, shape: tuple[int, ...]) -> bool:
    """Whether two tensors hold the same numbers; the second is taken if so."""
    names = [source.names[reference] for reference in (one, other)]
    tensors = [source.stored[name] for name in names]
    if any(tensor.shape != shape for tensor in tensors):
        return False
    step = max(1, BLOCK // math.prod(shape[1:]))
    same = all(np.array_equal(*parts) for parts in zip(*(rows(*each, step) for each in zip(names, tensors))))
    if same:
        source.taken[other] = names[1]
    return same


def _masked(source: Checkpoint, head: MaskedHead, config: Config, tie: bool, where: Path) -> tuple[layout.Tensors, bool]:
    """The layers of a masked-lm head, and whether its decoder is the word table.

    transformers 5.23.0 ties decoder and bias where config.json doesn't forbid it and the checkpoint has one of the two, or
    twice the same; else the decoder's own count.
    """
    hidden, width, count = config["hidden_size"], config["embedding_size"], config["vocab_size"]
    weight, bias = f"{head.decoder}.weight", f"{head.decoder}.bias"
    tied = tie and (not source.has(weight) or _same(source, WORD, weight, (count, width)))
    if tie and not source.has(bias):
        bias = head.bias
    elif tie and bias != head.bias and source.has(head.bias):
        _same(source, bias, head.bias, (count,))
    check_trained(config["head"], [*_parts(head.dense, head.norm), *([] if tied else [weight]), bias], source.names, where)
    tensors = layout.linear("head.dense", *source.take_linear(head.dense, width, hidden), "float32")
    tensors |= source.take_norm("head.norm", head.norm, width)
    if not tied:
        tensors |= layout.table("head.output", source.take_matrix(weight, count, width), "float32")
    return tensors | {"head.bias": layout.stored(layout.vector(source.take_vector(bias, count)))}, tied


def _dense(source: Checkpoint, dense: Dense, hidden: int) -> layout.Tensors:
    """The layer that reads the first token, float32 in every precision."""
    return layout.linear("pooler.dense", *source.take_linear(dense.name, hidden, hidden), "float32")


def convert(
    stored: dict[str, AnyTensor],
    family: Family,
    config: Config,
    layers: Sequence[str],
    where: Path,
    keep: tuple[str, ...],
    bucket_rows: int | None = None,
    tie: bool = True,
) -> Encoder:
    """The canonical tensors of a checkpoint, matrices not read yet, by a config that is already in the form of tools/format.md.

    `layers` are the checkpoint's names of those that are stored, `bucket_rows` the rows of its table of distances, `tie` is
    config.json's tie_word_embeddings.
    """
    source = Checkpoint(stored, family)
    kind, precision = config["head"], config["precision"]
    decoder = f"{family.masked.decoder}.weight"
    if kind == MASKED and tie and not source.has(WORD) and source.has(decoder):  # some write a tied table there only
        source.names[WORD] = source.names.pop(decoder)
    tensors = _embeddings(source, config, precision)
    if bucket_rows is not None:
        tensors |= _distance_bias(source, bucket_rows, config)
    for index, layer in enumerate(layers):
        tensors |= _layer(source, index, layer, config, precision)
    head = family.heads.get(kind)
    pooler, missing, tied = family.pooler, [], True
    if head:
        pooler = head.dense
        tensors |= _head(source, head, config, where)
    elif kind == MASKED:
        pooler = None
        masked, tied = _masked(source, family.masked, config, tie, where)
        tensors |= masked
    elif kind == EMBEDDING:
        pooler = None
    elif pooler and source.has(f"{pooler.name}.weight"):
        tensors |= _dense(source, pooler, config["hidden_size"])
    elif pooler:
        pooler, missing = None, _parts(pooler.name)
    if kind == "custom":
        tensors |= _kept(source, keep, tensors)
    left = {reference: name for reference, name in source.names.items() if reference not in source.taken}
    known = family.unused + LOSSES
    unknown = [name for ref, name in left.items() if not ref.startswith(known) and ref not in BUFFERS]
    if unknown:
        got = ", ".join(f"'{name}'" for name in unknown[:5]) + (
            f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        )
        do = "Leave them out by --drop PREFIX, or carry them for a head of your own by --keep PREFIX; a wrong number of "
        do += "layers in config.json also shows so."
        raise fail(f"the checkpoint has tensors that {family.class_name} doesn't have", where=where, got=got, do=do)
    renamed = {name: ref for ref, name in source.taken.items() if name not in tensors and name != ref}
    return Encoder(tensors, pooler.activation if pooler else None, renamed, sorted(left.values()), missing, tied)
