"""The converter's rules for Unigram, and for a .model of any kind, against transformers, on generated folders."""

from __future__ import annotations

import base64
import json
import random
import unittest
from pathlib import Path
from typing import Any

import character_folders
import unigram_folders
from oracle import NEEDS, RULES, Case, RulesTest
from unigram_folders import CHARSMAP, STARTS, model_file, pieces, write_json, write_model

try:  # transformers reads a .model by these
    import google.protobuf  # noqa: F401
    import sentencepiece  # noqa: F401
except ImportError:
    RULES, NEEDS = None, "needs sentencepiece and protobuf"

Json = dict[str, Any]
FOLDERS = 300
# What transformers loads and bertha has no use for: tokenizers that lack a token; and Unigram whose decoder knows bytes.
NOT_TAKEN = (
    "there is no (unk|cls|sep|pad)_token|'<unk>' is not in the vocabulary|not supported for question answering"
    "|decoder doesn't fit.*ByteFallback"
)
MODEL_TYPES = {
    "XLMRobertaTokenizer": "xlm-roberta",
    "CamembertTokenizer": "camembert",
    "AlbertTokenizer": "albert",
    "DebertaV2Tokenizer": "deberta-v2",
}


def _choice(rng: random.Random, chance: float, *values: Any) -> list[Any]:
    """One of the values in a list, or an empty list."""
    return [rng.choice(values)] if rng.random() < chance else []


def _tokenizer_config(rng: random.Random, name: str) -> Json:
    """A tokenizer_config.json with some of what folders have."""
    config: Json = {}
    mask = "[MASK]" if name in ("AlbertTokenizer", "DebertaV2Tokenizer") else "<mask>"
    flags = {key: rng.random() < 0.4 for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    for key, values in {
        "do_lower_case": (True, False),
        "keep_accents": (True, False),
        "add_prefix_space": (True, False),
        "split_by_punct": (False,),
        "model_max_length": (512, 10**30),
        "mask_token": (mask, {"__type": "AddedToken", "content": mask, **flags}),
        "additional_special_tokens": (["<x>"], [], ["<s>NOTUSED", "</s>NOTUSED"]),
        "sp_model_kwargs": ({},),
        "add_bos_token": (True, False),
    }.items():
        for value in _choice(rng, 0.3, *values):
            config[key] = value
    for suffix in _choice(rng, 0.8, "", "Fast"):
        config["tokenizer_class"] = name + suffix
    return config


def _tokenizer_json(rng: random.Random, name: str) -> Json:
    """A tokenizer.json whose parts need not be those that the class has."""
    written = unigram_folders.tokenizer_json(name)
    precompiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(CHARSMAP).decode()}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": rng.choice([" ", "\u2581"])}
    strip = {"type": "Strip", "strip_left": False, "strip_right": True}
    parts = rng.choice([[precompiled], [precompiled, strip, spaces], [{"type": "Lowercase"}, precompiled], [spaces]])
    written["normalizer"] = {"type": "Sequence", "normalizers": parts} if rng.random() < 0.6 else precompiled
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": rng.choice(["always", "first"])}
    if rng.random() < 0.5:
        written["pre_tokenizer"] = metaspace | {"split": rng.random() < 0.8}
    for token in written["added_tokens"]:
        token["normalized"] = rng.random() < 0.2
    if rng.random() < 0.3:
        del written["added_tokens"][rng.randrange(len(written["added_tokens"]))]
    return written


def _general_config(rng: random.Random, name: str) -> Json:
    """A tokenizer_config.json of a class that knows no special tokens, or Gemma's."""
    named = {"cls": "<s>", "sep": "</s>", "pad": "<pad>"} if rng.random() < 0.8 else {}
    config: Json = {f"{key}_token": token for key, token in named.items()} | {"tokenizer_class": name}
    for key, values in {
        "add_bos_token": (True, False),
        "add_eos_token": (True,),
        "unk_token": ("<unk>", "b"),
        "bos_token": ("<s>", None),
        "additional_special_tokens": (["<x>"], []),
        "added_tokens_decoder": ({"3": character_folders.added(3, "<free>")}, {"2": character_folders.added(2, "a")}),
    }.items():
        for value in _choice(rng, 0.2, *values):
            config[key] = value
    return config


def make_general_folder(folder: Path, rng: random.Random) -> None:
    """A folder of a general class, or of Gemma's, with a .model or a tokenizer.json of BPE."""
    name = rng.choice(["PreTrainedTokenizerFast", "TokenizersBackend", "GemmaTokenizer", "GemmaTokenizerFast"])
    write_json(folder, "config.json", {"model_type": rng.choice(["modernbert", "roberta", "bert"])})
    write_json(folder, "tokenizer_config.json", _general_config(rng, name))
    if rng.random() < 0.3:
        write_json(folder, "tokenizer.json", rng.choice([character_folders.gemma, character_folders.robertuito])())
        return
    made = pieces("XLMRobertaTokenizer")
    made[2:2] = [("<pad>", 0.0, unigram_folders.CONTROL)] if rng.random() < 0.8 else []
    trainer = [(41, rng.choice([1, -1])), (46, rng.choice([b"<s>", b"a"])), (35, rng.random() < 0.3)]
    kind = rng.choice([1, 2, 2, 2, 3])
    charsmap = rng.choice([CHARSMAP, b""])
    data = model_file(made, 0, charsmap=charsmap, model_type=kind, more=rng.sample(trainer, rng.randrange(4)))
    (folder / "tokenizer.model").write_bytes(data)


def make_folder(folder: Path, rng: random.Random) -> None:
    """A folder with a random choice of tokenizer files."""
    name = rng.choice(list(STARTS))
    write_json(folder, "config.json", {"model_type": MODEL_TYPES[name], "vocab_size": 99})
    config = _tokenizer_config(rng, name)
    if name != "DebertaV2Tokenizer" and rng.random() < 0.15:  # a BERT with another's vocabulary
        write_json(folder, "config.json", {"model_type": "bert", "vocab_size": 99})
        config["tokenizer_class"] = name
    has_json = rng.random() < 0.5
    if has_json:
        write_json(folder, "tokenizer.json", _tokenizer_json(rng, name))
    if not has_json or rng.random() < 0.3:
        write_model(folder, name, charsmap=rng.choice([CHARSMAP, b""]), model_type=rng.choice([1, 1, 2, 3]))
    write_json(folder, "tokenizer_config.json", config)
    if rng.random() < 0.3:
        mask = "[MASK]" if name in ("AlbertTokenizer", "DebertaV2Tokenizer") else "<mask>"
        mask = rng.choice([mask, {"content": mask, "lstrip": True}])
        write_json(folder, "special_tokens_map.json", {"mask_token": mask})


def _comparable(engine: Any) -> Json:
    """What a tokenizer does, part by part."""
    parts = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "model")
    state = {part: json.loads(p.__getstate__()) if (p := getattr(engine, part)) else None for part in parts}
    if (state["normalizer"] or {}).get("normalizers") == []:
        state["normalizer"] = None
    state["added_tokens"] = {index: repr(token) for index, token in engine.get_added_tokens_decoder().items()}
    return state


NAMED = ("cls", "sep", "pad")  # the unknown piece is the model's, whatever unk_token is
CASES = {"unigram": Case(make_folder, FOLDERS, _comparable, NOT_TAKEN, NAMED)}
GENERAL = Case(make_general_folder, FOLDERS, _comparable, NOT_TAKEN, NAMED)


class UnigramRules(RulesTest):
    @unittest.skipUnless(RULES, NEEDS)
    def test_the_rules_give_the_tokenizer_that_transformers_loads(self) -> None:
        self.assertGreater(self.compare(CASES["unigram"]), FOLDERS * 0.6)

    def test_they_give_the_tokenizer_that_transformers_4_loaded(self) -> None:
        self.assertGreater(self.compare_recorded("unigram", CASES["unigram"]), FOLDERS * 0.6)

    @unittest.skipUnless(RULES, NEEDS)
    @unittest.skipIf(RULES == "v4", "4.57.6 reads no .model there")
    def test_a_model_of_a_general_class_is_read_as_transformers_reads_it(self) -> None:
        self.assertGreater(self.compare(GENERAL), FOLDERS * 0.5)


if __name__ == "__main__":
    unittest.main()
