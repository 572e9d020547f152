"""The converter's tokenizer rules against transformers, on generated folders."""

from __future__ import annotations

import json
import random
import unittest
from pathlib import Path
from typing import Any

from oracle import NEEDS, RULES, Case, RulesTest

Json = dict[str, Any]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [
    "a",
    "b",
    "c",
    "ab",
    "##a",
    "##b",
    "##c",
    "A",
    "B",
    "\u00e9",
    "e",
    "[",
    "]",
    "##]",
    ".",
    "\u4e2d",
    "<x>",
    "[unused0]",
]
CLASSES = (
    "BertTokenizer",
    "BertTokenizerFast",
    None,
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "ElectraTokenizer",
    "ElectraTokenizerFast",
)
FOLDERS = 600


def _choice(rng: random.Random, chance: float, *values: Any) -> list[Any]:
    """One of the values in a list, or an empty list."""
    return [rng.choice(values)] if rng.random() < chance else []


def _added(rng: random.Random, content: str, index: int | None = None) -> Json:
    """An added token with random flags, as JSON files hold it."""
    flags = {key: rng.random() < 0.3 for key in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return ({} if index is None else {"id": index}) | {"content": content} | flags


def _vocabulary(rng: random.Random) -> list[str]:
    """The special tokens, some of them elsewhere or missing, and pieces in random order."""
    specials = list(SPECIALS)
    if rng.random() < 0.15:
        specials.remove("[MASK]")
    pieces = rng.sample(PIECES, len(PIECES))
    return pieces[:3] + specials + pieces[3:] if rng.random() < 0.3 else specials + pieces


def _tokenizer_config(rng: random.Random, vocabulary: list[str]) -> Json:
    """A tokenizer_config.json with some of everything that folders have."""
    config: Json = {}
    for key, values in {
        "do_lower_case": (True, False),
        "strip_accents": (None, True, False),
        "tokenize_chinese_chars": (True, False),
        "model_max_length": (512, 64, 10**30),
        "max_len": (512,),
        "do_basic_tokenize": (True, False),
        "never_split": (None,),
        "clean_up_tokenization_spaces": (True, False),
        "mask_token": ("[MASK]", "<x>", {"__type": "AddedToken", **_added(rng, "[MASK]")}),
        "cls_token": ("[CLS]",),
        "sep_token": ("[SEP]", "."),
        "bos_token": ("<s>", None),
        "additional_special_tokens": (["<x>"], ["<new>", "<x>"], []),
    }.items():
        for value in _choice(rng, 0.35, *values):
            config[key] = value
    for key in _choice(rng, 0.8, *CLASSES):
        config["tokenizer_class"] = key
    for names in _choice(rng, 0.15, ["input_ids", "attention_mask"], ["input_ids", "token_type_ids"]):
        config["model_input_names"] = names
    if rng.random() < 0.3:
        tokens = rng.sample([*SPECIALS, "<x>", "a", "<new>"], rng.randrange(1, 6))
        ids = {token: i for i, token in enumerate(vocabulary)} | {"<new>": len(vocabulary)}
        config["added_tokens_decoder"] = {str(ids[token]): _added(rng, token) for token in tokens if token in ids}
    return config


def _normalizer(rng: random.Random) -> Json:
    """A BertNormalizer, mostly."""
    if rng.random() < 0.2:
        return {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"}]}
    return {
        "type": "BertNormalizer",
        "clean_text": rng.random() < 0.8,
        "handle_chinese_chars": rng.random() < 0.7,
        "strip_accents": rng.choice([None, True, False]),
        "lowercase": rng.random() < 0.5,
    }


def _tokenizer_json(rng: random.Random, vocabulary: list[str]) -> Json:
    """A tokenizer.json whose options need not be those of tokenizer_config.json."""
    index = {token: i for i, token in enumerate(vocabulary)}
    tokens = [token for token in [*SPECIALS, "<x>", "ab"] if token in index and rng.random() < 0.7]
    cls, sep = index["[CLS]"], index["[SEP]"]
    single = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
    ]
    template = {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
        "special_tokens": {
            token: {"id": token, "ids": [i], "tokens": [token]} for token, i in (("[CLS]", cls), ("[SEP]", sep))
        },
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{**_added(rng, token, index[token])} for token in sorted(tokens, key=index.get)],
        "normalizer": _normalizer(rng),
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": rng.choice(
            [template, {"type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls]}]
        ),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": rng.random() < 0.7},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": rng.choice([100, 7]),
            "vocab": index,
        },
    }


def _write(folder: Path, name: str, value: Json) -> None:
    """Writes a JSON file."""
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


def make_folder(folder: Path, rng: random.Random) -> None:
    """A folder with a random choice of tokenizer files."""
    _write(folder, "config.json", {"model_type": rng.choice(["bert", "distilbert", "electra"]), "vocab_size": 99})
    vocabulary = _vocabulary(rng)
    has_json = rng.random() < 0.5
    if not has_json or rng.random() < 0.5:
        endings = rng.choice(["\n", "\n", "\r\n"])
        odd = rng.choice(["", "", "\u3000", " ", "x\u0085y"])  # white space that one reader cuts and the other keeps
        lines = [*vocabulary, *([f"q{odd}", f"##q{odd}"] if odd else []), *(["a"] if rng.random() < 0.2 else [])]
        text = endings.join(lines) + rng.choice(["", endings])
        (folder / "vocab.txt").write_bytes(text.encode("utf-8"))
    if has_json:
        _write(folder, "tokenizer.json", _tokenizer_json(rng, vocabulary))
    if rng.random() < 0.85:
        _write(folder, "tokenizer_config.json", _tokenizer_config(rng, vocabulary))
    if rng.random() < 0.4:
        mask = rng.choice(["[MASK]", _added(rng, "[MASK]")])
        extra = {"additional_special_tokens": ["<x>", "<more>"]} if rng.random() < 0.3 else {}
        _write(folder, "special_tokens_map.json", {"unk_token": "[UNK]", "mask_token": mask, **extra})
    if rng.random() < 0.25:
        _write(folder, "added_tokens.json", {"<x>": vocabulary.index("<x>"), "<old>": len(vocabulary)})


MPNET = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}


def make_mpnet_folder(folder: Path, rng: random.Random) -> None:
    """The same for MPNet, whose special tokens are others."""
    make_folder(folder, rng)
    for path in folder.iterdir():
        text = path.read_bytes().decode()
        for old, new in MPNET.items():
            text = text.replace(old, new)
        path.write_bytes(text.encode())
    _write(folder, "config.json", {"model_type": "mpnet", "vocab_size": 99})
    for name in ("tokenizer_config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            continue
        value = json.loads((folder / name).read_text(encoding="utf-8"))
        if "tokenizer_class" in value:
            value["tokenizer_class"] = rng.choice(["MPNetTokenizer", "MPNetTokenizerFast"])
        if "post_processor" in value and rng.random() < 0.7:
            ids = value["model"]["vocab"]
            ends = {"sep": ["</s>", ids["</s>"]], "cls": ["<s>", ids["<s>"]]}
            value["post_processor"] = {"type": "RobertaProcessing", **ends, "trim_offsets": True, "add_prefix_space": False}
        _write(folder, name, value)


def _comparable(engine: Any) -> Json:
    """What a tokenizer does, part by part (writing the whole of it prints a warning where ids are missing)."""
    parts = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
    state: Json = {part: json.loads(getattr(engine, part).__getstate__()) for part in parts}
    normalizer = state["normalizer"]
    if normalizer.get("strip_accents", False) is None:
        normalizer["strip_accents"] = normalizer["lowercase"]
    model = engine.model
    state["model"] = [
        type(model).__name__,
        model.unk_token,
        model.continuing_subword_prefix,
        model.max_input_chars_per_word,
    ]
    state["vocabulary"] = engine.get_vocab(with_added_tokens=False)
    state["added_tokens"] = {index: repr(token) for index, token in engine.get_added_tokens_decoder().items()}
    return state


LACKS = "there is no (unk|cls|sep|pad)_token"
CASES = {
    "bert": Case(make_folder, FOLDERS, _comparable, LACKS),
    "mpnet": Case(make_mpnet_folder, FOLDERS // 3, _comparable, LACKS),
}


class TokenizerRules(RulesTest):
    @unittest.skipUnless(RULES, NEEDS)
    def test_the_table_gives_the_tokenizer_that_transformers_loads(self) -> None:
        for name, case in CASES.items():
            self.assertGreater(self.compare(case), case.count * 0.6, name)

    def test_the_table_gives_the_tokenizer_that_transformers_4_loaded(self) -> None:
        for name, case in CASES.items():
            self.assertGreater(self.compare_recorded(name, case), case.count * 0.6, name)


if __name__ == "__main__":
    unittest.main()
