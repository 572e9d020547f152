"""Folders with a small tokenizer of BPE over characters: Gemma's kind (mmBERT), and that of tokenizers' SentencePieceBPE
(RoBERTuito)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

Json = dict[str, Any]
MARK = "\u2581"
MERGES = [
    (MARK, "t"),
    ("h", "e"),
    (MARK + "t", "he"),
    ("a", "b"),
    (MARK, "a"),
    ("b", "c"),
    ("ab", "c"),
    ("a", "bc"),
    (MARK, MARK),
    (MARK + MARK, MARK + MARK),
    ("a", "a"),
    ("aa", "aa"),
    ("l", "a"),
    ("k", "e"),
    ("la", "ke"),
]
CHARACTERS = MARK + "abcdefhiklmnorstu.,!@\u00e9\u00f1\u4e2d"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
GEMMA_START = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
ROBERTA_START = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
NAMED = dict(zip(("bos", "pad", "eos", "unk", "mask", "cls", "sep"), [*ROBERTA_START, "<s>", "</s>"]))
GEMMA_NAMED = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>", "mask": "<mask>", "cls": "<bos>", "sep": "<eos>"}


def vocabulary(start: list[str], more: list[str]) -> dict[str, int]:
    """Tokens to ids: special ones, bytes perhaps, characters, and what merges make."""
    tokens = dict.fromkeys([*start, *more, *CHARACTERS, *(left + right for left, right in MERGES), "whole", "ab" + MARK])
    return {token: index for index, token in enumerate(tokens)}


def added(index: int, content: str, **flags: bool) -> Json:
    """An added token as tokenizer.json has it."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": index, "content": content} | {name: flags.get(name, name == "special") for name in names}


def _tokenizer_json(start: list[str], more: list[str], model: Json, parts: Json) -> Json:
    """A tokenizer.json."""
    vocab = vocabulary(start, more)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(vocab[token], token) for token in start],
        **parts,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [list(pair) for pair in MERGES],
        }
        | model,
    }


def _template(first: int, last: int, start: list[str]) -> Json:
    """`<first> A <last> B <last>`."""
    cls, sep = ({"SpecialToken": {"id": start[index], "type_id": 0}} for index in (first, last))
    a, b = ({"Sequence": {"id": each, "type_id": 0}} for each in "AB")
    special = {start[i]: {"id": start[i], "ids": [i], "tokens": [start[i]]} for i in (first, last)}
    return {"type": "TemplateProcessing", "single": [cls, a, sep], "pair": [cls, a, sep, b, sep], "special_tokens": special}


def gemma(**model: Any) -> Json:
    """Of Gemma's kind: spaces become marks, and the whole text is one word."""
    spaces = {"type": "Replace", "pattern": {"String": MARK}, "content": " "}
    return _tokenizer_json(
        GEMMA_START,
        BYTES,
        {"byte_fallback": True} | model,
        {
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": MARK},
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"String": " "},
                "behavior": "MergedWithPrevious",
                "invert": False,
            },
            "post_processor": _template(2, 1, GEMMA_START),
            "decoder": {"type": "Sequence", "decoders": [spaces, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        },
    )


def robertuito(**model: Any) -> Json:
    """Of RoBERTuito's kind: without an unknown token, and with its normaliser."""

    def replace(content: str, **pattern: str) -> Json:
        return {"type": "Replace", "pattern": pattern, "content": content}

    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False}
    metaspace = {"type": "Metaspace", "replacement": MARK, "add_prefix_space": True}
    return _tokenizer_json(
        ROBERTA_START,
        [],
        {"unk_token": None, "fuse_unk": False} | model,
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [
                    {"type": "NFKC"},
                    bert | {"lowercase": True},
                    replace(" @user ", Regex=r"(\W)?@user(\W)"),
                    replace(" hashtag ", String="hashtag"),
                    replace(" url ", Regex=r"(\W)url(\W)"),
                    replace(" url ", String="http://url"),
                ],
            },
            "pre_tokenizer": metaspace,
            "post_processor": {
                "type": "RobertaProcessing",
                "sep": ["</s>", 2],
                "cls": ["<s>", 0],
                "trim_offsets": True,
                "add_prefix_space": True,
            },
            "decoder": metaspace,
        },
    )


def write_folder(folder: Path, tokenizer: Json) -> None:
    """Writes the files of a tokenizer."""
    named = GEMMA_NAMED if tokenizer["added_tokens"][2]["content"] == "<bos>" else NAMED
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **{f"{key}_token": token for key, token in named.items()}}
    for name, value in (("tokenizer.json", tokenizer), ("tokenizer_config.json", config)):
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
