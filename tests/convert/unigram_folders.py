"""Folders with a small Unigram tokenizer: its tokenizer.json, or the .model that SentencePiece would have written."""

from __future__ import annotations

import base64
import json
import struct
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tools"), str(Path(__file__).resolve().parents[1] / "data")]

from darts import compiled  # noqa: E402

Json = dict[str, Any]
MARK = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
RULES = {"\uff21": "A", "\ufb01": "fi", "\u00ad": "", "\t": " ", "e\u0301": "\u00e9", "\u2460": "1"}
CHARSMAP = compiled(RULES)
TEXTS = [MARK, MARK + "a", "a", "b", "ab", MARK + "ab", "c", "A", "1,", "x,", "\u00e9", "e", "fi", '"', ".", "<0x41>"]
FAIRSEQ = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
ALBERT = [("<pad>", CONTROL), ("<unk>", UNKNOWN), ("[CLS]", CONTROL), ("[SEP]", CONTROL), ("[MASK]", CONTROL)]
DEBERTA = [("[PAD]", CONTROL), ("[CLS]", CONTROL), ("[SEP]", CONTROL), ("[UNK]", UNKNOWN)]
STARTS = {
    "XLMRobertaTokenizer": (FAIRSEQ, 0),
    "CamembertTokenizer": (FAIRSEQ, 0),
    "AlbertTokenizer": (ALBERT, 1),
    "DebertaV2Tokenizer": (DEBERTA, 3),
}
FILES = {
    "XLMRobertaTokenizer": "sentencepiece.bpe.model",
    "CamembertTokenizer": "sentencepiece.bpe.model",
    "AlbertTokenizer": "spiece.model",
    "DebertaV2Tokenizer": "spm.model",
}


def varint(value: int) -> bytes:
    """A number as Protocol Buffers writes it."""
    value &= 2**64 - 1
    result = b""
    while value > 0x7F:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])


def field(number: int, value: int | float | bytes) -> bytes:
    """A field of a message."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pieces(name: str, texts: list[str] | None = None) -> list[tuple[str, float, int]]:
    """The pieces of a class's model: text, score, type."""
    start = [(text, 0.0, kind) for text, kind in STARTS[name][0]]
    more = [(text, -1.25 - index / 8, NORMAL) for index, text in enumerate(TEXTS if texts is None else texts)]
    return [*start, *more, ("<user>", 0.0, USER_DEFINED)]


def model_file(
    all_pieces: list[tuple[str, float, int]],
    unknown: int,
    charsmap: bytes = CHARSMAP,
    model_type: int = 1,
    more: list[tuple[int, int | bytes]] = [],
) -> bytes:
    """A .model, `more` being fields of its trainer."""
    result = b"".join(
        field(1, field(1, text.encode()) + field(2, score) + (field(3, kind) if kind != NORMAL else b""))
        for text, score, kind in all_pieces
    )
    trainer = field(3, model_type) + field(4, 8000) + field(40, unknown) + field(45, b"<unk>")
    trainer += b"".join(field(number, value) for number, value in more)
    normalizer = field(1, b"nmt_nfkc") + (field(2, charsmap) if charsmap else b"") + field(3, 1)
    return result + field(2, trainer) + field(3, normalizer)


def write_model(folder: Path, name: str, **options: Any) -> None:
    """Writes a class's .model into a folder."""
    (folder / FILES[name]).write_bytes(model_file(pieces(name), STARTS[name][1], **options))


def vocabulary(name: str) -> list[list[Any]]:
    """The vocabulary that a class's tokenizer.json has."""
    own = [[text, score] for text, score, _ in pieces(name)]
    if name == "XLMRobertaTokenizer":
        return [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], *own[3:], ["<mask>", 0.0]]
    if name == "CamembertTokenizer":
        start = [["<s>NOTUSED", 0.0], ["<pad>", 0.0], ["</s>NOTUSED", 0.0], ["<unk>", 0.0], ["<unk>NOTUSED", -100.0]]
        return [*start, *own[1:], ["<mask>", 0.0]]
    return own if name == "AlbertTokenizer" else [*own, ["[MASK]", 0.0]]


def added(index: int, content: str, **flags: bool) -> Json:
    """An added token as tokenizer.json has it."""
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    return {"id": index, "content": content} | {name: flags.get(name, name == "special") for name in names}


def tokenizer_json(name: str = "XLMRobertaTokenizer", **model: Any) -> Json:
    """A tokenizer.json of a class, with changes to its model."""
    tokens = [text for text, _ in vocabulary(name)]
    bert = name in ("AlbertTokenizer", "DebertaV2Tokenizer")
    first, last, mask = ("[CLS]", "[SEP]", "[MASK]") if bert else ("<s>", "</s>", "<mask>")
    unknown = "[UNK]" if name == "DebertaV2Tokenizer" else "<unk>"
    special = sorted({first, last, unknown}, key=tokens.index)
    cls, sep = ({"SpecialToken": {"id": token, "type_id": 0}} for token in (first, last))
    last_of_pair = {"SpecialToken": {"id": last, "type_id": 1}}
    a, b = ({"Sequence": {"id": each, "type_id": int(bert and each == "B")}} for each in "AB")
    metaspace = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(tokens.index(token), token) for token in special]
        + [added(tokens.index(mask), mask, lstrip=True, special=True)],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(CHARSMAP).decode()},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, a, sep],
            "pair": [cls, a, sep, b, last_of_pair] if bert else [cls, a, sep, sep, b, sep],
            "special_tokens": {
                token: {"id": token, "ids": [tokens.index(token)], "tokens": [token]} for token in (first, last)
            },
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": tokens.index(unknown), "vocab": vocabulary(name), "byte_fallback": False}
        | model,
    }


def write_json(folder: Path, name: str, value: Json) -> None:
    """Writes a JSON file."""
    (folder / name).write_text(json.dumps(value), encoding="utf-8")
