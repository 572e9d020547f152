#!/usr/bin/env python3
"""Writes encode.jsonl in this folder, the golden data of BPE over characters, from `tokenizers`.

    python3 tests/data/character_bpe/make.py

The tokenizers are those of tests/convert/character_folders.py, and others made of them. The first line names what it was
made with and has them as the converter describes them (tools/format.md, section 4), with tokens and merges. Each other line
is a text or a pair with options and what `tokenizers` makes of it, window by window (offsets in code points, start and end
in turn; -1 for null).
"""

import pathlib
import random
import sys
import tempfile

import tokenizers

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "convert"), str(HERE.parents[2] / "tools")]
from bertha_convert.tokenizer import resolve  # noqa: E402
import character_folders  # noqa: E402
from character_folders import MARK, gemma, robertuito  # noqa: E402
import golden_cases  # noqa: E402

TEXTS = [
    "", " ", "  ", "the lake", " the", "the ", "  the   lake  ", "aabcabab", "a" * 40, "ab" * 30, "whole", "whole whole", "ab the",
    MARK, MARK * 5, "a" + MARK + MARK + "b", "\t", "a\n\nb", "\u3000a\u00a0b", "\u00e9", "e\u0301", "\u00f1\u4e2d", "q", "qz", "q \u4e2d z",
    "aqb", "a\U0001f600b", "\U0001f600\U0001f600", "\U0001f468\u200d\U0001f469", "\u0416\u0416a", "\u0416\u00e3a\U0001f600", "\ufb01a", "\uff21b", "\x00", "a\x00b", "\u0085",
    "<0x41>", "<0xE2><0x82>", "<unk>", "a<mask>b", "<s> a", "<bos>a", "</s>", "@user", "@user ", "a@user b", "@USER, a", "x@user@user b", "@user @user .",
    "_@user_", "url", " url ", "-url-url-", " url url .", "curl url!", "a\u00b2url ", "\u00b2@user\u00b2 ", "http://url ", "a hashtagb", "#hashtag",
]
KINDS = [["the ", "lake", "a", "ab", "abc", "aaaa", "whole", " ", "    ", "."], [MARK, "\t", "\u3000", "\u0085", "\u00b2", "_"],
         ["\u00e9", "e\u0301", "\ufb01", "\u4e2d", "\u6771", "\U0001f600", "\u0301", "\x00", "q", "\u0416"],
         ["@user", "@user ", "url", " url ", "http://url", "hashtag", "<0x41>"]]


def lacking(tokenizer, *tokens):
    """The same without some tokens of bytes."""
    tokenizer["model"]["vocab"] = {key: index for key, index in tokenizer["model"]["vocab"].items() if key not in tokens}
    return tokenizer


def first(tokenizer):
    """The same behind a split at white space, with a mark at the start of the text alone."""
    metaspace = {"type": "Metaspace", "replacement": MARK, "prepend_scheme": "first", "split": False}
    split = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}
    return tokenizer | {"pre_tokenizer": split, "decoder": metaspace}


CONFIGURATIONS = {
    "gemma": gemma(), "gemma_apart": gemma(fuse_unk=False) | {"pre_tokenizer": None}, "gemma_whole": gemma(ignore_merges=True),
    "gemma_lacking": lacking(gemma(), "<0xC3>", "<0xF0>"), "gemma_lacking_apart": lacking(gemma(fuse_unk=False), "<0xC3>", "<0xF0>"),
    "robertuito": robertuito(), "unknown": robertuito(unk_token="<unk>"), "fused": robertuito(unk_token="<unk>", fuse_unk=True),
    "whole": robertuito(ignore_merges=True), "first": first(robertuito()),
}


def case(*arguments, **options):
    """A case without token types: the template sets them to 0 in the first window alone."""
    result = golden_cases.case(*arguments, **options)
    for window in result["windows"]:
        window["type_ids"] = [0] * len(window["ids"])
    return result


def generated(count):
    """Texts of pieces that are put together."""
    rng = random.Random(7)
    for _ in range(count):
        kind = KINDS[rng.randrange(4)] if rng.random() < 0.6 else KINDS[0]
        parts = [rng.choice(kind if rng.random() < 0.6 else rng.choice(KINDS)) for _ in range(rng.randrange(1, 8))]
        yield "".join(part * (rng.randrange(2, 9) if rng.random() < 0.1 else 1) for part in parts)


def cases(engines):
    for text in TEXTS:
        for name, engine in engines.items():
            yield case(name, engine, text)
    for i, text in enumerate(generated(600)):
        name = list(engines)[i % len(engines)]
        yield case(name, engines[name], text)
    for name in ("gemma", "robertuito"):
        yield from golden_cases.pair_cases(case, name, engines[name], ("the lake", "\uff21 abc"), 24)
        yield case(name, engines[name], "<s>the <bos>\u00e9", split_special_tokens=True)


def main():
    engines, described = {}, {}
    for name, tokenizer in CONFIGURATIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            character_folders.write_folder(pathlib.Path(folder), tokenizer)
            resolved = resolve(pathlib.Path(folder), {}, False)
        engines[name] = resolved.engine
        described[name] = {"tokenizer": resolved.description, "tokens": resolved.tokens, "merges": resolved.merges}
    head = {"made_by": "tests/data/character_bpe/make.py", "tokenizers": tokenizers.__version__, "configurations": described}
    golden_cases.write_lines(HERE / "encode.jsonl", head, list(cases(engines)))


if __name__ == "__main__":
    main()
