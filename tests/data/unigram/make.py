#!/usr/bin/env python3
"""Writes the golden data of Unigram, from `tokenizers`: charsmap.json and encode.jsonl in this folder, pieces.json if missing.

    python3 tests/data/unigram/make.py

The vocabulary is our own, trained on the sentences of the folder byte_bpe (training gives other scores each time: pieces.json
is made once), and the charsmap one of a few hundred entries.
`encode.jsonl`: the first line names what it was made with and the configurations, each other line is a text or a pair with
options and what `tokenizers` makes of it, window by window (offsets in code points, start and end in turn; -1 for null).
"""

import importlib.util
import json
import pathlib
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "tools"), str(HERE.parents[2] / "tools/diff")]
from bertha_convert import normalizer  # noqa: E402
from darts import compiled  # noqa: E402
import golden_cases  # noqa: E402
from generate import COMMON_COMPATIBLE, generate  # noqa: E402

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
MARK = "\u2581"
PLAIN = {"whitespace_split": True, "prepend_scheme": "always", "split": True, "byte_fallback": False, "parts": ["charsmap"]}
ADDED = [{"content": "<left>", "lstrip": True}, {"content": "<right>", "rstrip": True}, {"content": "word", "single_word": True},
         {"content": "\u00c9t\u00e9", "normalized": True}, {"content": "\uff21b", "normalized": True},
         {"content": MARK + "lake", "normalized": True}, {"content": " sp"}]
CONFIGURATIONS = {
    "xlmr": PLAIN,
    "raw": {**PLAIN, "parts": []},
    "never": {**PLAIN, "prepend_scheme": "never"},
    "first": {**PLAIN, "prepend_scheme": "first", "whitespace_split": False},
    "always": {**PLAIN, "whitespace_split": False},
    "whole": {**PLAIN, "whitespace_split": False, "split": False},
    "bytes": {**PLAIN, "byte_fallback": True, "parts": []},
    "whole_bytes": {**PLAIN, "byte_fallback": True, "whitespace_split": False, "split": False, "prepend_scheme": "never"},
    "old_xlmr": {**PLAIN, "whitespace_split": False, "parts": ["charsmap", "right", "spaces"]},
    "albert": {**PLAIN, "parts": ["quotes", "nfkd", "marks", "lower", "charsmap"]},
    "deberta": {**PLAIN, "whitespace_split": False, "prepend_scheme": "first", "parts": ["lower", "collapse", "nfc", "right"]},
    "added": {**PLAIN, "added": [dict(token) for token in ADDED]},
    "added_first": {**PLAIN, "whitespace_split": False, "prepend_scheme": "first", "added": [dict(token) for token in ADDED]},
}
GOLDEN = [
    "", " ", "  ", "\u3000", "\n", "a", " a", "a ", "  a  b ", "a\u00a0b", "a\tb", MARK, MARK * 2, MARK * 2 + "a", "a" + MARK, " " + MARK + " a", MARK + " a",
    "a" + MARK * 3 + "b", "the lake", "The ferry leaves.", "unhappiness", "a" * 40, "ha" * 30, "\u00e9", "e\u0301", "Cafe\u0301 Caf\u00e9", "\uff21", "\uff21\u0301b", "\ufb01x", "\ufdfa",
    "a\ufdfab", "\u00ad", "\u00ada", "\u00ad\u00ada\u00adb\u00ad", "a\u00ad b", "\ufb01\u00ad\u00adx", "x\u00ad\u2460", "\u2460\u0301", "\u2460\u0301\u0301\u0301", "\r\n", "a\r\nb", "\r\u0301", "\u0600a", "\u0600\u2460",
    "\u1100\u1161\u11a8", "\u1100\u1161\u0301", "\uac00\u11a8", "\u0915\u094d\u0915\u0301", "\u0915\u0301", "\u0915\u094d\u200d\u0915\u0301", "\xa9\u200d\xa9\u0301", "\xa9\u0301", "\xa9\ufe0f\u200d\u2764\u0301",
    "\U0001f1f9\U0001f1f7", "\u304b\u3099", "\uff76\uff9e", "\U0001f600", "a\U0001f600\U0001f600b", "q\u4e2dq", "<unk>", "x<unk>\U0001f600", "<s>", "<s> a", "a<mask>b", "a <mask> b", "<0x41>", "\0", "a\0b", "\0\u0301",
    "\u0301", "a \u0301 b", "\u6771\u4eac\u306f", "\ud55c\uad6d\uc5b4", "``q''", "a\n\nb", "a\nb", "a \t", "<left> a", "a <left>a", "<right>  a", "a<right> lake", "word words", "\u00c9t\u00e9 e\u0301te\u0301", "\uff21b Ab",
    MARK + "lake lake", "the" + MARK + "lake", "a spa sp", " sp", "<0xE2><0x82>",
]


def charsmap():
    """What is replaced: some of NFKC, spaces, what goes away, and sequences."""
    entries = {c: unicodedata.normalize("NFKC", c) for c in COMMON_COMPATIBLE[::3] + ["\uff21", "\ufb01", "\u2460", "\ufdfa", "\uff76"]}
    entries |= dict.fromkeys("\t\n\r\x01\u00a0\u3000\u2028", " ") | dict.fromkeys("\u00ad\u200b\ufeff", "")
    for base in "aeioun":
        for mark in "\u0301\u0308\u0303":
            entries[base + mark] = unicodedata.normalize("NFC", base + mark)
    entries |= {"\u1100\u1161": "\uac00", "\u304b\u3099": "\u304c", "\xa9": "(c)", "\u0600": "", "\u0915": "\u0916", "\xe9": "E"}
    return {key: text for key, text in entries.items() if key != text}


def sentences():
    spec = importlib.util.spec_from_file_location("byte_bpe", HERE.parent / "byte_bpe/make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SENTENCES


def train():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=420, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(sentences(), trainer)
    pieces = json.loads(tokenizer.model.__getstate__())["vocab"]
    pieces += [["aaaa", -9.0], ["aa", -4.5], ["\u00e9\u00e9", -9.5], ["lake", -7.25], ["\u4e2dq", -12.0], ["(c)", -3.0], ["the", -100.5]]
    seen = {piece for piece, _ in pieces}
    pieces += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
    assert len(seen) == len(pieces) - 256
    return [*pieces, ["lake", -7.5], ["<mask>", 0.0]]  # a token that is there twice


def build(pieces, entries, configuration):
    tokenizer = Tokenizer(models.Unigram([tuple(piece) for piece in pieces], unk_id=3, byte_fallback=configuration["byte_fallback"]))
    parts = {"charsmap": [normalizers.Precompiled(compiled(entries))], "right": [normalizers.Strip(left=False, right=True)],
             "spaces": [normalizers.Replace(Regex(" {2,}"), MARK)], "nfkd": [normalizers.NFKD()], "nfc": [normalizers.NFC()],
             "quotes": [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')], "marks": [normalizers.StripAccents()],
             "lower": [normalizers.Lowercase()], "collapse": [normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")]}
    chosen = [part for name in configuration["parts"] for part in parts[name]]
    if chosen:
        tokenizer.normalizer = normalizers.Sequence(chosen)
    configuration["steps"] = normalizer.steps_of(normalizer.state_of(tokenizer.normalizer))
    normalizer.take_charsmap(configuration["steps"])
    metaspace = pre_tokenizers.Metaspace(MARK, configuration["prepend_scheme"], configuration["split"])
    split = [pre_tokenizers.WhitespaceSplit()] if configuration["whitespace_split"] else []
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, metaspace])
    tokenizer.decoder = decoders.Metaspace(MARK, configuration["prepend_scheme"])
    tokenizer.add_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    for token in configuration.get("added", []):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False) | token
        tokenizer.add_tokens([AddedToken(**flags)])
        token.update(flags, id=tokenizer.token_to_id(token["content"]))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def case(*arguments, **options):
    """A case without token types: the template sets them to 0 in the first window alone."""
    result = golden_cases.case(*arguments, **options)
    for window in result["windows"]:
        window["type_ids"] = [0] * len(window["ids"])
    return result


def cases(pieces, entries):
    tokenizer_of = {name: build(pieces, entries, configuration) for name, configuration in CONFIGURATIONS.items()}
    for text in GOLDEN:
        for name, tokenizer in tokenizer_of.items():
            yield case(name, tokenizer, text)
    made = [item["text"] for item in generate(900, HERE / "pieces.json", seed=5)[0]]
    for i, text in enumerate([text for text in made if len(text) <= 60][:400]):
        name = list(CONFIGURATIONS)[i % len(CONFIGURATIONS)]
        yield case(name, tokenizer_of[name], text)
    for name, tokenizer in tokenizer_of.items():
        yield from golden_cases.pair_cases(case, name, tokenizer, ("the lake", "\uff21 ferry"), max_length=24)
        yield case(name, tokenizer, "<s>the <s>\u00e9", split_special_tokens=True)


def main():
    vocabulary = HERE / "pieces.json"
    if not vocabulary.exists():
        vocabulary.write_text(json.dumps(train(), separators=(",", ":")) + "\n", encoding="ascii")
    pieces, entries = json.loads(vocabulary.read_text()), charsmap()
    (HERE / "charsmap.json").write_text(json.dumps(entries, separators=(",", ":")) + "\n", encoding="ascii")
    lines = list(cases(pieces, entries))
    head = {"made_by": "tests/data/unigram/make.py", "tokenizers": tokenizers.__version__, "configurations": CONFIGURATIONS}
    golden_cases.write_lines(HERE / "encode.jsonl", head, lines)


if __name__ == "__main__":
    main()
