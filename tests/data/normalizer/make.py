#!/usr/bin/env python3
"""Writes the golden data of normalisers made of steps, from `tokenizers`: three files in this folder.

    python3 tests/data/normalizer/make.py

`wordpiece.jsonl` and `byte_bpe.jsonl` are texts tokenised behind such normalisers, as those of the folders tokenizer and
byte_bpe are. `steps.jsonl` is what normalisers make of texts, and where each code point came from: the first line names what it was made with and the normalisers: as tokenizer.json has them, and as steps. Each other line is
a text, the name of a normaliser, the normalised text, and start and end of the original code points for each of its own.
"""

import importlib.util
import json
import pathlib
import sys

import tokenizers
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tools"), str(HERE.parents[2] / "tools/diff")]
from bertha_convert.normalizer import steps_of  # noqa: E402
from golden_cases import case, write_lines  # noqa: E402
from generate import generate  # noqa: E402

NFD, NFKD, NFC, NFKC, LOWER, MARKS = ({"type": name} for name in ("NFD", "NFKD", "NFC", "NFKC", "Lowercase", "StripAccents"))
BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}


def replace(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def strip(left, right):
    return {"type": "Strip", "strip_left": left, "strip_right": right}


NORMALIZERS = {
    "nfc": [NFC], "nfkc": [NFKC], "nfd": [NFD], "nfkd": [NFKD],
    "course": [NFD, LOWER, MARKS],  # of Hugging Face's course, and of what follows it
    "albert": [replace("``", '"'), replace("''", '"'), NFKD, MARKS, LOWER],
    "strip": [strip(True, True), NFC], "left": [NFKC, strip(True, False)], "right": [strip(False, True), LOWER],
    "bert": [NFC, BERT, NFKC], "cased": [{**BERT, "lowercase": False, "strip_accents": True}, NFC],
    "marks": [MARKS, NFC], "again": [NFKD, NFC, NFD, NFKC, LOWER, NFC],
    "replace": [NFD, replace("e\u0301", "E"), replace("aa", "a"), replace("\u0323", ""), replace(" ", "\u2581"), NFC, replace("aba", "\u4e2d\u6587")],
}
TEXTS = [
    "", " ", "a", "\u0301", "a\u0301\u0323", "\u1e69\u0323\u0307", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u1112\u1161\u11a7", "\uac00\u11a8\u11a8",
    "\ufb01 \u00bd \u2460 \uff21 \u3300 \ufdfa", "\u212b \u2126", "\u0958 \u0915\u093c", "=\u0338 <\u0338", "a\u0344\u0301", "\u0f73\u0f72\u0f71\u0f74", "\u0130I\u0307",
    "  a b \u3000\n", "\u00a0\u2003", "''quoted`` ```", "aaaa ababababa", "e\u0301e\u0301", "\U0001d15e \U0001d165\U0001d16d", "\u0b47\u0b56\u0b3e",
    "\u09c7\u0301\u09be", "a\u0323\u0301\u0327\u0301", "\u1ebf \u1ebf\u0323", "\u3075\u3099 \u30cf\u309a", "\u0061\u0315\u0300\u05ae\u0062", "A\u030a\u0327", "q\u0307\u0323",
]


def characters(normalizer, text):
    """The normalised text, and the original range of each of its code points."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(?m:.)|\\n|\\r"), "isolated")
    normalized = normalizer.normalize_str(text)
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    assert len(offsets) == len(normalized), (text, normalized, offsets)
    return normalized, offsets


def maker(kind):
    """The make.py of another folder."""
    spec = importlib.util.spec_from_file_location(kind, HERE.parent / kind / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_encoded(parsed, head):
    added = [{"content": "E\u0301t", "normalized": True}, {"content": "\ufb01x", "normalized": True, "single_word": True},
             {"content": "\u00e9", "lstrip": True}]
    texts = [text for text in TEXTS if text] + [
        "\u00c9T\u00e9 e\u0301t E\u0301T", "\ufb01x fix \ufb01xe", "a e\u0301 b\u00e9", "a[SEP]e\u0301<s>\u0301", " \u00a0<mask> \uff21<mask>\u0301"]
    bytes_of, words_of = maker("byte_bpe"), maker("tokenizer")
    bert = {"lowercase": True, "strip_accents": True, "clean_text": True, "handle_chinese_chars": True}
    words = {name: {**bert, "steps": head["normalizers"][name]["steps"], "added": [dict(token) for token in added]}
             for name in ("course", "albert", "nfkc", "strip", "bert", "replace")}
    byte_level = {f"{name} {space} {trim}": {"add_prefix_space": space, "trim_offsets": trim, "added": [dict(token) for token in added],
                                             "steps": head["normalizers"][name]["steps"]}
                  for name in ("nfc", "nfkd", "left", "replace") for space in (False, True) for trim in (False, True)}
    vocab = json.loads((HERE.parent / "byte_bpe/vocab.json").read_text(encoding="ascii"))
    merges = [tuple(line.split()) for line in (HERE.parent / "byte_bpe/merges.txt").read_text("utf-8").splitlines()[1:]]
    for file, seed, vocabulary, configurations, build in (
            ("wordpiece.jsonl", 23, "tokenizer/vocab.txt", words, lambda c: words_of.build(
                words_of.vocabulary(), {k: v for k, v in c.items() if k != "steps"})),
            ("byte_bpe.jsonl", 29, "byte_bpe/vocab.json", byte_level, lambda c: bytes_of.build(vocab, merges, c))):
        made = [item["text"] for item in generate(400, HERE.parent / vocabulary, seed=seed)[0] if len(item["text"]) <= 40][:160]
        cases, tokenizer_of = [], {}
        names = list(configurations)
        for name in names:
            tokenizer = build(configurations[name])
            tokenizer.normalizer = parsed[name.split()[0]]
            tokenizer_of[name] = Tokenizer.from_str(tokenizer.to_str())  # tokens are normalised when they are added
        for n, text in enumerate(texts + made):
            for name in names if n < len(texts) else [names[n % len(names)]]:
                cases.append(case(name, tokenizer_of[name], text))
        write_lines(HERE / file, {"made_by": "tests/data/normalizer/make.py", "tokenizers": tokenizers.__version__,
                                  "configurations": configurations}, cases)


def main():
    parsed = {}
    for name, parts in NORMALIZERS.items():
        empty = json.loads(Tokenizer(models.WordLevel({"?": 0}, unk_token="?")).to_str())
        empty["normalizer"] = {"type": "Sequence", "normalizers": parts}
        parsed[name] = Tokenizer.from_str(json.dumps(empty)).normalizer
    head = {"tokenizers": tokenizers.__version__,
            "normalizers": {name: {"parts": parts, "steps": steps_of({"type": "Sequence", "normalizers": parts})}
                            for name, parts in NORMALIZERS.items()}}
    cases = [(name, text) for name in NORMALIZERS for text in TEXTS]
    made, _ = generate(5000, HERE.parent / "tokenizer/vocab.txt", seed=19)
    names = list(NORMALIZERS)
    short = [item["text"] for item in made if len(item["text"]) <= 40][:2400]
    cases += [(names[i % len(names)], text) for i, text in enumerate(short)]
    lines = [head]
    for name, text in cases:
        normalized, offsets = characters(parsed[name], text)
        lines.append({"normalizer": name, "text": text, "normalized": normalized, "offsets": [o for pair in offsets for o in pair]})
    out = HERE / "steps.jsonl"
    out.write_text("".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    write_encoded(parsed, head)
    print(f"{out}: {len(cases)} texts, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
