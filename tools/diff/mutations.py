#!/usr/bin/env python3
"""Checkpoints with one thing changed: each must be refused, or give what transformers gives.

    python3 tools/diff/mutations.py PROGRAM [--family NAME] [--head NAME] [--show]
    python3 tools/diff/mutations.py PROGRAM --family gemma3_text --head embedding

Of each family a tiny checkpoint: every tensor is dropped, renamed, transposed, flattened, put into other element types and
given prefixes; every value of config.json is removed and changed into others. What the converter takes is recorded with
transformers and run by PROGRAM (`verify`). A family as it was first published has other names in config.json, which
transformers doesn't know: what the converter makes of it must be what it makes of the same in transformers' names. Prints a JSON line for each
family, with counts:
  refused      by the converter
  equal        taken, and equal to transformers
  different    taken, and not equal
  headless     taken as an encoder alone, as config.json no longer names a head
  made_up      taken, where transformers makes weights from random numbers: names with prefixes of training
  not_loaded   taken, where transformers fails: over values that decide nothing here, or of another JSON type than it asks for
  crashed      neither taken nor refused
Exit status 1 if anything is different or crashed. --show prints what is neither refused nor equal. Needs torch and transformers 5.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import unittest.mock
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "convert"), str(ROOT / "tools")]
import folders  # noqa: E402
import test_modern  # noqa: E402
from bertha_convert.container import read_tensors  # noqa: E402
from bertha_convert.conversion import Options, convert  # noqa: E402
from bertha_convert.errors import ConvertError  # noqa: E402
from bertha_convert.families import EMBEDDING, FAMILIES  # noqa: E402
from bertha_convert.selftest import Mismatch  # noqa: E402
from bertha_convert.source import read_header  # noqa: E402

Json = dict[str, Any]
Tensors = dict[str, np.ndarray]

WRAPPERS = ("module.", "_orig_mod.", "model.", "other.")
VALUES = (
    None,
    True,
    False,
    0,
    1,
    2,
    3,
    -1,
    0.5,
    1e-5,
    2**12,
    "gelu",
    "gelu_new",
    "gelu_10",
    "relu",
    "x",
    [],
    [1],
    {},
    {"0": "x"},
)
SEVERE = ("different", "crashed")


def of_tensors(tensors: Tensors) -> Iterator[tuple[str, Tensors, dict[str, str]]]:
    """Checkpoints with one tensor changed: what was done, the tensors, and the element types of some."""
    for name, values in tensors.items():
        rest = {other: kept for other, kept in tensors.items() if other != name}
        yield f"{name} dropped", rest, {}
        yield f"{name} renamed", {**rest, name + "_": values}, {}
        yield f"{name} flattened", {**rest, name: values.reshape(-1)}, {}
        if values.ndim == 2:
            yield f"{name} transposed", {**rest, name: np.ascontiguousarray(values.T)}, {}
            yield f"{name} cut", {**rest, name: values[:-1]}, {}
        for dtype in ("F16", "BF16", "I64"):
            yield f"{name} as {dtype}", tensors, {name: dtype}
    for wrapper in WRAPPERS:
        yield f"{wrapper} before all", {wrapper + name: values for name, values in tensors.items()}, {}


def of_config(config: Json) -> Iterator[tuple[str, Json]]:
    """Configurations with one value changed."""
    for key, value in config.items():
        yield f"{key} removed", {other: kept for other, kept in config.items() if other != key}
        near = (value + 1, value - 1, 2 * value) if type(value) in (int, float) else ()
        for new in (*VALUES, *near):
            if type(new) is not type(value) or new != value:
                yield f"{key} = {json.dumps(new)}", {**config, key: new}


def write_mixed(path: Path, tensors: Tensors, types: dict[str, str]) -> None:
    """A checkpoint whose tensors have several element types."""
    header: Json = {}
    data = b""
    for name, values in tensors.items():
        dtype = types.get(name, "F32")
        raw = values.astype({"F32": "<f4", "F16": "<f2", "I64": "<i8", "BF16": "<f4"}[dtype])
        stored = (raw.view("<u4") >> 16).astype("<u2").tobytes() if dtype == "BF16" else raw.tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(stored)],
        }
        data += stored
    folders.write_raw(path, json.dumps(header).encode(), data)


def outcome(folder: Path, program: Path) -> tuple[str, str]:
    """What becomes of a folder, and why."""
    file = folder.parent / "out.safetensors"
    try:
        report = convert(Options(folder, file))
    except Mismatch as error:
        return "different", str(error)
    except ConvertError as error:
        return "refused", str(error)
    except Exception as error:  # that's what is looked for
        return "crashed", repr(error)
    sentence = report["selftest"]
    if "the file has no head" in sentence:
        return "headless", sentence
    if "makes them from random" in sentence:
        return "made_up", sentence
    if "recording logits failed" in sentence:
        return "not_loaded", report["warnings"][-1]
    if "logits" not in sentence and "vectors" not in sentence:
        return "different", sentence
    done = subprocess.run([str(program), "verify", str(file)], capture_output=True, text=True, check=False)
    return ("equal", "") if done.returncode == 0 else ("different", done.stderr.strip())


def write_other(folder: Path, family: str, head: str) -> Tensors:
    """A folder of a family that tests' folders don't make, with the weights that transformers says it has."""
    import torch
    import transformers

    folders.write_folder(folder)
    name = FAMILIES[family].class_name + CLASSES[head]
    config = {"model_type": family, **SIZES, **OTHERS[family], "architectures": [name]}
    if head.endswith("classification"):
        config["id2label"] = {str(index): f"label {index}" for index in range(3)}
    if head == EMBEDDING:
        kinds = {"": "Transformer", "1_Pooling": "Pooling"}
        modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()]
        folders.write_json(folder / "modules.json", modules)
        (folder / "1_Pooling").mkdir(exist_ok=True)
        pooling = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}
        folders.write_json(folder / "1_Pooling" / "config.json", pooling)
    folders.write_json(folder / "config.json", config)
    if family == "modernbert":
        folders.write_json(folder / "tokenizer.json", test_modern.tokenizer_json())
        named = {f"{key}_token": f"[{key.upper()}]" for key in ("unk", "cls", "sep", "pad", "mask")}
        folders.write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **named})
    with torch.device("meta"):
        model = getattr(transformers, name)(transformers.CONFIG_MAPPING[family](**config))
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(0, 0.5, tuple(each.shape)).astype(np.float32) for name, each in model.named_parameters()}
    folders.write_safetensors(folder / "model.safetensors", tensors)
    return tensors


class Published(NamedTuple):
    """A family's folder as it was first published, beside what transformers has of it."""

    family: str  # in transformers
    config: Json  # beside what `keys` and SIZES have
    keys: dict[str, str]  # names in config.json by those that transformers has
    values: dict[str, dict[str, str]] = {}  # of those, words by words
    prefix: str = ""  # of tensors, where it isn't the same
    base: float = 10_000.0  # of angles, where config.json says none


PUBLISHED = {
    "nomic_bert published": Published(
        "nomic_bert",
        {"model_type": "nomic_bert", "rotary_emb_fraction": 1.0, "prenorm": False, "qkv_proj_bias": False, "type_vocab_size": 2},
        {
            "hidden_size": "n_embd",
            "num_hidden_layers": "n_layer",
            "num_attention_heads": "n_head",
            "intermediate_size": "n_inner",
            "max_position_embeddings": "n_positions",
            "hidden_act": "activation_function",
            "layer_norm_eps": "layer_norm_epsilon",
            "rope_theta": "rotary_emb_base",
        },
        {"hidden_act": {"silu": "swiglu", "gelu": "geglu"}},
        "bert.",
        1000.0,
    ),
    "gte published": Published(
        "gte",
        {"model_type": "new", "position_embedding_type": "rope", "layer_norm_type": "layer_norm", "pack_qkv": True, "type_vocab_size": 2},
        {},
        prefix="new.",
    ),
    "jina_embeddings_v3 published": Published(
        "jina_embeddings_v3",
        {"model_type": "xlm-roberta", "position_embedding_type": "rotary", "use_flash_attn": True, "type_vocab_size": 2},
        {"rope_theta": "rotary_emb_base"},
        prefix="roberta.",
    ),
}


def has_head(family: str, head: str) -> bool:
    """Whether transformers has the class, and a folder can be made here."""
    its = PUBLISHED[family].family if family in PUBLISHED else family
    import transformers

    return hasattr(transformers, FAMILIES[its].class_name + CLASSES[head]) and (head != EMBEDDING or family in OTHERS)


def write_published(folder: Path, name: str, head: str) -> Tensors:
    """Such a folder, with the tensors' names that transformers gives them when it saves them."""
    import torch
    import transformers
    from safetensors.numpy import load_file

    its = PUBLISHED[name]
    write_other(folder, its.family, head)
    native = json.loads((folder / "config.json").read_text())
    loaded = getattr(transformers, native["architectures"][0]).from_pretrained(str(folder), dtype=torch.float32)
    model = type(loaded)(loaded.config)  # one that was loaded is saved under the names that it was loaded by
    model.load_state_dict(loaded.state_dict())
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        tensors = load_file(Path(saved) / "model.safetensors")
    own = FAMILIES[its.family].prefix
    tensors = {its.prefix + name.removeprefix(own) if name.startswith(own) else name: v.copy() for name, v in tensors.items()}
    whole = {**native, "hidden_act": "silu" if its.family == "nomic_bert" else "gelu", "layer_norm_eps": 1e-5, "rope_theta": 500.0}
    for key in ("rope_parameters", "head_dim", "model_type", "architectures"):
        whole.pop(key, None)
    words = {key: its.values.get(key, {}).get(value, value) for key, value in whole.items() if not isinstance(value, (dict, list))}
    config = {its.keys.get(key, key): value for key, value in words.items()} | its.config
    config |= {key: value for key, value in whole.items() if isinstance(value, dict)}
    folders.write_json(folder / "config.json", {**config, "architectures": native["architectures"]})
    folders.write_safetensors(folder / "model.safetensors", tensors)
    return tensors


def as_published(folder: Path, name: str, program: Path) -> tuple[str, str]:
    """What becomes of such a folder: the same as of one in transformers' names, whatever that is."""
    its, file = PUBLISHED[name], folder.parent / "published.safetensors"
    try:
        convert(Options(folder, file, selftest=False))
    except ConvertError as error:
        return "refused", str(error)
    except Exception as error:  # that's what is looked for
        return "crashed", repr(error)
    config = json.loads((folder / "config.json").read_text())
    names = {published: key for key, published in its.keys.items()}
    native = {names.get(key, key): value for key, value in config.items()}
    for key, words in its.values.items():
        back = {word: own for own, word in words.items()}
        if isinstance(native.get(key), str):
            native[key] = back.get(native[key], native[key])
    native |= {"model_type": its.family, "position_embedding_type": "absolute"}
    theta = native.pop("rope_theta", None)
    native["rope_parameters"] = {"rope_type": "default", "rope_theta": its.base if theta is None else theta}
    other = folder.parent / "native"
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other)
    if its.prefix:
        begin = re.compile(rf"^((?:{'|'.join(map(re.escape, WRAPPERS))})?){re.escape(its.prefix)}")
        header = read_header(folder / "model.safetensors")
        rename(other / "model.safetensors", {n: begin.sub(rf"\1{FAMILIES[its.family].prefix}", n, count=1) for n in header})
    folders.write_json(other / "config.json", native)
    result, why = outcome(other, program)
    if result in ("refused", "crashed"):
        return ("different", f"refused in transformers' names: {why}")
    same = read_tensors(file), read_tensors(folder.parent / "out.safetensors")
    if not (same[0].keys() == same[1].keys() and all(np.array_equal(same[0][n], same[1][n]) for n in same[0])):
        return "different", "other tensors than in transformers' names"
    return result, why


def rename(path: Path, names: dict[str, str]) -> None:
    """Gives tensors of a file other names."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = {names.get(name, name): entry for name, entry in json.loads(data[8 : 8 + length]).items()}
    folders.write_raw(path, json.dumps(header).encode(), data[8 + length :])


def mutations(folder: Path, family: str, head: str) -> Iterator[str]:
    """Writes each changed folder, and says what was changed."""

    def whole() -> Tensors:
        if family in PUBLISHED:
            return write_published(folder, family, head)
        if family in OTHERS:
            return write_other(folder, family, head)
        layers = {"albert": 3, "roberta-prelayernorm": 2, "megatron-bert": 2}
        own = {key: value for key, value in MORE.get(family, {}).items() if key == "use_task_id"}
        return folders.write_folder(folder, head, 3, family, num_hidden_layers=layers.get(family, 1), **own)

    tensors = whole()
    yield "nothing"
    for what, changed, types in of_tensors(tensors):
        write_mixed(folder / "model.safetensors", changed, types)
        yield what
    whole()
    config = json.loads((folder / "config.json").read_text())
    defaults = {} if family in PUBLISHED else {**DEFAULTS, **MORE.get(family, {})}
    for what, changed in of_config({**defaults, **config}):
        folders.write_json(folder / "config.json", changed)
        yield what


SIZES: Json = {key: value for key, value in folders.CONFIG.items() if key not in ("model_type", "type_vocab_size")} | {"pad_token_id": 0}
CLASSES = {head: name.removeprefix("Bert") for head, name in folders.ARCHITECTURES.items()} | {
    "masked-lm": "ForMaskedLM",
    EMBEDDING: "Model",
}
OTHERS: dict[str, Json] = {  # families that tests' folders don't make: what config.json has beside SIZES
    "modernbert": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 160000.0,
        "local_rope_theta": 10000.0,
        "hidden_activation": "gelu",
        "norm_eps": 1e-5,
        "classifier_dropout": 0.0,
        "classifier_pooling": "cls",
        "classifier_activation": "gelu",
        "layer_types": ["full_attention", "sliding_attention"],
        **{f"{part}_bias": False for part in ("attention", "mlp", "norm", "classifier")},
    },
    "nomic_bert": {"type_vocab_size": 2, "head_dim": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    "gte": {"type_vocab_size": 2, "head_dim": 4, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    "jina_embeddings_v3": {"type_vocab_size": 2, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
    "eurobert": {
        "num_key_value_heads": 1,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "classifier_pooling": "late",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    },
    "gemma3_text": {  # as EmbeddingGemma has it: without a head
        "use_bidirectional_attention": True,
        "num_key_value_heads": 1,
        "head_dim": 4,
        "query_pre_attn_scalar": 4,
        "sliding_window": 8,
        "sliding_window_pattern": 2,
        "layer_types": ["sliding_attention", "full_attention"],
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": 1e-6,
        "rope_theta": 500.0,
        "rope_local_base_freq": 30.0,
        "attention_bias": False,
    },
}
MORE: dict[str, Json] = {  # what config.json of a family may say beside DEFAULTS
    "deberta": {"talking_head": False, "position_biased_input": True, "pooler_hidden_act": "gelu", "pooler_hidden_size": 12},
    "deberta-v2": {
        "share_att_key": False,
        "position_biased_input": True,
        "conv_kernel_size": 0,
        "pooler_hidden_act": "gelu",
        "pooler_hidden_size": 12,
        "attention_head_size": 4,
    },
    "ernie": {"use_task_id": True, "task_type_vocab_size": 3},
}
DEFAULTS: Json = {  # what config.json may say beside the sizes that tests' folders name
    "hidden_act": "gelu",
    "activation": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 1,
    "problem_type": None,
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "tie_word_embeddings": True,
    "hidden_dropout_prob": 0.1,
    "classifier_dropout": None,
    "num_labels": 3,
    "use_cache": True,
}


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="build/bertha")
    parser.add_argument("--family", choices=[*folders.FAMILIES, *OTHERS, *PUBLISHED], action="append")
    parser.add_argument("--head", choices=list(CLASSES), default="sequence-classification")
    parser.add_argument("--show", action="store_true", help="print what is not refused or equal")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    bad = 0
    every = [family for family in (*folders.FAMILIES, *OTHERS, *PUBLISHED) if has_head(family, options.head)]
    for family in options.family or every:
        counts: collections.Counter[str] = collections.Counter()
        with tempfile.TemporaryDirectory() as name, unittest.mock.patch("os.fsync"):
            folder = Path(name) / "model"
            for what in mutations(folder, family, options.head):
                judge = functools.partial(as_published, name=family) if family in PUBLISHED else outcome
                result, why = judge(folder, program=options.program)
                counts[result] += 1
                if options.show and result not in ("refused", "equal"):
                    print(f"{result}: {family}: {what}: {why[:200]}", file=sys.stderr, flush=True)
        print(json.dumps({"family": family, "mutations": sum(counts.values()), **counts}), flush=True)
        bad += sum(counts[each] for each in SEVERE)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
