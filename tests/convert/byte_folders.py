"""Small folders with a byte-level BPE tokenizer, as RoBERTa's are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from folders import write_json
from tokenizers import pre_tokenizers

Json = dict[str, Any]

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
MERGES = [
    ("\u0120", "t"),
    ("h", "e"),
    ("\u0120t", "he"),
    ("i", "n"),
    ("\u0120", "a"),
    ("a", "b"),
    ("\u00c3", "\u00a9"),  # the two bytes of U+00E9
    ("\u0120", "\u0120"),
    ("'", "s"),
]
CLASS = {"tokenizer_class": "RobertaTokenizer"}


def vocabulary(merges: list[tuple[str, str]] = MERGES) -> dict[str, int]:
    """Special tokens, the byte alphabet, what the merges make, and the mask."""
    tokens = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges), "<mask>"]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def tokenizer_json(**model: Any) -> Json:
    """A tokenizer.json; `model` replaces fields of the model."""
    index = model.get("vocab") or vocabulary()
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": True}
    added = [{"id": index[token], "content": token, **flags} for token in [*SPECIALS, "<mask>"] if token in index]
    added[-1]["lstrip"] = True
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            **byte_level,
            "type": "RobertaProcessing",
            "sep": ["</s>", index["</s>"]],
            "cls": ["<s>", index["<s>"]],
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "vocab": index,
            "merges": [" ".join(merge) for merge in MERGES],
            **model,
        },
    }


def write_folder(
    folder: Path, *, config: Json | None = None, tokenizer: Json | None = None, merges: str | None = None, **files: Json
) -> None:
    """Writes vocab.json and merges.txt, or a tokenizer.json in their place, and more JSON files by name."""
    write_json(folder / "tokenizer_config.json", CLASS if config is None else config)
    if tokenizer is not None:
        write_json(folder / "tokenizer.json", tokenizer)
    else:
        write_json(folder / "vocab.json", files.pop("vocab", vocabulary()))
        text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES) if merges is None else merges
        (folder / "merges.txt").write_bytes(text.encode("utf-8"))
    for name, value in files.items():
        write_json(folder / f"{name}.json", value)
