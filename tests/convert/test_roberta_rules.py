"""The converter's rules for RoBERTa's tokenizers against transformers, on generated folders."""

import json
import random
import unittest
from pathlib import Path
from typing import Any

import byte_folders
from oracle import NEEDS, RULES, Case, RulesTest

Json = dict[str, Any]
FOLDERS = 300
TEXTS = (
    "",
    " the ab <mask> in\u00e9  <s>a</s> THE's the <new>,<x> \U0001f600",
    "<x>the\n\nab  ",
    "in<mask>ab <pad><unk>",
)


def _flags(rng: random.Random) -> Json:
    """Random flags of an added token."""
    return {key: rng.random() < 0.3 for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}


DEBERTA = {"<s>": "[CLS]", "</s>": "[SEP]", "<unk>": "[UNK]", "<pad>": "[PAD]", "<mask>": "[MASK]"}


def make_deberta_folder(folder: Path, rng: random.Random) -> None:
    """The same for DeBERTa's class, with its special tokens."""
    make_folder(folder, rng)
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8").replace("RobertaTokenizer", "DebertaTokenizer")
        for old, new in DEBERTA.items():
            text = text.replace(old, new)
        path.write_bytes(text.encode())
    byte_folders.write_json(folder / "config.json", {"model_type": "deberta", "vocab_size": 999})


def _config(rng: random.Random, index: dict[str, int]) -> Json:
    """A tokenizer_config.json with some of everything that folders have."""
    config: Json = {}
    choices: dict[str, tuple[Any, ...]] = {
        "add_prefix_space": (True, False),
        "trim_offsets": (True, False),
        "model_max_length": (512, 10**30),
        "max_len": (512,),
        "errors": ("replace",),
        "mask_token": ("<mask>", "<x>", {"__type": "AddedToken", "content": "<mask>", **_flags(rng)}),
        "cls_token": ("<s>", {"__type": "AddedToken", "content": "<s>", **_flags(rng)}),
        "sep_token": ("</s>", "<x>"),
        "unk_token": ("<unk>",),
        "bos_token": ("<s>", None),
        "additional_special_tokens": (["<x>"], ["<new>", "<x>"], []),
    }
    for key, values in choices.items():
        if rng.random() < 0.35:
            config[key] = rng.choice(values)
    kind = rng.choice(("RobertaTokenizer", "RobertaTokenizer", "RobertaTokenizerFast", None, "PreTrainedTokenizerFast"))
    if kind is not None:
        config["tokenizer_class"] = kind
    if kind == "PreTrainedTokenizerFast":
        config |= {f"{name}_token": text for name, text in (("unk", "<unk>"), ("cls", "<s>"), ("sep", "</s>"))}
        config["pad_token"] = "<pad>"
    if rng.random() < 0.3:
        tokens = rng.sample([*byte_folders.SPECIALS, "<mask>", "ab", "<x>"], rng.randrange(1, 6))
        config["added_tokens_decoder"] = {str(index[token]): {"content": token, **_flags(rng)} for token in tokens}
    return config


def _tokenizer_json(rng: random.Random, index: dict[str, int]) -> Json:
    """A tokenizer.json whose options need not be those of tokenizer_config.json."""
    merges: list[Any] = [list(merge) for merge in byte_folders.MERGES]
    if rng.random() < 0.5:
        merges = [" ".join(merge) for merge in merges]
    written = byte_folders.tokenizer_json(vocab=index, merges=merges)
    if rng.random() < 0.3:
        written["model"] |= {"unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None}
    for token in written["added_tokens"]:
        if rng.random() < 0.3:
            token |= _flags(rng)
    written["added_tokens"] = [token for token in written["added_tokens"] if rng.random() < 0.8]
    space, trim = rng.random() < 0.4, rng.random() < 0.7
    written["pre_tokenizer"] |= {"add_prefix_space": space, "use_regex": True}
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [index["<s>"]], "tokens": ["<s>"]}},
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": trim, "use_regex": True}
    roberta = {**written["post_processor"], "trim_offsets": trim, "add_prefix_space": space}
    sequence = {"type": "Sequence", "processors": [byte_level, template]}
    written["post_processor"] = rng.choice([roberta, roberta, template, sequence])
    return written


def make_folder(folder: Path, rng: random.Random) -> None:
    """A folder with a random choice of tokenizer files."""
    byte_folders.write_json(folder / "config.json", {"model_type": "roberta", "vocab_size": 999})
    index = byte_folders.vocabulary([*byte_folders.MERGES, ("<x", ">")])
    if rng.random() < 0.1:
        del index["<mask>"]
    config = _config(rng, index | {"<mask>": len(index)})
    needs_json = config.get("tokenizer_class") == "PreTrainedTokenizerFast"
    written = _tokenizer_json(rng, index) if needs_json or rng.random() < 0.5 else None
    lines = [f"{a} {b}" for a, b in byte_folders.MERGES]
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines)), lines[5])  # a pair that is given twice
    first, ending = rng.choice(["#version: 0.2", "#version: 0.2", "a b"]), rng.choice(["\n", "\n", "\r\n"])
    merges = ending.join([first, *lines]) + rng.choice(["", ending, ending])
    files: Json = {"vocab": index}
    if rng.random() < 0.4:
        extra = {"additional_special_tokens": ["<x>", "<more>"]} if rng.random() < 0.3 else {}
        mask = rng.choice(["<mask>", {"content": "<mask>", **_flags(rng)}])
        files["special_tokens_map"] = {"unk_token": "<unk>", "mask_token": mask, **extra}
    if rng.random() < 0.2:
        files["added_tokens"] = {"<x>": index["<x>"], "<old>": len(index)}
    if written is not None:
        files.pop("vocab")
    byte_folders.write_folder(folder, config=config, tokenizer=written, merges=merges, **files)


def _parts(engine: Any) -> Json:
    """What a tokenizer does, part by part."""
    parts = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
    state: Json = {part: json.loads(getattr(engine, part).__getstate__()) for part in parts if getattr(engine, part)}
    model = json.loads(engine.model.__getstate__())
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        model[key] = model[key] or ""
    added = {index: repr(token) for index, token in engine.get_added_tokens_decoder().items()}
    return state | {"model": model, "added_tokens": added, "encoded": [_encoded(engine, text) for text in TEXTS]}


def _encoded(engine: Any, text: str) -> Json:
    """What an engine makes of a text."""
    encoding = engine.encode(text, text)
    return {"ids": encoding.ids, "offsets": encoding.offsets, "types": encoding.type_ids}


CASES = {
    "roberta": Case(make_folder, FOLDERS, _parts, "add_prefix_space"),
    "deberta": Case(make_deberta_folder, FOLDERS // 2, _parts, "add_prefix_space"),
}


class RobertaRules(RulesTest):
    @unittest.skipUnless(RULES, NEEDS)
    def test_the_rules_give_the_tokenizer_that_transformers_loads(self) -> None:
        for name, case in CASES.items():
            self.assertGreater(self.compare(case), case.count * 0.6, name)

    def test_they_give_the_tokenizer_that_transformers_4_loaded(self) -> None:
        for name, case in CASES.items():
            self.assertGreater(self.compare_recorded(name, case), case.count * 0.6, name)


if __name__ == "__main__":
    unittest.main()
