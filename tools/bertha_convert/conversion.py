"""One conversion, from a folder to the parts of a model file and then to the file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import FORMAT, VERSION, canonical, config as model_config, container, layout, load_report, not_carried, onnx_file, selftest
from . import adapter as lora, disentangled, loaded_names, rotary, sentence_transformers, task_adapters, tokenizer
from .checkpoint import has_unread_weights, is_read_by_others, no_weights, other_files, read_checkpoint, weight_files
from .errors import NOTHING, fail
from .families import EMBEDDING, MASKED, NEXT_SENTENCE, QUESTION, SAVED, SEQUENCE, TOKEN, Family, Head
from .load_report import some
from .source import AnyTensor, read_optional_json, sha256

Json = dict[str, Any]

FORMAT_1 = {"norm_place": "post", "gating": False, "bias": True, "position_scheme": "absolute", "key_window": 0}
OWN_CONFIGS = ("gliner_config.json",)  # that stand in place of config.json


class Options(NamedTuple):
    """What the command line asks for."""

    folder: Path
    out: Path | None  # None: nothing is written, what would happen is told
    precision: str = "float32"
    head: str = "auto"
    keep: tuple[str, ...] = ()
    selftest: bool | None = None  # None: if torch and transformers are installed
    bertha: Path | None = None
    drop: tuple[str, ...] = ()
    tokenizer: bool = False  # without weights, whether there are some or not
    pooling: str | None = None  # of an encoder that becomes one of embeddings
    normalize: bool = False
    adapter: Path | None = None  # the folder of one that is merged
    task: str | None = None  # of the adapters that the checkpoint itself has, the one that is merged


class Parts(NamedTuple):
    """What goes into the file, and what is to be said about it."""

    config: Json
    resolved: tokenizer.Resolved
    tensors: layout.Tensors
    weights: list[Path]
    renamed: dict[str, str]
    left_out: list[str]
    missing: list[str]
    warnings: list[str]
    vector: Callable[[np.ndarray], np.ndarray] | None = None  # of hidden states, for the self-test
    adapter: lora.Adapter | None = None
    unloadable: str = ""  # why transformers can't load the weights, if it can't


class Layers(NamedTuple):
    """What layers are made of, beside the sizes: the names of those that are stored, places, which parts have biases."""

    names: list[str]
    places: rotary.Places
    biases: dict[str, bool]
    relative: disentangled.Relative | None
    key_value_heads: int


def _encoder_config(raw: Json, family: Family, options: Options, path: Path) -> tuple[Json, Layers]:
    """Section 3 of tools/format.md, but for what the tokenizer and the weights decide, and what layers are made of."""
    head = model_config.head(raw, options.head, options.keep)
    if head in (SEQUENCE, TOKEN, QUESTION, NEXT_SENTENCE) and head not in family.heads:
        others = " or ".join([*family.heads, MASKED, "none"])
        raise fail(f"{family.model_type} has no {head} head", where=path, expected=f"--head {others}")
    labels = model_config.labels(raw, head, path)
    sizes = model_config.sizes(raw, family, path)
    model_config.check_sizes(raw, family, sizes, path)
    padding_id = model_config.padding_id(raw, family, sizes, path)
    names = model_config.layers(raw, family, sizes["num_hidden_layers"], path)
    places = rotary.places(raw, family, len(names), path)
    biases = model_config.biases(raw, family, path)
    of_places = places.config()
    stored = {name: number for number, name in enumerate(dict.fromkeys(names))}
    more: Json = {}
    if family.optional_positions and not disentangled.flag(raw, "position_biased_input", True, path):
        sizes["max_position_embeddings"], more["position_table"] = model_config.LONGEST, False
    if (terms := disentangled.score_terms(raw, family, path)) > 1:
        more["score_terms"] = terms
    relative = disentangled.read(raw, family, sizes["max_position_embeddings"], path)
    if relative:
        more["disentangled"] = relative.fields()
    if family.always_projects and sizes["embedding_size"] == sizes["hidden_size"]:
        more["embedding_projection"] = True
    if len(stored) < len(names):
        more["layer_weights"] = [stored[name] for name in names]
    config = {
        "kind": "encoder" if head == "none" else "model",
        "precision": options.precision,
        **({"float32_split": False} if options.precision == "float32" else {}),
        **sizes,
        "num_hidden_layers": len(names),
        "hidden_act": model_config.activation(
            raw, family.activation, family.default_activation, path, family.activations or model_config.ACTIVATIONS
        ),
        "layer_norm_eps": model_config.layer_norm_eps(raw, family, path),
        "position_offset": _position_offset(padding_id),
        "position_padding_id": padding_id,
        "norm_place": "around" if family.norms_around else "pre" if family.norms_before else "post",
        "gating": family.names.factor is not None,
        "bias": all(has for part, has in biases.items() if part != "decoder"),
        "position_scheme": "disentangled" if relative else "distance_bias" if family.buckets or family.slopes else "rotary" if family.angles else "absolute",
        "key_window": of_places.pop("key_window"),
        "max_length": sizes["max_position_embeddings"],
        "model_max_length": tokenizer.UNLIMITED,
        "pooler": None,
        "head": head,
        "labels": labels,
        "problem_type": model_config.problem_type(raw, head, len(labels), path),
        **more,
        **of_places,
        **({} if family.position_table else {"position_table": False}),
    }
    if family.rms_norms:
        config["norm_kind"] = "rms_norm"
    if family.names.query_norm:
        config["query_key_norms"] = True
    if (chosen := family.heads.get(head)) and chosen.transform:
        config |= _transform(raw, chosen, config, biases["head"], path)
    elif chosen and chosen.dense is None and head == SEQUENCE:
        config["pooling"] = {"modes": ["first"], "layers": []}
    return config, Layers(list(stored), places, biases, relative, model_config.key_value_heads(raw, family, sizes, path))


def _transform(raw: Json, head: Head, config: Json, has_bias: bool, path: Path) -> Json:
    """The field that describes the layers which a head begins with."""
    chosen = head.transform.activation
    activation = chosen if isinstance(chosen, str) else model_config.activation(raw, *chosen, path)
    dense = {"kind": "dense", "outputs": config["hidden_size"], "activation": activation, "bias": has_bias}
    layers = [dense, *([{"kind": "norm", "eps": config["layer_norm_eps"]}] if head.transform.norm else [])]
    mode = model_config.pooling(raw, head, path)
    if mode is None:
        return {"token_layers": layers}
    if head.late is not None and raw.get(head.pooling[0], head.late) == head.late:
        return {"pooling": {"modes": [mode], "layers": [], "token_layers": layers}}
    return {"pooling": {"modes": [mode], "layers": layers}}


def _as_saved(family: Family, layers: Layers, stored: dict[str, AnyTensor]) -> tuple[Family, Layers]:
    """The family and its layers by the names that the weights have: transformers saves some as they were published first."""
    saved = SAVED.get(family.model_type, family)
    begin = f"{saved.names.layers}."
    found = {canonical.reference_name(name, family) for name in stored}
    if saved is family or not any(name.startswith(begin) for name in found):
        return family, layers
    names = [begin + name.removeprefix(f"{family.names.layers}.") for name in layers.names]
    masked = saved.masked if f"{saved.masked.norm}.weight" in found else family.masked
    return family._replace(names=saved.names, masked=masked), layers._replace(names=names)


def _masked_activation(raw: Json, family: Family, config: Json, folder: Path) -> str:
    """The activation of a masked-lm head."""
    activation = family.masked.activation or config["hidden_act"]
    return activation if isinstance(activation, str) else model_config.activation(raw, *activation, folder / "config.json")


def _position_offset(padding_id: int | None) -> int:
    """The row of the position table that a text's first token takes."""
    return 0 if padding_id is None else padding_id + 1


def _limit(model_max_length: float, positions: int) -> int:
    """The longest sequence: the position table's rows, or the tokenizer's own limit where that is smaller."""
    return min(positions, int(model_max_length))


def _vocabulary_warnings(resolved: tokenizer.Resolved, rows: int, path: Path) -> list[str]:
    """Tells of tokens without a row in the embedding. Throws where they are part of every text."""
    description = resolved.description
    ids = dict(enumerate(resolved.tokens)) | {token["id"]: token["content"] for token in description["added_tokens"]}
    lacking = {index: token for index, token in sorted(ids.items()) if index >= rows}
    always = [part["special"] for part in description["single"] + description["pair"] if "special" in part]
    for index in [*always, description["unk_token_id"]]:
        if index in lacking:
            expected, got = f"ids below vocab_size {rows}", f"id {index}"
            do = "Tokenizer and weights don't belong together."
            what = f"token '{lacking[index]}' has no row in the embedding"
            raise fail(what, where=path, expected=expected, got=got, do=do)
    if not lacking:
        return []
    names = some([f"'{token}' ({index})" for index, token in lacking.items()])
    what = "a text that holds one is refused; transformers would fail"
    return [f"{len(lacking)} tokens have no row in the embedding of vocab_size {rows}: {names}: {what}"]


def _without_dropped(stored: dict[str, AnyTensor], options: Options) -> tuple[dict[str, AnyTensor], list[str]]:
    """The checkpoint without the tensors that --drop names, and their names."""
    for prefix in options.drop:
        if not any(name.startswith(prefix) for name in stored):
            raise fail(f"--drop {prefix}: no tensor's name begins so", got=f"{len(stored)} tensors: {some(list(stored))}")
    dropped = [name for name in stored if options.drop and name.startswith(options.drop)]
    return {name: tensor for name, tensor in stored.items() if name not in dropped}, dropped


def _weights(folder: Path, raw: Json | None) -> list[Path]:
    """The files of weights that are read: those that transformers loads, else an ONNX export."""
    export = onnx_file.find(folder)
    return weight_files(folder, raw) or ([export] if export else [])


def _modules(options: Options) -> sentence_transformers.Modules | None:
    """What sentence-transformers has after the encoder, where that is asked for."""
    if options.tokenizer or options.keep or not sentence_transformers.has_modules(options.folder):
        return None
    return sentence_transformers.read(options.folder) if options.head in ("auto", EMBEDDING) else None


def _model_parts(
    options: Options, raw: Json | None, weights: list[Path], modules: sentence_transformers.Modules | None
) -> Parts:
    """The parts of a file with weights."""
    folder, path = options.folder, options.folder / "config.json"
    if raw is None:
        own = next((name for name in OWN_CONFIGS if (folder / name).is_file()), None)
        got = f"{own} of a model whose head is not converted" if own else NOTHING
        raise fail("there is no config.json", where=folder, expected="the model's configuration", got=got)
    raw = model_config.completed(raw)
    family = model_config.family(raw, path)
    adapter = lora.read(options.adapter) if options.adapter else None
    raw, warnings = lora.configured(adapter, raw, family) if adapter else (raw, [])
    config, layers = _encoder_config(raw, family, options, path)
    family = model_config.chosen(raw, family, config["head"], path)
    vector = None
    if config["head"] == EMBEDDING:
        modules = modules or sentence_transformers.Modules(folder)
        embedding = modules.embedding or sentence_transformers.plain(options.pooling or "mean", options.normalize)
        config["embedding"] = embedding | task_adapters.prompt(embedding["prompts"], raw, options.task)
        vector = functools.partial(sentence_transformers.vector, embedding, modules.layers)
    elif config["head"] == SEQUENCE and len(config["labels"]) == 1:
        modules = modules or sentence_transformers.read_cross_encoder(folder, raw)
        config |= {"score_function": modules.score_function} if modules.score_function else {}
    modules = modules or sentence_transformers.Modules(folder)
    types = config["type_vocab_size"] > 0
    resolved = tokenizer.resolve(folder, raw, config["head"] == QUESTION, types, modules.lowercase, config["head"] == MASKED)
    warnings += _vocabulary_warnings(resolved, config["vocab_size"], folder)
    config["model_max_length"] = modules.max_length or resolved.model_max_length
    config["max_length"] = _limit(config["model_max_length"], config["max_length"] - config["position_offset"])
    unloadable = "transformers loads such weights by code of their folder alone, which is not run" if family.published else ""
    if weights[0].suffix == onnx_file.ENDING:
        unloadable = "transformers doesn't load ONNX"
        export = onnx_file.read(weights[0])
        warnings, weights, found = warnings + export.sentences(weights[0]), export.files(weights[0]), dict(export.tensors)
    else:
        found = dict(read_checkpoint(weights))
    stored, dropped = _without_dropped(found, options)
    stored, told_of_tasks = task_adapters.merge(stored, raw, options.task, path)
    warnings += told_of_tasks
    if adapter:
        stored = lora.merge(adapter, loaded_names.as_loaded(stored, family), family)
        weights = weights + adapter.files()
    bucket_rows = model_config.bucket_rows(raw, family, path)
    tie = raw.get("tie_word_embeddings", family.ties) is not False
    family, layers = _as_saved(family, layers, stored)
    *made, relative, key_value_heads = layers
    task_rows = model_config.task_rows(raw, family, path)
    encoder = canonical.convert(
        stored, family, config, *made, folder, options.keep, bucket_rows, tie, relative, task_rows, key_value_heads
    )
    config["pooler"] = encoder.pooler
    if config["head"] == MASKED:
        head = {"activation": _masked_activation(raw, family, config, folder)} if family.masked.dense else {"transform": False}
        config["masked_lm"] = head | {"tied": encoder.tied}
    tensors = tokenizer.tensors(resolved) | encoder.tensors | sentence_transformers.tensors(modules.layers)
    weights = weights + [path for layer in modules.layers for path in layer.files()]
    left_out = sorted([*encoder.left_out, *dropped])
    warnings += load_report.sentences(config["head"], encoder.renamed, left_out, encoder.missing, family.prefix)
    told = (encoder.renamed, left_out, encoder.missing, warnings)
    return Parts(config, resolved, tensors, weights, *told, vector, adapter, unloadable)


def _tokenizer_parts(options: Options, raw: Json | None) -> Parts:
    """The parts of a file without weights."""
    folder = options.folder
    positions, types = model_config.LARGEST_SIZE, True
    if raw is not None:
        raw, path = model_config.completed(raw), folder / "config.json"
        family = model_config.family(raw, path)
        sizes = model_config.sizes(raw, family, path)
        offset = _position_offset(model_config.padding_id(raw, family, sizes, path))
        positions, types = sizes["max_position_embeddings"] - offset, sizes["type_vocab_size"] > 0
        if family.optional_positions and not disentangled.flag(raw, "position_biased_input", True, path):
            positions = model_config.LONGEST
    resolved = tokenizer.resolve(folder, raw or {}, question_answering=False, reads_types=types)
    limit = _limit(resolved.model_max_length, positions)
    config = {"kind": "tokenizer", "max_length": limit, "model_max_length": resolved.model_max_length}
    return Parts(config, resolved, tokenizer.tensors(resolved), [], {}, [], [], [])


def _check_place(out: Path, folder: Path) -> None:
    """Throws where the output would replace a file of the folder, or be taken for one by the next who reads it."""
    target = out.resolve()
    if folder.resolve() not in target.parents:
        return
    do = "Name another file, best in another folder."
    if out.exists() and not container.is_model_file(out):
        raise fail("is a file of the folder that is converted", where=out, do=do)
    if target.suffix != ".safetensors" or is_read_by_others(target.name):
        expected = "a name that ends in .safetensors and that transformers doesn't read"
        raise fail("would become a part of the folder that is converted", where=out, expected=expected, do=do)


def _check_options(options: Options) -> None:
    """Throws where the command can't be carried out, before any work is done."""
    for path in filter(None, (options.folder.resolve(), options.adapter, options.out)):
        if not str(path).isascii() and any("\ud800" <= character <= "\udfff" for character in str(path)):
            do = "Rename it: the packages that read and write the files can't open it."
            raise fail("is no path in UTF-8", where=ascii(str(path)), do=do)
    if not options.folder.is_dir():
        do = "Give the folder that it lies in." if options.folder.is_file() else ""
        raise fail("is no folder", where=options.folder, expected="a Hugging Face model folder", do=do)
    if options.out:
        if not options.out.parent.is_dir() or (options.out.exists() and not options.out.is_file()):
            raise fail("can't be written", where=options.out, expected="a file name in a folder that exists")
        _check_place(options.out, options.folder)
    of_weights = options.keep or options.drop or options.bertha or options.adapter or options.task
    if options.tokenizer and (options.head not in ("auto", "none") or of_weights):
        do = "Leave --tokenizer or the other option out."
        what = "--head, --keep, --drop, --adapter, --task and --bertha don't go with it"
        raise fail(f"--tokenizer makes a file without weights: {what}", do=do)
    if (options.pooling or options.normalize) and (options.head not in ("auto", EMBEDDING) or options.keep):
        raise fail("--pooling and --normalize make an embedding head", expected="--head embedding, or no --head")
    if (options.pooling or options.normalize) and sentence_transformers.has_modules(options.folder):
        do = "Leave --pooling and --normalize out, or give the folder without its modules.json."
        raise fail("says itself how hidden states are pooled", where=options.folder / "modules.json", do=do)
    if options.bertha and (options.precision != "int8" or options.selftest is False):
        raise fail(
            "--bertha records the logits of an int8 file's self-test", expected="--precision int8 and a self-test"
        )
    if options.bertha and not options.out:
        raise fail("--bertha runs a file, and --check writes none", do="Leave one of them out.")


def _source_name(path: Path, root: Path) -> str:
    """What a file of weights is called: its path in the folder, of an adapter its folder's name and its own."""
    return path.relative_to(root).as_posix() if root in path.parents else f"{path.parent.resolve().name}/{path.name}"


def _metadata(
    parts: Parts, folder: Path, version: str | None, cases: list[Json], checksums: dict[str, int]
) -> dict[str, str]:
    """Section 2 of tools/format.md."""
    source = {
        "name": folder.resolve().name,
        "sha256": {_source_name(path, folder): sha256(path) for path in parts.weights},
        "converter": VERSION,
        "transformers": version,
    }
    values = {
        "source": source,
        "config": parts.config | ({"head": SEQUENCE} if parts.config.get("head") == NEXT_SENTENCE else {}),
        "tokenizer": parts.resolved.description,
        "selftest": cases,
        "crc32": checksums,
    }
    fields = {"normalizer", "embedding_projection", "layer_weights", "embedding", "score_function", "masked_lm"}
    fields |= {"position_table", "score_terms", "key_windows", "rotary_tables", "pooling", "token_layers", "words", "ignore_merges"}
    needs_2 = fields & (values["tokenizer"].keys() | values["config"].keys())
    newer = (
        values["tokenizer"]["kind"] in ("unigram", "character_bpe")
        or values["tokenizer"]["unk_token_id"] is None
        or (values["tokenizer"]["kind"] == "wordpiece" and "trim_offsets" in values["tokenizer"])
        or any(values["config"].get(field, value) != value for field, value in FORMAT_1.items())
    )
    number = FORMAT if needs_2 or newer else 1
    return {"format": str(number), **{key: container.compact(value) for key, value in values.items()}}


def _write(
    options: Options, out: Path, parts: Parts, root: Path, version: str | None, cases: list[Json], sentence: str
) -> tuple[int, str]:
    """Writes the file; its size, and what there is to say of its self-test."""
    with container.replacing(out) as temporary, container.scratch(out, "data") as data:
        checksums = container.write_data(data, parts.tensors)

        def write() -> None:
            metadata = _metadata(parts, root, version, cases, checksums)
            container.write(temporary, metadata, parts.tensors, data, checksums)

        write()
        if options.bertha:
            recorded = selftest.record_bytes(options.bertha, temporary)
            if len(recorded) != len(cases):
                raise fail("--bertha recorded another number of cases", expected=len(cases), got=len(recorded))
            cases = [{**case, "logits_bytes": logits} for case, logits in zip(cases, recorded)]
            sentence += f"; int8 logits by {options.bertha.name}"
            write()
    return out.stat().st_size, sentence


def convert(options: Options) -> Json:
    """Does the whole conversion and returns the report."""
    _check_options(options)
    root, modules = options.folder, _modules(options)
    if modules:
        options = options._replace(folder=modules.transformer)
    if options.pooling or options.normalize or (modules and modules.embedding):
        options = options._replace(head=EMBEDDING)
    raw = read_optional_json(options.folder / "config.json")
    weights = [] if options.tokenizer else _weights(options.folder, raw)
    if not weights and not options.tokenizer:
        if options.head != "none" or options.keep or has_unread_weights(options.folder):
            raise no_weights(options.folder)
    parts = _model_parts(options, raw, weights, modules) if weights else _tokenizer_parts(options, raw)
    cases, sentence, version, split, warnings = selftest.recording(
        options.selftest,
        options.folder,
        parts.resolved,
        parts.config,
        parts.vector,
        bool(modules and modules.lowercase),
        parts.adapter,
        parts.unloadable,
    )
    if split:
        parts.config["float32_split"] = True
    if options.out:
        size, sentence = _write(options, options.out, parts, root, version, cases, sentence)
    else:
        metadata = _metadata(parts, root, version, cases, container.data_of(parts.tensors, len))
        size = container.file_size(metadata, parts.tensors)
    told = not_carried.sentences(root, parts.config["max_length"], bool(modules), options.adapter)
    return {
        "out": None if options.out is None else str(options.out),
        "bytes": size,
        "config": parts.config,
        "tokenizer": parts.resolved.decisions,
        "source_files": [_source_name(path, root) for path in parts.weights],
        "source_files_not_read": other_files(options.folder, weights),
        "taken": len(parts.tensors),
        "renamed": parts.renamed,
        "left_out": parts.left_out,
        "missing": parts.missing,
        "warnings": parts.warnings + [*told, *warnings],
        "selftest": sentence,
    }
