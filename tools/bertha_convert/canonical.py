"""Turns the tensors of a checkpoint into the canonical ones of tools/format.md section 5, by its family's tables."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import distances, layout
from .config import Config
from .disentangled import Relative
from .errors import fail
from .families import EMBEDDING, MASKED, Dense, Family, Head, MaskedHead, Names, Transform, unwrapped
from .load_report import check_trained
from .rotary import Places
from .source import AnyTensor, load, rows

BLOCK = 1 << 20  # numbers of a matrix that are in memory at a time
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # of old checkpoints, no weights
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
    name = unwrapped(name, family.prefix)[0].removeprefix(family.prefix)
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


class Checkpoint:
    """The tensors of a checkpoint under their reference names, each taken once."""

    def __init__(
        self, stored: dict[str, AnyTensor], family: Family, biases: dict[str, bool], key_value_heads: int | None = None
    ) -> None:
        self.family = family
        self.biases = biases
        self.key_value_heads = key_value_heads  # None: as many as attention heads
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

    def take_linear(self, name: str, outputs: int, inputs: int, part: str = "") -> tuple[layout.Rows, np.ndarray | None]:
        """A linear layer's weight and bias, if that part of the model has biases."""
        return self.take_matrix(f"{name}.weight", outputs, inputs), self.take_bias(name, outputs, part)

    def take_bias(self, name: str, outputs: int, part: str) -> np.ndarray | None:
        """A linear layer's bias, if that part of the model has them."""
        return self.take_vector(f"{name}.bias", outputs) if self.biases.get(part, True) else None

    def take_norm(self, target: str, name: str, size: int) -> layout.Tensors:
        """A LayerNorm's vectors, under their canonical names."""
        parts = ("weight", "bias") if self.biases.get("norm", True) else ("weight",)
        more = np.float32(self.family.norms_from_one)
        found = {part: layout.vector(self.take_vector(f"{name}.{part}", size) + more) for part in parts}
        return {f"{target}.{part}": layout.stored(values) for part, values in found.items()}


def _query_key_value(source: Checkpoint, old: str, hidden: int, heads: int) -> tuple[layout.Rows, np.ndarray | None]:
    """The three projections of a layer, attention head by attention head."""
    names = source.family.names
    if names.by_head:
        return _by_head(source, old, hidden, heads)
    if names.query_key_value:
        name, tensor = source.find(f"{old}.{names.query_key_value}.weight", 3 * hidden, hidden)
        weights = [functools.partial(rows, name, tensor, first=i * hidden, count=hidden) for i in range(3)]
        whole = source.take_bias(f"{old}.{names.query_key_value}", 3 * hidden, "attention")
        biases = None if whole is None else np.split(whole, 3)
    else:
        groups = heads // (source.key_value_heads or heads)
        matrices = [(f"{old}.{names.query}", 1), *((f"{old}.{name}", groups) for name in (names.key, names.value))]
        weights = [_repeated(source.take_rows(f"{name}.weight", hidden // n, hidden), n) for name, n in matrices]
        found = [source.take_bias(name, hidden // n, "attention") for name, n in matrices]
        biases = None if found[0] is None else [
            np.repeat(bias.reshape(heads // n, -1), n, axis=0).reshape(-1) for bias, (_, n) in zip(found, matrices)
        ]
    weight = layout.by_attention_head(weights, heads, hidden)
    return weight, None if biases is None else _biases_by_head(biases, heads)


def _repeated(by_rows: Callable[[int], Iterator[np.ndarray]], times: int) -> Callable[[int], Iterator[np.ndarray]]:
    """A matrix each of whose blocks comes several times."""
    return lambda step: (block for block in by_rows(step) for _ in range(times))


def _biases_by_head(biases: Sequence[np.ndarray], heads: int) -> np.ndarray:
    """The biases of the three projections, attention head by attention head."""
    by_head = zip(*(np.split(bias, heads) for bias in biases))
    return np.concatenate([layout.attention_head(*parts) for parts in by_head])


def _by_head(source: Checkpoint, old: str, hidden: int, heads: int) -> tuple[layout.Rows, np.ndarray | None]:
    """The same of a matrix that is in this order already, without padding; biases, if any, are queries' and values'."""
    names, size = source.family.names, hidden // heads
    name, tensor = source.find(f"{old}.{names.query_key_value}.weight", 3 * hidden, hidden)
    order = np.r_[0:size:2, 1:size:2] if names.neighbours else np.arange(size)

    def blocks() -> Iterator[np.ndarray]:
        for block in rows(name, tensor, 3 * size):
            query, key, value = np.split(block, 3)
            yield layout.attention_head(query[order], key[order], value)

    weight = layout.Rows(3 * layout.round_up(size, layout.PANEL) * heads, hidden, blocks)
    if names.query_bias is None:
        return weight, None
    query, value = (source.take_vector(f"{old}.{bias}", hidden) for bias in (names.query_bias, names.value_bias))
    return weight, _biases_by_head([query, np.zeros_like(query), value], heads)


def _intermediate(source: Checkpoint, old: str, config: Config) -> tuple[layout.Rows, np.ndarray | None]:
    """The layer that widens, gated the one of the activation and then that of the factors."""
    hidden, inner, names = config["hidden_size"], config["intermediate_size"], source.family.names
    first, second = f"{old}.{names.intermediate}", f"{old}.{names.factor}"
    if names.factor is None:
        return source.take_linear(first, inner, hidden, "intermediate")
    step = layout.PANEL * max(1, BLOCK // (layout.PANEL * hidden))
    if first == second:
        name, tensor = source.find(f"{first}.weight", 2 * inner, hidden)
        order = (1, 0) if names.factor_first else (0, 1)
        halves = [functools.partial(rows, name, tensor, step, first=i * inner, count=inner) for i in order]
        whole = source.take_bias(first, 2 * inner, "intermediate")
        biases = [None if whole is None else np.split(whole, 2)[i] for i in order]
    else:
        halves = [functools.partial(source.take_rows(f"{name}.weight", inner, hidden), step) for name in (first, second)]
        biases = [source.take_bias(name, inner, "intermediate") for name in (first, second)]
    weight = layout.halves(halves, inner, hidden)
    return weight, None if biases[0] is None else np.concatenate([layout.vector(bias) for bias in biases])


def _layer(source: Checkpoint, index: int, old: str, config: Config, precision: str) -> layout.Tensors:
    """The tensors of one encoder layer, which the checkpoint has under the name `old`."""
    hidden, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    layer, family = f"encoder.layer.{index}", source.family
    names, before = family.names, family.norms_before

    def linear(target: str, values: tuple[layout.Rows, np.ndarray | None]) -> layout.Tensors:
        return layout.linear(f"{layer}.{target}", *values, precision)

    def norm(target: str, name: str | None, size: int = hidden) -> layout.Tensors:
        return source.take_norm(f"{layer}.{target}", f"{old}.{name}", size) if name else {}

    behind = (names.attention_result_norm, names.output_result_norm) if before else (names.attention_norm, names.output_norm)
    tensors = norm("attention.norm", names.attention_norm) if before and (index > 0 or family.first_norm) else {}
    tensors |= linear("attention.query_key_value", _query_key_value(source, old, hidden, heads))
    tensors |= norm("attention.query.norm", names.query_norm, hidden // heads)
    tensors |= norm("attention.key.norm", names.key_norm, hidden // heads)
    tensors |= linear("attention.output", source.take_linear(f"{old}.{names.attention_output}", hidden, hidden, "attention"))
    tensors |= norm("attention.output.norm", behind[0])
    tensors |= norm("norm", names.output_norm) if before else {}
    tensors |= linear("intermediate", _intermediate(source, old, config))
    tensors |= linear("output", source.take_linear(f"{old}.{names.output}", hidden, inner, "output"))
    return tensors | norm("output.norm", behind[1])


def tables(names: Names, config: Config) -> list[tuple[str, str, int]]:
    """The tables of embeddings that a model has: canonical names, those of the checkpoint, rows."""
    found = [("word", names.word, config["vocab_size"])]
    if config["type_vocab_size"] > 0:
        found.append(("token_type", names.token_type, config["type_vocab_size"]))
    if config.get("position_table", True):
        found.append(("position", "embeddings.position_embeddings", config["max_position_embeddings"]))
    return found


def _moved(values: layout.Rows, by: np.ndarray) -> layout.Rows:
    """A matrix to whose rows a vector is added."""
    return values._replace(blocks=lambda: (block + by for block in values.blocks()))


def _scaled(values: layout.Rows, by: np.float32) -> layout.Rows:
    """A matrix that is multiplied by a number."""
    return values._replace(blocks=lambda: (block * by for block in values.blocks()))


def _embeddings(source: Checkpoint, config: Config, precision: str, task_rows: int | None) -> layout.Tensors:
    """The tables, the LayerNorm after them, and the projection where there is one. A task's embedding, which is the same for
    all tokens, is added to those of token types."""
    hidden, width, names = config["hidden_size"], config["embedding_size"], source.family.names
    task = next(source.take_rows(source.family.tasks.tensor, task_rows, width)(1)) if task_rows else None
    tensors: layout.Tensors = {}
    for name, old, count in tables(names, config):
        values = source.take_matrix(f"{old}.weight", count, width)
        values = _moved(values, task) if task is not None and name == "token_type" else values
        if name == "word" and source.family.scales_words:
            values = _scaled(values, np.float32(math.sqrt(hidden)))
        tensors |= layout.table(f"embeddings.{name}", values, precision)
    if names.norm:
        tensors |= source.take_norm("embeddings.norm", names.norm, width)
    if width != hidden or source.family.always_projects:
        values = source.take_linear(source.family.names.projection, hidden, width)
        tensors |= layout.linear("embeddings.projection", *values, precision)
    return tensors


def _distance_bias(source: Checkpoint, rows: int | None, config: Config) -> layout.Tensors:
    """What attention adds for each distance, out of what the checkpoint has for buckets of them, or by slopes."""
    buckets, heads = source.family.buckets, config["num_attention_heads"]
    furthest = config["max_position_embeddings"] - config["position_offset"] - 1
    reached = np.arange(-furthest, furthest + 1)
    if buckets:
        values = load(*source.find(buckets.tensor, rows, heads))[distances.bucket_of(reached, buckets)].T
    else:
        values = -distances.slopes(heads)[:, None] * np.abs(reached).astype(np.float32)
    return {"encoder.distance_bias": layout.stored(layout.rows(np.ascontiguousarray(values)))}


def _normalised(source: Checkpoint, name: str, x: np.ndarray, eps: float) -> np.ndarray:
    """A LayerNorm of rows in float64."""
    centred = x - x.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + eps)
    return scaled * source.take_vector(f"{name}.weight", x.shape[1]) + source.take_vector(f"{name}.bias", x.shape[1])


def _relative_embeddings(source: Checkpoint, relative: Relative, config: Config) -> np.ndarray:
    """What layers make relative keys and queries of, for each row of the file, in float64."""
    names = source.family.disentangled
    table = load(*source.find(names.table, relative.count, config["hidden_size"])).astype(np.float64)
    return (_normalised(source, names.norm, table, config["layer_norm_eps"]) if relative.norm else table)[relative.embeddings]


def _relative(source: Checkpoint, relative: Relative, layers: Sequence[str], config: Config) -> layout.Tensors:
    """Relative keys and queries of all layers, attention head by attention head. Queries are scaled, as scores are."""
    hidden, heads, names = config["hidden_size"], config["num_attention_heads"], source.family.disentangled
    embeddings, scale = _relative_embeddings(source, relative, config), 1 / math.sqrt(hidden // heads * config["score_terms"])
    tensors = {"encoder.relative_rows": layout.stored(layout.vector(relative.rows))}
    for wanted, target, own, shared, has_bias, factor in (
        (relative.keys, "relative_keys", names.key, source.family.names.key, names.key_bias, 1.0),
        (relative.queries, "relative_queries", names.query, source.family.names.query, True, scale),
    ):
        if not wanted:
            continue
        linears = [f"{layer}.{shared if relative.shared else own}" for layer in layers]
        matrices = [source.find(f"{name}.weight", hidden, hidden) for name in linears]
        biases = [source.take_vector(f"{name}.bias", hidden) if has_bias else 0 for name in linears]

        def blocks(matrices: Any = matrices, biases: Any = biases, factor: float = factor) -> Iterator[np.ndarray]:
            for matrix, each in zip(matrices, biases):
                made = (embeddings @ load(*matrix).astype(np.float64).T + each) * factor
                yield np.concatenate(np.split(made.astype(np.float32), heads, axis=1))

        rows = layout.Rows(len(layers) * heads * len(embeddings), hidden // heads, blocks)
        tensors |= layout.table(f"encoder.{target}", rows, config["precision"])
    return tensors


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
    needed = _parts(*layers) + (_transform_parts(source, head.transform) if head.transform else [])
    check_trained(kind, needed, source.names, where)
    tensors = _dense(source, head.dense, hidden) if head.dense else {}
    if head.transform:
        target = "head" if "pooling" not in config else "pooler" if config["pooling"]["layers"] else "pooler.token"
        dense = source.take_linear(head.transform.dense, hidden, hidden, "head")
        tensors |= layout.linear(f"{target}.0", *dense, "float32")
        if head.transform.norm:
            tensors |= source.take_norm(f"{target}.1", head.transform.norm, hidden)
    return tensors | _output(source, head.output, len(config["labels"]), hidden)


def _transform_parts(source: Checkpoint, transform: Transform | MaskedHead) -> list[str]:
    """The names of the tensors of a head's dense layer and norm, as far as it has them."""
    if transform.dense is None:
        return []
    names = _parts(transform.dense) if source.biases.get("head", True) else [f"{transform.dense}.weight"]
    if transform.norm is None:
        return names
    return names + (_parts(transform.norm) if source.biases.get("norm", True) else [f"{transform.norm}.weight"])


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
    weight, bias, word = f"{head.decoder}.weight", f"{head.decoder}.bias", f"{source.family.names.word}.weight"
    tie = (tie or head.always_tied) and not head.never_tied
    tied = tie and (not source.has(weight) or _same(source, word, weight, (count, width)))
    if tie and not source.has(bias):
        bias = head.bias
    elif tie and bias != head.bias and source.has(head.bias):
        _same(source, bias, head.bias, (count,))
    has_bias = source.biases.get("decoder", True)
    needed = [*_transform_parts(source, head), *([] if tied else [weight]), *([bias] if has_bias else [])]
    check_trained(config["head"], needed, source.names, where)
    tensors: layout.Tensors = {}
    if head.dense:
        tensors = layout.linear("head.dense", *source.take_linear(head.dense, width, hidden, "head"), "float32")
        tensors |= source.take_norm("head.norm", head.norm, width)
    if not tied:
        tensors |= layout.table("head.output", source.take_matrix(weight, count, width), "float32")
    values = source.take_vector(bias, count) if has_bias else np.zeros(count, np.float32)
    return tensors | {"head.bias": layout.stored(layout.vector(values))}, tied


def _dense(source: Checkpoint, dense: Dense, hidden: int) -> layout.Tensors:
    """The layer that reads the first token, float32 in every precision."""
    return layout.linear("pooler.dense", *source.take_linear(dense.name, hidden, hidden), "float32")


def convert(
    stored: dict[str, AnyTensor],
    family: Family,
    config: Config,
    layers: Sequence[str],
    places: Places,
    biases: dict[str, bool],
    where: Path,
    keep: tuple[str, ...],
    bucket_rows: int | None = None,
    tie: bool = True,
    relative: Relative | None = None,
    task_rows: int | None = None,
    key_value_heads: int | None = None,
) -> Encoder:
    """The canonical tensors of a checkpoint, matrices not read yet, by a config that is already in the form of tools/format.md.

    `layers` are the checkpoint's names of those that are stored, `biases` says which parts have them, `bucket_rows` the rows
    of its table of distances, `tie` is config.json's tie_word_embeddings, `relative` what disentangled attention has,
    `task_rows` the rows of its table of tasks, `key_value_heads` the heads that keys and values have.
    """
    source = Checkpoint(stored, family, biases, key_value_heads)
    kind, precision = config["head"], config["precision"]
    decoder = f"{family.masked.decoder}.weight"
    word = f"{family.names.word}.weight"
    if kind == MASKED and tie and not family.masked.never_tied and not source.has(word) and source.has(decoder):  # some write a tied table there only
        source.names[word] = source.names.pop(decoder)
    tensors = _embeddings(source, config, precision, task_rows)
    tensors |= places.tensors(config["max_position_embeddings"], config["hidden_size"] // config["num_attention_heads"])
    if config["position_scheme"] == "distance_bias":
        tensors |= _distance_bias(source, bucket_rows, config)
    if relative:
        tensors |= _relative(source, relative, layers, config)
    for index, layer in enumerate(layers):
        tensors |= _layer(source, index, layer, config, precision)
    if family.norms_before:
        tensors |= source.take_norm("encoder.norm", family.names.last_norm, config["hidden_size"])
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
